"""How to install what is missing, as commands that work where they are read."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from edgecnn.environment.packages import canonical
from edgecnn.errors import MachineError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

EDGECNN = "edgecnn"
EXTRAS = ("export", "micro", "web")  # for users
IMPORT_NAMES = {"pillow": "PIL"}  # of the only requirement that is not imported by its own name
PACKAGE = Path(__file__).resolve().parent.parent


@cache
def requirements() -> dict[str, tuple[Requirement, ...]]:
    """What edgecnn requires, by extra, "" for every installation; without what other systems alone need.

    Empty where edgecnn runs from its sources and is not installed.
    """
    import importlib.metadata

    from packaging.requirements import Requirement

    try:
        lines = importlib.metadata.requires(EDGECNN) or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found = [Requirement(line) for line in lines]
    base = [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]
    extras = {
        extra: tuple(one for one in found if one not in base and one.marker and one.marker.evaluate({"extra": extra}))
        for extra in EXTRAS
    }
    return {"": tuple(base), **extras}


def import_name(distribution: str) -> str:
    """What one of edgecnn's requirements is imported as."""
    return IMPORT_NAMES.get(canonical(distribution), canonical(distribution).replace("-", "_"))


def require(*packages: str) -> None:
    """Raise MachineError, with the command that installs it, for the first of these (import names) not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise missing_package(ModuleNotFoundError(name=package)) or MachineError(f"{package} is not installed.")


def require_extra(extra: str) -> None:
    """The same for everything that an extra of edgecnn brings."""
    require(*(import_name(one.name) for one in requirements().get(extra, ())))


def missing_package(error: ModuleNotFoundError) -> MachineError | None:
    """The sentence for one of edgecnn's requirements that is not installed; None if the module is not one of those."""
    package = (error.name or "").split(".")[0]
    extra = extra_of(package)
    return None if extra is None else MachineError(f"This needs the package {package}: {install_command(extra)}.")


def extra_of(package: str) -> str | None:
    """The extra that brings a package (import name), "" for every installation; None where edgecnn does not need it."""
    wanted = requirements().items()
    return next((extra for extra, ones in wanted if package in {import_name(one.name) for one in ones}), None)


def not_installed(package: str) -> str:
    """How to get a runtime's package (import name) by itself into this Python, here or on a device."""
    return f"{package} is not installed: {pip_install()} {canonical(package)}"


def install_command(extra: str, constraints: Path | None = None) -> str:
    """The shell command that installs edgecnn with an extra into this Python, from where it came: a checkout, a wheel,
    an index; with the versions in `constraints` where that is given."""
    pinned = ["-c", _shown(constraints)] if constraints else []
    return " ".join([pip_install(), *map(shlex.quote, pinned), *_source(extra)])


def pip_install() -> str:
    """How `pip install` of this very Python is written in a shell."""
    if os.path.dirname(shutil.which("pip") or "") == os.path.dirname(sys.executable):
        return "pip install"
    python = shlex.quote(_shown(Path(sys.executable)))
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return f"uv pip install --python {python}"
    return f"{python} -m pip install"


def _source(extra: str) -> list[str]:
    """The words after `pip install`, quoted."""
    suffix = f"[{extra}]" if extra else ""
    origin = _origin()
    url, place = str(origin.get("url", "")), PACKAGE.parent
    local = Path(unquote(urlsplit(url).path)) if url.startswith("file:") else None
    if (place / "pyproject.toml").is_file():  # this code lies in a checkout
        editable = local == place and origin.get("dir_info", {}).get("editable", False)
        return [*(["-e"] if editable else []), shlex.quote(f"{_shown(place)}{suffix}")]
    if local is not None and local.exists():
        return [shlex.quote(f"{_shown(local)}{suffix}")]
    if url and local is None:
        version = origin.get("vcs_info", {})
        address = f"{version['vcs']}+{url}@{version['commit_id']}" if version else url
        return [shlex.quote(f"{EDGECNN}{suffix} @ {address}")]
    return [shlex.quote(f"{EDGECNN}{suffix}")]


def _origin() -> dict[str, Any]:
    """Where pip installed edgecnn from, as PEP 610 has it; empty for an index, or where it is not installed."""
    import importlib.metadata

    try:
        told = importlib.metadata.distribution(EDGECNN).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return {}
    return dict(json.loads(told)) if told else {}


def _shown(path: Path) -> str:
    """A path as shells and pip take it: relative where it is below the working directory, "." for that itself."""
    here = Path.cwd()
    if path == here:
        return "."
    return f"./{path.relative_to(here)}" if path.is_relative_to(here) else str(path)
