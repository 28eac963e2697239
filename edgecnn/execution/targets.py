"""Which artifact runs on which runtime here: the rows of every table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edgecnn.environment import not_installed
from edgecnn.errors import InputError, unknown_name
from edgecnn.execution import emulation
from edgecnn.export.format import Format
from edgecnn.files import size_of
from edgecnn.plugins import discover, pick
from edgecnn.records import Artifact
from edgecnn.records.common import target_name
from edgecnn.run_directory import ARTIFACTS, MODEL
from edgecnn.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from edgecnn.records import Contract
    from edgecnn.run_directory import Run

KERAS = "keras"  # the trained model's format and runtime


@dataclass(frozen=True)
class Target:
    """A file, a runtime that loads its kind, and the execution provider to do it with."""

    artifact: Artifact
    runtime: Runtime
    provider: str
    path: Path

    @property
    def name(self) -> str:
        """What is loaded where, in words."""
        return target_name(self.artifact.format, self.runtime.name, self.provider)


@dataclass(frozen=True)
class ExportTarget(Target):
    """The same of an export, its format, and the emulated CPU it runs on, "" for this machine's own."""

    format: Format
    cpu: str = ""

    @property
    def name(self) -> str:
        """What is loaded where, in words."""
        return target_name(self.artifact.format, self.runtime.name, self.provider, self.cpu)

    @property
    def max_images(self) -> int | None:
        """How many images it runs by default where that is slow; None for all."""
        return emulation.most_images(self.format.weight_dtype) if self.cpu else self.runtime.max_images


def on_cpus(found: Iterable[ExportTarget], cpus: Iterable[str]) -> list[ExportTarget]:
    """The same pairs on each of these emulated CPUs, as far as their runtimes run there."""
    pairs = [pair for pair in found if pair.provider in pair.runtime.emulated]
    return [replace(pair, cpu=cpu) for cpu in dict.fromkeys(cpus) for pair in pairs]


def trained(run: Run, contract: Contract) -> Artifact:
    """The model that was trained, described as its exports are; whether the file is that model is not looked at."""
    return Artifact(
        format=KERAS,
        path=MODEL,
        size_bytes=size_of(run.path(MODEL)),
        sha256=contract.model_sha256,
        input=contract.input,
        output=contract.output,
        content_sha256=contract.model_sha256,
    )


def with_trained(
    run: Run,
    contract: Contract,
    formats: Sequence[str],
    providers: Sequence[str],
    runtimes: Sequence[str],
    offers: Mapping[str, Mapping[str, Any]],
) -> tuple[list[Target], dict[str, str]]:
    """What :func:`pairs` finds, and before it the trained model on Keras, by "keras" as a format and as a runtime."""
    _check_names(formats, providers, runtimes, {KERAS, *discover(Format)})
    found: list[Target] = []
    skipped: dict[str, str] = {}
    runtime = pick(Runtime, KERAS)
    is_named = KERAS in (formats or (KERAS,)) and KERAS in (runtimes or (KERAS,))
    if is_named and (not providers or set(providers) & set(runtime.providers)):
        if missing := offers[KERAS]["missing"]:
            skipped[KERAS] = missing
        else:
            found.append(Target(trained(run, contract), runtime, runtime.providers[0], run.model_path(contract)))
    exported = tuple(name for name in formats if name != KERAS)
    if (exported or not formats) and set(runtimes) != {KERAS}:
        others, absent = pairs(run, exported, providers, runtimes, offers)
        found += others
        skipped |= absent
    return found, skipped


def pairs(
    run: Run,
    formats: Sequence[str],
    providers: Sequence[str] = (),
    chosen_runtimes: Sequence[str] = (),
    offers: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[list[ExportTarget], dict[str, str]]:
    """Every artifact of these formats (all when none is named) on every runtime installed here, or those chosen, with
    these execution providers (none named: those each runtime offers by itself). `offers` is what a worker elsewhere
    says of the runtimes there; None asks this Python.

    Also the runtimes that are missing, with the sentence that says how to get them. Whether a file still is what was
    exported is not looked at. Raises UsageError for an unknown format or provider, InputError for a format that was
    not exported or a file that is missing.
    """
    _check_names(formats, providers, chosen_runtimes, discover(Format))
    record = run.artifacts()
    artifacts = {artifact.format: artifact for artifact in record.artifacts}
    wanted = list(formats) or list(artifacts)
    if not wanted:
        for failure in record.failures[:1]:
            raise InputError(f"The model could not be exported to any format; {failure.format}: {failure.reason}.")
        raise InputError(f"Nothing is exported yet; run {run.command('export')}.")
    foreign = [name for name in artifacts if name not in discover(Format)]
    if foreign:
        raise InputError(f"{run.path(ARTIFACTS)} names a format '{foreign[0]}' that this edgecnn does not know.")
    missing = [name for name in wanted if name not in artifacts]
    if missing:
        raise run.without_export(record, missing[0])
    runtimes = [r for name, r in discover(Runtime).items() if not chosen_runtimes or name in chosen_runtimes]
    found: list[ExportTarget] = []
    skipped: dict[str, str] = {}
    for name in sorted(set(wanted)):
        format = pick(Format, name)
        path = run.path(artifacts[name].path)
        if not path.exists():
            raise InputError(f"{path} is missing; run {run.command('export')}.")
        for runtime in runtimes:
            if format.file_kind not in runtime.file_kinds:
                continue
            if offers is None:
                absent = not_installed(package) if (package := runtime.missing()) else ""
            else:
                absent = offers[runtime.name]["missing"]
            if absent:
                skipped[runtime.name] = absent
                continue
            chosen: Sequence[str] = [name for name in runtime.providers if name in providers]
            if not providers:
                chosen = runtime.default_providers() if offers is None else offers[runtime.name]["providers"]
            found += [ExportTarget(artifacts[name], runtime, provider, path, format) for provider in chosen]
    return found, skipped


def _check_names(
    formats: Iterable[str], providers: Iterable[str], runtimes: Sequence[str], known_formats: Iterable[str]
) -> None:
    """Raises UsageError for a name that nothing has; a provider has to be one of these runtimes', if any are named."""
    every = discover(Runtime)
    known = set(known_formats)
    for name in formats:
        if name not in known:
            raise unknown_name("format", name, known)
    for name in runtimes:
        pick(Runtime, name)
    offered = {provider for name in runtimes or every for provider in every[name].providers}
    for name in providers:
        if name not in offered:
            raise unknown_name("execution provider", name, offered)
