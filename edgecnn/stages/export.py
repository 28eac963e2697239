"""Export a run's model to the chosen formats; artifacts.json records what was written, and what could not be."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.console import log
from edgecnn.environment import installed_versions, versions_of
from edgecnn.errors import GateFailed, InputError, UnsupportedSchema
from edgecnn.export.conversion_worker import Converter
from edgecnn.export.exporter import WHATEVER_THE_FORMAT, path_of
from edgecnn.export.format import ExportOptions, Format, default_formats
from edgecnn.files import TEMPORARY, delete, staged
from edgecnn.plugins import discover, packages, pick
from edgecnn.records import SCHEMA, Artifact, Artifacts, ExportFailure
from edgecnn.run_directory import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    Outcome = Artifact | ExportFailure

DEFAULTS = ExportOptions()


def inputs(run: Run, formats: Sequence[str], options: ExportOptions) -> dict[str, str]:
    """What decides the exports: file hashes, formats, options, and the converters' versions."""
    names = chosen(formats)
    taken = {option for name in names for option in pick(Format, name).options}
    return {
        **{name: run.hash_of(name) for name in (run_directory.MODEL, run_directory.CONTRACT, run_directory.SAMPLES)},
        "formats": " ".join(names),
        "max_accuracy_drop": str(options.max_accuracy_drop),
        **{option: str(getattr(options, option)) for option in sorted(taken)},
        **versions_of((*WHATEVER_THE_FORMAT, *packages("format"))),
    }


def chosen(formats: Sequence[str]) -> list[str]:
    """The chosen formats in alphabetical order, the default ones when none is named; UsageError for an unknown one."""
    return sorted({pick(Format, name).name for name in formats}) or default_formats()


def is_current(run: Run, formats: Sequence[str] = (), options: ExportOptions | None = None) -> bool:
    """Whether the run already holds these exports; where none is named, with further ones that it holds."""
    further = [] if formats else [outcome.format for outcome in _held(run)]
    wanted = [*chosen(formats), *further]
    return run.is_current(run_directory.ARTIFACTS, Artifacts, inputs(run, wanted, options or held_options(run)))


def held_options(
    run: Run,
    *,
    max_accuracy_drop: float = DEFAULTS.max_accuracy_drop,
    rounding: str | None = None,
    target: str | None = None,
) -> ExportOptions:
    """These options; of those that are None, what the run's exports were made with, or else the default."""
    recorded = _recorded(run)
    held = recorded.origin.inputs if recorded else {}
    return ExportOptions(
        max_accuracy_drop=max_accuracy_drop,
        rounding=rounding or held.get("rounding", DEFAULTS.rounding),
        target=target or held.get("target", DEFAULTS.target),
    )


def export(run: Run, formats: Sequence[str] = (), options: ExportOptions | None = None) -> Artifacts:
    """Write `exports/<format><suffix>` for each format (the default ones when none is named), and artifacts.json.

    Without options they are :func:`held_options`. A quantized format that loses more than `max_accuracy_drop` points on
    training images keeps the layers that cause it in float32. Exports of other formats stay, and are made again where
    the model, the samples, an option or a converter has changed. A format that the model cannot be exported to is among
    the record's failures, and its earlier export is removed. Raises UsageError for an unknown format and InputError for
    a model that cannot be read.
    """
    contract, options = run.contract(), options or held_options(run)
    outcomes, stale = _others(run, chosen(formats), options)
    with Converter(run, options) as converter:
        for name in sorted([*chosen(formats), *stale]):
            outcome = _export_one(converter, run.root, name)
            log(_told(outcome))
            outcomes.append(outcome)
    outcomes.sort(key=lambda outcome: outcome.format)
    artifacts = tuple(outcome for outcome in outcomes if isinstance(outcome, Artifact))
    decided = inputs(run, [outcome.format for outcome in outcomes], options)
    record = Artifacts(
        schema=SCHEMA,
        origin=run.origin("export", decided, [artifact.path for artifact in artifacts]),
        data=contract.data,
        artifacts=artifacts,
        failures=tuple(outcome for outcome in outcomes if isinstance(outcome, ExportFailure)),
    )
    run.save(run_directory.ARTIFACTS, record)
    return record


def _export_one(converter: Converter, root: Path, name: str) -> Outcome:
    """Put a format's export in its place below `root`; where the model cannot be exported to it, nothing is there."""
    format = pick(Format, name)
    place = root / path_of(format)
    try:
        with staged(place) as draft:
            return converter.convert(format, draft)
    except InputError as error:
        delete(place)
        return ExportFailure(format=name, reason=error.reason)


def _told(outcome: Outcome) -> str:
    if isinstance(outcome, ExportFailure):
        return f"{outcome.format} cannot be exported: {outcome.reason}"
    return f"Exported {outcome.path}: {outcome.size_bytes:,} bytes ({outcome.seconds:.1f} s)"


def show_failures(run: Run) -> None:
    """Log again which formats the model could not be exported to, and why: the same would fail again."""
    for failure in run.artifacts().failures:
        log(_told(failure))


def require(record: Artifacts, formats: Sequence[str] = ()) -> None:
    """Raise InputError where one of these formats (all when none is named) could not be exported."""
    wanted = chosen(formats)
    failed = [failure.format for failure in record.failures if failure.format in wanted]
    if failed:
        of = f"{len(failed)} of {len(wanted)} format{'s' * (len(wanted) > 1)}"
        raise InputError(
            f"{of} could not be exported: {', '.join(failed)}; see the reasons above and in {run_directory.ARTIFACTS}."
        )


def check(run: Run, formats: Sequence[str] = ()) -> list[str]:
    """Export again to a temporary folder and compare with what the run holds; the formats that are the same.

    By the bytes, or by the content hash of a format that cannot give the same bytes; a format that could not be
    exported is the same where it cannot again. Raises GateFailed naming the formats that differ.
    """
    record = run.artifacts()
    outcomes: list[Outcome] = [*record.artifacts, *record.failures]
    known = {outcome.format: outcome for outcome in outcomes}
    wanted = chosen(formats or list(known))
    missing = [name for name in wanted if name not in known]
    if missing:
        raise run.without_export(record, missing[0])
    drop = float(record.origin.inputs.get("max_accuracy_drop", DEFAULTS.max_accuracy_drop))
    differing = []
    with (
        tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root) as folder,
        Converter(run, held_options(run, max_accuracy_drop=drop)) as converter,
    ):
        for name in wanted:
            before = known[name]
            if isinstance(before, Artifact):
                run.artifact_path(before)
            again = _export_one(converter, Path(folder), name)
            same = _content(before) == _content(again)
            what = again.content_sha256[:12] if isinstance(again, Artifact) else _told(again)
            log(f"{name}: {'the same' if same else 'DIFFERS'} ({what})")
            differing += [] if same else [name]
    if differing:
        old, new = record.origin.versions, installed_versions()
        changed = [f"{name} {old.get(name, 'none')} -> {new[name]}" for name in new if old.get(name) != new[name]]
        why = f"; versions have changed: {', '.join(changed)}" if changed else ", with the same versions"
        raise GateFailed(f"Exporting again gave other files for {', '.join(differing)}{why}.")
    return wanted


def _content(outcome: Outcome) -> str:
    return outcome.content_sha256 if isinstance(outcome, Artifact) else ""


def _others(run: Run, wanted: Sequence[str], options: ExportOptions) -> tuple[list[Outcome], list[str]]:
    """Of the other formats: the exports that are still up to date, or else the formats to export again."""
    known = _held(run)
    others = [outcome for outcome in known if outcome.format not in wanted]
    before = held_options(run, max_accuracy_drop=options.max_accuracy_drop)  # the others take no other options
    if is_current(run, [outcome.format for outcome in known], before):
        return others, []
    return [], [outcome.format for outcome in others]


def _held(run: Run) -> list[Outcome]:
    """What the run's record holds of formats that this edgecnn knows; nothing where it is missing or unreadable."""
    old = _recorded(run)
    outcomes: list[Outcome] = [*old.artifacts, *old.failures] if old else []
    return [outcome for outcome in outcomes if outcome.format in discover(Format)]


def _recorded(run: Run) -> Artifacts | None:
    """The run's record; None where it is missing or unreadable."""
    try:
        return run.load(run_directory.ARTIFACTS, Artifacts, "export")
    except UnsupportedSchema:
        raise
    except InputError:
        return None
