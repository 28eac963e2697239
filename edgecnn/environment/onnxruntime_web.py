"""ONNX Runtime Web: the files of its npm package that a web bundle needs, at one version, checked, in the user's cache.

npm itself fetches the package, from the registry that it is set up for.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.console import log
from edgecnn.environment.cache import user_cache
from edgecnn.errors import InputError, MachineError
from edgecnn.files import sha256_of, staged

if TYPE_CHECKING:
    from collections.abc import Iterator

NPM_PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
ABOUT_MB = 33  # of the package as npm fetches it
FETCH_SECONDS = 600
SHA256 = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "ort.webgpu.bundle.min.mjs": "0730816731ce2cdfb06f273da065d4a1c7091eb9d1756a83b2916c8a89d015e2",
    "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}


@dataclass(frozen=True)
class WebRuntime:
    """ONNX Runtime Web as a page loads it: a module, and its WebAssembly."""

    module: Path
    wasm: Path


WASM = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
WEBGPU = ("ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm")  # runs on WebAssembly too


def web_runtime(folder: Path | None = None, *, webgpu: bool = False) -> WebRuntime:
    """The files, from `folder` (the unpacked package, or its dist), from the cache, or fetched into that.

    Raises InputError for other files than those of `VERSION`, MachineError where they are neither there nor to be had.
    """
    names = WEBGPU if webgpu else WASM
    place = _chosen(folder) if folder else _cached()
    for name in names:
        _check(place / name)
    return WebRuntime(*(place / name for name in names))


def cache() -> Path:
    """Where the files are kept, whether or not they are there."""
    return user_cache() / f"{NPM_PACKAGE}-{VERSION}"


def to_fetch() -> str:
    """What npm would fetch, in words; "" where it is there."""
    return "" if cache().is_dir() else f"{NPM_PACKAGE} {VERSION}"


def _chosen(folder: Path) -> Path:
    place = next((place for place in (folder, folder / "dist") if (place / WASM[0]).is_file()), None)
    if place is None:
        raise InputError(f"{folder} holds no {WASM[0]}; give the folder of the unpacked npm package {NPM_PACKAGE}.")
    return place


def _check(path: Path) -> None:
    if not path.is_file() or sha256_of(path) != SHA256[path.name]:
        raise InputError(
            f"{path} is not the file of {NPM_PACKAGE} {VERSION}; remove its folder, and it is fetched again."
        )


def _cached() -> Path:
    place = cache()
    if not place.is_dir():
        _fetch(place)
    return place


def _fetch(place: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise MachineError(
            f"{NPM_PACKAGE} {VERSION} is not in the cache, and npm, which fetches it, is not installed; install "
            "Node.js, or name the folder of the unpacked package with --runtime-dir."
        )
    log(f"Fetches {NPM_PACKAGE} {VERSION} with npm, once: {ABOUT_MB} MB")
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as scratch:
        words = [npm, "pack", "--silent", f"{NPM_PACKAGE}@{VERSION}", "--pack-destination", scratch]
        try:
            done = subprocess.run(
                words, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                timeout=FETCH_SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise MachineError(f"npm did not fetch {NPM_PACKAGE} within {FETCH_SECONDS} s; try again.") from None
        archives = list(Path(scratch).glob("*.tgz"))
        if done.returncode or not archives:
            said = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
            raise MachineError(f"npm cannot fetch {NPM_PACKAGE} {VERSION}: {said[0].strip().rstrip('.')}.")
        with staged(place) as draft:
            draft.mkdir()
            for name, content in _members(archives[0]):
                (draft / name).write_bytes(content)


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The files wanted, each checked; nothing else is unpacked."""
    with tarfile.open(archive) as package:
        for name, expected in SHA256.items():
            try:
                stream = package.extractfile(f"package/dist/{name}")
            except KeyError:
                stream = None
            content = stream.read() if stream else b""
            if hashlib.sha256(content).hexdigest() != expected:
                raise MachineError(f"npm brought another {name} than {NPM_PACKAGE} {VERSION} has; nothing is kept.")
            yield name, content
