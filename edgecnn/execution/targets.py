"""Which artifact runs on which runtime here: the rows of every table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from edgecnn.environment import not_installed
from edgecnn.errors import InputError, MachineError, UsageError, unknown_name
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
T = TypeVar("T", bound="Target")


@dataclass(frozen=True)
class Target:
    """A file, a runtime that loads its kind, the execution provider to do it with, and the emulated CPU to do it on, ""
    for this machine's own."""

    artifact: Artifact
    runtime: Runtime
    provider: str
    path: Path
    cpu: str = ""

    @property
    def name(self) -> str:
        """What is loaded where, in words."""
        return target_name(self.artifact.format, self.runtime.name, self.provider, self.cpu)

    @property
    def weight_dtype(self) -> str:
        """The type of the file's weights: "float32", "float16" or "int8"."""
        return "float32"

    @property
    def max_images(self) -> int | None:
        """How many images it runs by default where that is slow; None for all."""
        return emulation.most_images(self.weight_dtype) if self.cpu else self.runtime.max_images


@dataclass(frozen=True)
class ExportTarget(Target):
    """The same of an export, with its format."""

    format: Format = field(kw_only=True)

    @property
    def weight_dtype(self) -> str:
        """The type of the format's weights."""
        return self.format.weight_dtype


def on_cpus(found: Iterable[T], cpus: Iterable[str]) -> list[T]:
    """The same targets on each of these emulated CPUs, as far as their runtimes run there."""
    can_be_emulated = [target for target in found if target.provider in target.runtime.emulated]
    return [replace(target, cpu=cpu) for cpu in dict.fromkeys(cpus) for target in can_be_emulated]


def require_chosen(
    found: Iterable[Target], skipped: Mapping[str, str], runtimes: Iterable[str], providers: Iterable[str]
) -> None:
    """Raise UsageError where no target has a runtime or provider that was named, MachineError where that is missing."""
    targets = list(found)
    unused = [name for name in runtimes if name not in {target.runtime.name for target in targets}]
    unused += [name for name in providers if name not in {target.provider for target in targets}]
    for name in unused[:1]:
        if name in skipped:
            raise MachineError(f"{skipped[name]}.")
        raise UsageError(f"None of these exports runs on {name}; `edgecnn parity --help` has the names.")


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


def trained_target(run: Run, contract: Contract) -> Target:
    """The trained model on Keras; raises InputError unless the file is the contract's model."""
    runtime = pick(Runtime, KERAS)
    return Target(trained(run, contract), runtime, runtime.providers[0], run.model_path(contract))


def with_trained(
    run: Run,
    contract: Contract,
    formats: Sequence[str],
    providers: Sequence[str],
    runtimes: Sequence[str],
    offers: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[list[Target], dict[str, str]]:
    """What :func:`pairs` finds, and before it the trained model on Keras, by "keras" as a format and as a runtime."""
    _check_names(formats, providers, runtimes, {KERAS, *discover(Format)})
    found: list[Target] = []
    skipped: dict[str, str] = {}
    runtime = pick(Runtime, KERAS)
    is_named = KERAS in (formats or (KERAS,)) and KERAS in (runtimes or (KERAS,))
    if is_named and (not providers or set(providers) & set(runtime.providers)):
        if reason := _missing(runtime, offers):
            skipped[KERAS] = reason
        else:
            found.append(trained_target(run, contract))
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
            if reason := _missing(runtime, offers):
                skipped[runtime.name] = reason
                continue
            chosen: Sequence[str] = [name for name in runtime.providers if name in providers]
            if not providers:
                offered = runtime.default_providers() if offers is None else offers[runtime.name]["providers"]
                chosen = offered or (runtime.providers if runtime.name in chosen_runtimes else ())
            found += [ExportTarget(artifacts[name], runtime, provider, path, format=format) for provider in chosen]
    return found, skipped


def _missing(runtime: Runtime, offers: Mapping[str, Mapping[str, Any]] | None) -> str:
    """The sentence that says how to get a runtime, "" for one that is installed."""
    if offers is not None:
        return str(offers[runtime.name]["missing"])
    package = runtime.missing()
    return not_installed(package) if package else ""


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
    for name in providers:
        if not any(name in runtime.providers for runtime in every.values()):
            raise unknown_name("execution provider", name, {p for runtime in every.values() for p in runtime.providers})
        if runtimes and not any(name in every[runtime].providers for runtime in runtimes):
            offers = ", ".join(dict.fromkeys(p for runtime in runtimes for p in every[runtime].providers))
            raise UsageError(f"{' or '.join(runtimes)} has no execution provider {name}, only {offers}.")
