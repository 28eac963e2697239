"""Which artifact can be asked on which runtime here: the rows of every table."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.errors import EXTRA_OF_PACKAGE, InputError, unknown_name
from edgecnn.plugins import Format, Runtime, discover, pick
from edgecnn.run import ARTIFACTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edgecnn.records import Artifact
    from edgecnn.run import Run


@dataclass(frozen=True)
class Pair:
    """An artifact, a runtime that loads its kind of file, and the execution provider to do it with."""

    artifact: Artifact
    format: Format
    runtime: Runtime
    provider: str
    path: Path

    @property
    def name(self) -> str:
        """The pair in words."""
        return f"{self.format.name} on {self.runtime.name} ({self.provider})"


def pairs(
    run: Run,
    formats: Sequence[str],
    providers: Sequence[str] = (),
    chosen_runtimes: Sequence[str] = (),
    offers: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[list[Pair], dict[str, str]]:
    """Every artifact of these formats (all when none is named) on every runtime installed here, or those chosen, with
    these execution providers (none named: those each runtime offers by itself). `offers` is what a worker elsewhere
    says of the runtimes there; None asks this Python.

    Also the runtimes that are missing, with the sentence that says how to get them. Whether a file still is what was
    exported is not looked at. Raises UsageError for an unknown format or provider, InputError for a format that was
    not exported or a file that is missing.
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
    for name in chosen_runtimes:
        pick(Runtime, name)
    runtimes = [r for name, r in discover(Runtime).items() if not chosen_runtimes or name in chosen_runtimes]
    known = dict.fromkeys(name for runtime in runtimes for name in runtime.providers)
    for name in providers:
        if name not in known:
            raise unknown_name("execution provider", name, known)
    found: list[Pair] = []
    skipped: dict[str, str] = {}
    for name in sorted(set(wanted)):
        format = pick(Format, name)
        path = run.path(artifacts[name].path)
        if not path.exists():
            raise InputError(f"{path} is missing; run `edgecnn export {run.root}`.")
        for runtime in runtimes:
            if format.file_kind not in runtime.file_kinds:
                continue
            absent = _absent(runtime) if offers is None else offers[runtime.name]["missing"]
            if absent:
                skipped[runtime.name] = missing_sentence(absent)
                continue
            chosen: Sequence[str] = [name for name in runtime.providers if name in providers]
            if not providers:
                chosen = runtime.offered() if offers is None else offers[runtime.name]["providers"]
            found += [Pair(artifacts[name], format, runtime, provider, path) for provider in chosen]
    return found, skipped


def _absent(runtime: Runtime) -> str:
    """The first package that it lacks here, "" for none."""
    return next((package for package in runtime.packages if importlib.util.find_spec(package) is None), "")


def missing_sentence(package: str) -> str:
    """How to get a runtime's package."""
    what = f"'edgecnn[{EXTRA_OF_PACKAGE[package]}]'" if package in EXTRA_OF_PACKAGE else package
    return f"{package} is not installed: pip install {what}"
