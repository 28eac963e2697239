"""Install a Python for ARM in the user's cache, so that emulated ARM CPUs can run the runtimes of this environment.

Debian's own packages bring the interpreter and the C library, fetched by apt with a state of its own: no root, nothing
of the system changes. pip brings the runtimes' wheels for that interpreter, in the versions of this environment.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.console import log, progress
from edgecnn.errors import MachineError
from edgecnn.execution.emulation import CPUS, VERSIONS, cache_folder, guest_root, guest_versions, qemu, wanted_versions
from edgecnn.execution.hosts import OLDEST, Emulated
from edgecnn.files import TEMPORARY, size_of, staged
from edgecnn.processes import bound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


ABOUT_MB = 90  # of downloads: package lists, Debian's packages, wheels
WHEELS_MB = 60
DEBIAN_PACKAGES = ("python3", "libstdc++6", "libgomp1")  # what they depend on comes along
DOWNLOADS = "downloads"  # in the cache, until an installation is complete
KEPT = ("bin", "lib", "usr")  # of the top and of usr; documentation and settings are not needed
GLIBC_MINORS = range(17, 42)  # of manylinux_2_N tags; that the wheels really load is tried at the end
TRIAL_CPU = CPUS["cortex-a53"]
TRIAL_MODULES = {"numpy": "numpy", "onnxruntime": "onnxruntime", "ai-edge-litert": "ai_edge_litert.interpreter"}
LOOK_SECONDS = 0.2
TOOLS = ("apt-get", "dpkg-deb")


def refusal() -> str:
    """Why ARM's Python cannot be installed here, in a sentence; "" where it can."""
    if platform.machine() == TRIAL_CPU.architecture:
        return f"This machine is an {TRIAL_CPU.architecture} one: its ARM CPUs need nothing but QEMU."
    missing = next((tool for tool in TOOLS if shutil.which(tool) is None), None)
    if missing or platform.system() != "Linux":
        return (
            "ARM's Python is made of Debian's packages, and this system has no "
            f"{missing or TOOLS[0]}; the x86 CPUs need nothing but QEMU."
        )
    if not qemu(TRIAL_CPU):
        return "QEMU is missing; install the Debian package qemu-user-static first."
    return ""


def install() -> bool:
    """Install it, unless the same versions are there; whether anything was done.

    It is made beside its place and renamed at the end, so an interrupted installation leaves what was there before;
    what was downloaded is kept for the next attempt. Raises MachineError where it cannot be done.
    """
    if reason := refusal():
        raise MachineError(reason)
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(folder):
        wanted, there = wanted_versions(), guest_versions()
        if wanted.items() <= there.items():
            log(f"It is installed in {guest_root()}: Python {there.get('python', '')}, {_words(wanted)}.")
            return False
        log(f"Downloads about {ABOUT_MB} MB, in all, into {folder}: Debian's Python for ARM, {_words(wanted)}")
        downloads = folder / DOWNLOADS
        with staged(guest_root()) as root:
            root.mkdir()
            _unpack_debian(downloads, root)
            version = _python_version(root)
            _unpack_wheels(root / "packages", version, wanted)
            _try(root, wanted)
            (root / VERSIONS).write_text(json.dumps({"python": version, **wanted}))
        shutil.rmtree(downloads, ignore_errors=True)
    log(f"Installed in {guest_root()}")
    return True


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the folder alone, without what an installation that was killed left."""
    import filelock

    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise MachineError(f"Another edgecnn is installing in {folder}; wait for it or stop it.") from None
    try:
        for leftover in folder.glob(f"{TEMPORARY}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield
    finally:
        lock.release()


def _unpack_debian(downloads: Path, root: Path) -> None:
    """Fetch Debian's packages and what they depend on, and unpack them.

    The options come last and so stand above the system's configuration, whose sources, keys and proxies stay.
    """
    archives = downloads / "archives"
    for place in (downloads / "state" / "lists" / "partial", archives / "partial"):
        place.mkdir(parents=True, exist_ok=True)
    (downloads / "status").touch()
    options = {
        "APT::Architecture": "arm64", "APT::Architectures": "arm64", "APT::Sandbox::User": "root",
        "Acquire::Languages": "none", "Debug::NoLocking": "true", "Dir::State": downloads / "state",
        "Dir::State::status": downloads / "status", "Dir::Cache": downloads, "Dir::Cache::archives": archives,
    }  # fmt: skip
    apt = ["apt-get", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    _call([*apt, "update"], "apt-get update")
    wanted = ["--no-install-recommends", "--yes", "install", *DEBIAN_PACKAGES]
    chosen = re.findall(r"^Inst (\S+) \((\S+) .*\[(\w+)\]\)", _call([*apt, "--simulate", *wanted], "apt-get"), re.M)
    missing = re.findall(r"^'[^']+' \S+ (\d+)", _call([*apt, "--print-uris", *wanted], "apt-get"), re.MULTILINE)
    total = sum(map(int, missing)) + size_of(archives)
    log(f"  Debian's packages: {total / 1e6:.0f} MB")
    _call([*apt, "--download-only", *wanted], "apt-get", archives, total)
    for name, version, architecture in chosen:
        archive = archives / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
        _call(["dpkg-deb", "-x", str(archive), str(root)], "dpkg-deb")
    for part in [*root.iterdir(), *(root / "usr").iterdir()]:
        if part.name not in KEPT:
            shutil.rmtree(part, ignore_errors=True)
    if not (root / "lib").exists():  # newer releases have everything in usr
        (root / "lib").symlink_to("usr/lib")
    for link in root.rglob("*"):
        if link.is_symlink() and not link.exists():  # to what was not kept
            link.unlink()


def _python_version(root: Path) -> str:
    """Of the interpreter that was unpacked, as in "3.11"; raises MachineError where a worker needs a newer one."""
    version = (root / "usr" / "bin" / "python3").resolve().name.removeprefix("python")
    if tuple(int(part) for part in version.split(".")) < OLDEST:
        raise MachineError(f"This release of Debian has Python {version}; a worker needs 3.11 or newer.")
    return version


def _unpack_wheels(place: Path, python: str, wanted: dict[str, str]) -> None:
    """Fetch the wheels for that Python on ARM, and unpack them."""
    import zipfile

    platforms = ["manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in GLIBC_MINORS)]
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        log(f"  Wheels: about {WHEELS_MB} MB")
        _call(
            [
                sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                "--only-binary=:all:", "--implementation", "cp", "--python-version", python, "--dest", folder,
                *(word for tag in platforms for word in ("--platform", tag)),
                *(f"{name}=={version}" for name, version in wanted.items()),
            ],
            "pip", Path(folder), WHEELS_MB * 1_000_000,
        )  # fmt: skip
        for wheel in Path(folder).glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(place)


def _try(root: Path, wanted: dict[str, str]) -> None:
    """Import everything once on an emulated CPU: that it loads is proved, and its bytecode is there from now on."""
    host = Emulated(TRIAL_CPU, root)
    try:
        modules = ", ".join(TRIAL_MODULES[name] for name in wanted)
        _call(
            ["env", *(f"--unset={name}" for name in (*host.without, "PYTHONDONTWRITEBYTECODE")),
             f"PYTHONPATH={root / 'packages'}", *host.command, "-P", "-c", f"import {modules}"],
            f"The trial on an emulated {TRIAL_CPU.name}",
        )  # fmt: skip
    finally:
        host.close()


def _call(words: Sequence[str], what: str, growing: Path | None = None, total: int = 0) -> str:
    """Run a command and return what it prints; `growing` is a folder whose bytes, of `total`, show how far it is.

    Raises MachineError with the last line of what it said where it fails.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, progress(what, max(total, 1)) as advance:
        process = subprocess.Popen(bound(words), stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            while process.poll() is None:
                if growing is not None:
                    with suppress(FileNotFoundError):  # renamed meanwhile
                        advance(min(size_of(growing), total))
                time.sleep(LOOK_SECONDS)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        printed = []
        for stream in (out, err):
            stream.seek(0)
            printed.append(stream.read().decode(errors="replace"))
    if process.returncode:
        lines = [line for line in "\n".join(printed).splitlines() if line.strip()]
        raise MachineError(f"{what} failed: {(lines or ['it said nothing'])[-1].strip().rstrip('.')}.")
    return printed[0]


def _words(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
