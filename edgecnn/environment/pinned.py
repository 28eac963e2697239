"""Which of the packages that edgecnn requires are installed, and whether in the versions that were tested together."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.environment.installing import (
    EDGECNN,
    PACKAGE,
    extra_of,
    import_name,
    install_command,
    pip_install,
    requirements,
)
from edgecnn.environment.packages import MISSING as NOT_INSTALLED
from edgecnn.environment.packages import canonical, versions_of
from edgecnn.records import Check
from edgecnn.records.diagnosis import FAILED, MISSING, OK, UNTESTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.requirements import Requirement

PLACES = (PACKAGE / "constraints.txt", PACKAGE.parent / "tools" / "constraints.txt")  # of a wheel, of a checkout
FOR_RUN = ("", "export")  # the extras whose packages `edgecnn run` needs


def constraints_file() -> Path | None:
    """The pip constraints that came with this edgecnn; None where a packager left them out."""
    return next((path for path in PLACES if path.is_file()), None)


def pinned_versions() -> dict[str, str]:
    """Distribution -> the version that was tested."""
    path = constraints_file()
    lines = path.read_text().split() if path else []
    return {canonical(name): version for name, _, version in (line.partition("==") for line in lines)}


def remedy_for(package: str) -> str:
    """The command that installs a package (import name), with its extra and in the tested version where it has one."""
    extra = extra_of(package)
    if extra is None:
        return f"{pip_install()} {canonical(package)}"
    return install_command(extra, constraints_file())


def python_check() -> Check:
    """This Python, against the versions that edgecnn supports."""
    import importlib.metadata
    import platform
    import sys

    from packaging.specifiers import SpecifierSet

    version = platform.python_version()
    try:
        wanted = SpecifierSet(importlib.metadata.metadata(EDGECNN)["Requires-Python"])
    except importlib.metadata.PackageNotFoundError:
        wanted = SpecifierSet()
    if wanted.contains(version, prereleases=True):
        return Check(group="python", name="Python", state=OK, detail=f"{version}, {sys.executable}", required=True)
    return Check(
        group="python", name="Python", state=FAILED, detail=f"{version}, and edgecnn needs {wanted}", required=True,
        remedy="make a virtual environment of such a Python",
    )  # fmt: skip


def package_checks() -> Iterator[Check]:
    """Each package that edgecnn or an extra of it requires, then one for all others that are pinned."""
    pinned, direct = pinned_versions(), set()
    for extra, wanted in requirements().items():
        for one in wanted:
            direct.add(canonical(one.name))
            yield _check(one, extra, pinned)
    others = versions_of(sorted(pinned.keys() - direct))
    there = {name: version for name, version in others.items() if version != NOT_INSTALLED and name in pinned}
    changed = [
        f"{name} {version} (tested: {pinned[name]})" for name, version in there.items() if version != pinned[name]
    ]
    if pinned and requirements():
        yield Check(
            group="package",
            name="other packages",
            state=UNTESTED if changed else OK,
            detail=", ".join(changed) or f"{len(there)} packages in the tested versions",
            remedy=install_command(FOR_RUN[-1], constraints_file()) if changed else "",
        )


def _check(wanted: Requirement, extra: str, pinned: Mapping[str, str]) -> Check:
    ((name, version),) = list(versions_of((import_name(wanted.name),)).items())[:1]
    tested = pinned.get(name, version)
    state, detail = OK, version
    if version == NOT_INSTALLED or importlib.util.find_spec(import_name(wanted.name)) is None:
        state, detail = MISSING, "not installed"
    elif not wanted.specifier.contains(version, prereleases=True):
        state, detail = FAILED, f"{version}, and edgecnn needs {wanted.specifier}"
    elif version != tested:
        state, detail = UNTESTED, f"{version} (tested: {tested})"
    return Check(
        group="package",
        name=name,
        state=state,
        detail=detail,
        remedy="" if state == OK else remedy_for(import_name(wanted.name)),
        required=extra in FOR_RUN,
    )
