"""Which artifact can be asked on which runtime here: the rows of every table."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.errors import EXTRA_OF_PACKAGE, InputError
from edgecnn.plugins import Format, Runtime, discover, pick
from edgecnn.run import ARTIFACTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edgecnn.records import Artifact
    from edgecnn.run import Run


@dataclass(frozen=True)
class Pair:
    """An artifact and a runtime that loads its kind of file; `path` was checked to be what was exported."""

    artifact: Artifact
    format: Format
    runtime: Runtime
    path: Path


def pairs(run: Run, formats: Sequence[str]) -> tuple[list[Pair], dict[str, str]]:
    """Every artifact of these formats (all when none is named) on every runtime installed here.

    Also the runtimes that are missing, with the sentence that says how to get them. Raises UsageError for an
    unknown format, InputError for one that was not exported.
    """
    artifacts = {artifact.format: artifact for artifact in run.artifacts().artifacts}
    wanted = [pick(Format, name).name for name in formats] or list(artifacts)
    if not wanted:
        raise InputError(f"Nothing is exported yet; run `edgecnn export {run.root}`.")
    foreign = [name for name in artifacts if name not in discover(Format)]
    if foreign:
        raise InputError(f"{run.path(ARTIFACTS)} names a format '{foreign[0]}' that this edgecnn does not know.")
    missing = [name for name in wanted if name not in artifacts]
    if missing:
        raise InputError(f"{missing[0]} is not exported yet; run `edgecnn export {run.root} --format {missing[0]}`.")
    found: list[Pair] = []
    skipped: dict[str, str] = {}
    for name in sorted(set(wanted)):
        format = pick(Format, name)
        path = run.artifact_path(artifacts[name])
        for runtime in discover(Runtime).values():
            if format.file_kind not in runtime.file_kinds:
                continue
            absent = [package for package in runtime.packages if importlib.util.find_spec(package) is None]
            if absent:
                skipped[runtime.name] = missing_sentence(absent[0])
            else:
                found.append(Pair(artifacts[name], format, runtime, path))
    return found, skipped


def missing_sentence(package: str) -> str:
    """How to get a runtime's package."""
    what = f"'edgecnn[{EXTRA_OF_PACKAGE[package]}]'" if package in EXTRA_OF_PACKAGE else package
    return f"{package} is not installed: pip install {what}"
