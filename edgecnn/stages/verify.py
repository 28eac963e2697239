"""Is a run what it says it is? Every hash, every record, and every figure that its files let one compute again.

Nothing is run and nothing is written. What only running the models can tell, as differences of outputs and what
becomes of each layer, is for `edgecnn parity`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import edgecnn
from edgecnn import run_directory
from edgecnn.benchmark.recount import latency_figures
from edgecnn.errors import InputError, reason_of
from edgecnn.execution.targets import KERAS
from edgecnn.files import size_of
from edgecnn.parity.intervals import accuracy
from edgecnn.parity.predictions import load_predictions
from edgecnn.parity.recount import parity_figures
from edgecnn.records import (
    SCHEMA,
    Artifacts,
    Contract,
    Latency,
    Layers,
    Misfit,
    Origin,
    Parity,
    Progress,
    Report,
    Training,
    Verification,
    plain,
)
from edgecnn.report.page import pages
from edgecnn.report.view import SOURCES
from edgecnn.training.checkpoint import STATE, model_name
from edgecnn.training.run_files import class_accuracies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from edgecnn.records import LatencyRow, LayerParity, ParityRow
    from edgecnn.run_directory import Run

    Figures = Iterator[tuple[str, object, object]]  # name, as recorded, as computed again

RELATIVE = 1e-9  # of two figures that are the same: libraries' last digits differ from version to version
KINDS = {**run_directory.RECORDS, STATE: Progress}
MADE_FROM = {*run_directory.RECORDS, run_directory.MODEL, run_directory.SAMPLES, run_directory.EXPORTS}


@dataclass
class _Findings:
    """What was looked at, and what does not fit."""

    run: Run
    records: dict[str, object] = field(default_factory=dict)
    hashes: int = 0
    figures: int = 0
    misfits: list[Misfit] = field(default_factory=list)

    def note(self, file: str, reason: str) -> None:
        self.misfits.append(Misfit(file=file, reason=reason))

    def compare_hash(self, file: str, sha256: str, record: str) -> None:
        self.hashes += 1
        if not self.run.path(file).exists():
            self.note(file, f"it is missing, and {record} names it")
        elif self.run.hash_of(file) != sha256:
            self.note(file, f"it is not the file that {record} names (its SHA-256 differs)")


def verify(run: Run, name: str = "") -> Verification:
    """What of a run's files does not fit the rest; `name` is what to call it.

    Raises InputError where there is no contract, and UnsupportedSchema for a run of another schema.
    """
    run.contract()
    found = _Findings(run)
    _read_records(found)
    _check_hashes(found)
    _check_figures(found)
    return Verification(
        schema=SCHEMA,
        run=name or str(run.root),
        hashes=found.hashes,
        records=len(found.records),
        figures=found.figures,
        misfits=tuple(found.misfits),
    )


def _read_records(found: _Findings) -> None:
    for name, kind in KINDS.items():
        if found.run.path(name).is_file():
            try:
                found.records[name] = found.run.load(name, kind, "run")
            except InputError as error:
                found.note(name, error.reason)


def _check_hashes(found: _Findings) -> None:
    """Of every file that a record names as its output, and of every file of the run that one was made from."""
    for name, record in found.records.items():
        match record:
            case Contract():
                found.compare_hash(run_directory.MODEL, record.model_sha256, name)
            case Progress():
                found.compare_hash(model_name(len(record.history)), record.checkpoint_sha256, name)
            case Artifacts():
                for artifact in record.artifacts:
                    found.compare_hash(artifact.path, artifact.sha256, name)
        origin = getattr(record, "origin", None)
        if isinstance(origin, Origin):
            for file, sha256 in origin.outputs.items():
                found.compare_hash(file, sha256, name)
            for file in sorted(MADE_FROM & {*origin.inputs}):
                found.hashes += 1
                if (now := found.run.hash_of(file)) and now != origin.inputs[file]:
                    found.note(name, f"it was made from another {file} than the run holds")


def _check_figures(found: _Findings) -> None:
    for name, record in found.records.items():
        try:
            for figure, recorded, computed in _figures(found.run, record, found.records):
                found.figures += 1
                if not _same(plain(recorded), plain(computed)):
                    found.note(name, f"{figure} is not what follows from the run's files")
        except InputError as error:
            found.note(name, error.reason)
        except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
            found.note(name, f"its figures cannot be computed again ({reason_of(error)})")


def _figures(run: Run, record: object, records: Mapping[str, object]) -> Figures:
    """What can be computed again of a record; the errors that numbers which do not fit each other lead to."""
    import numpy as np

    match record:
        case Training():
            counts = np.array(record.confusion_matrix)
            right, split = int(np.trace(counts)), record.accuracy.split
            yield "accuracy", record.accuracy, accuracy(right, int(counts.sum()), split)
            yield "class_accuracy", record.class_accuracy, class_accuracies(counts, split)
        case Artifacts():
            for artifact in record.artifacts:
                yield f"size_bytes of {artifact.format}", artifact.size_bytes, size_of(run.path(artifact.path))
        case Parity():
            meaning = run.contract().output_meaning
            yield from parity_figures(record, load_predictions(run, record), meaning)
            yield from _measured_files(record.rows, records)
        case Layers():
            yield from _measured_files(record.files, records)
        case Latency():
            yield from latency_figures(record)
            yield from _measured_files(record.rows, records)
        case Report():
            yield from _of_report(run, record, records)


def _measured_files(rows: Iterable[ParityRow | LayerParity | LatencyRow], records: Mapping[str, object]) -> Figures:
    """Whether each row is about a file of the run."""
    contract, artifacts = records.get(run_directory.CONTRACT), records.get(run_directory.ARTIFACTS)
    known = (
        {artifact.format: artifact.sha256 for artifact in artifacts.artifacts}
        if isinstance(artifacts, Artifacts)
        else {}
    )
    if isinstance(contract, Contract):
        known[KERAS] = contract.model_sha256
    for row in rows:
        yield f"{row.name}: artifact_sha256", row.artifact_sha256, known.get(row.format)


def _of_report(run: Run, record: Report, records: Mapping[str, object]) -> Figures:
    """The records inside it, and both pages where this edgecnn wrote them: what they show is made of them alone."""
    for name in SOURCES:
        yield name, getattr(record, name.removesuffix(".json")), records.get(name)
    if record.origin.inputs.get("edgecnn") == edgecnn.__version__:
        bare = replace(record, origin=replace(record.origin, outputs={}))
        for page, text in pages(run, bare).items():
            yield page, run.path(page).read_text(encoding="utf-8"), text


def _same(one: object, other: object) -> bool:
    """Whether two values of JSON are equal, floats nearly so."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, float) and isinstance(other, float | int):
        return math.isclose(one, other, rel_tol=RELATIVE, abs_tol=RELATIVE)
    return one == other
