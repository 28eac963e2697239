"""Check that every file of a pretrained run still gives its published outputs, on synthetic images alone.

A pretrained run carries no image of its data set. It carries golden.json instead: what the model and each export gave
for synthetic images, which the package generates again from their seed.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.console import log
from edgecnn.data.evaluation import Evaluation
from edgecnn.data.samples import synthetic_images
from edgecnn.errors import InputError
from edgecnn.execution.emulation import CPUS, emulator
from edgecnn.execution.hosts import emulated
from edgecnn.execution.targets import KERAS, on_cpus, pairs
from edgecnn.files import sha256_of
from edgecnn.parity.evaluation import run_targets
from edgecnn.parity.evidence import against_native
from edgecnn.parity.metrics import agreement
from edgecnn.parity.verdict import FAIL, NOT_PROVEN, PASS
from edgecnn.records import SCHEMA, Golden, GoldenCheck, GoldenRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.arrays import Logits
    from edgecnn.parity.evaluation import InferenceResult
    from edgecnn.run_directory import Run


COUNT = 64
OTHER_FILE = "it is not the file that was published (its SHA-256 differs)"
LEAST_DB = {"float32": 80.0, "float16": 50.0, "int8": 25.0}  # other CPUs round otherwise, in int8 by whole steps


def make(run: Run) -> Golden:
    """Write golden.json: outputs for the synthetic images of the model and of each export on each runtime here."""
    evaluation = _images(run)
    found = _ask(run, evaluation, ())
    record = Golden(
        schema=SCHEMA,
        origin=run.origin(
            "golden", {name: run.hash_of(name) for name in (run_directory.MODEL, run_directory.ARTIFACTS)}, []
        ),
        data=run.contract().data,
        images=COUNT,
        images_sha256=evaluation.source,
        outputs={KERAS: _numbers(found.reference), **{one.pair.name: _numbers(one.logits) for one in found.results}},
    )
    run.save(run_directory.GOLDEN, record)
    return record


def check(run: Run, cpus: Sequence[str] = ()) -> GoldenCheck:
    """Run everything again, on these emulated CPUs too, and compare; nothing is written.

    Raises InputError where golden.json is missing, UsageError for an unknown CPU, MachineError for one not ready here.
    """
    if not run.path(run_directory.GOLDEN).is_file():
        raise InputError(
            f"{run.path(run_directory.GOLDEN)} is missing, which holds the published outputs; install the run again."
        )
    record = run.load(run_directory.GOLDEN, Golden, "publish")
    evaluation = _images(run)
    if evaluation.source != record.images_sha256:
        raise InputError(f"{run.path(run_directory.GOLDEN)} is for other synthetic images than this edgecnn generates.")
    log(f"Running {run.root.name} on {COUNT} synthetic images")
    found = _ask(run, evaluation, cpus)
    rows = [_failed(name, f"it does not run: {str(error).rstrip('.')}") for name, error in found.broken.items()]
    rows.append(_row(KERAS, record.outputs[KERAS], found.reference, "float32"))
    for one in found.results:
        published = record.outputs.get(replace(one.pair, cpu="").name)
        if published is None:
            found.skipped[one.pair.name] = "it did not run when the run was published"
            continue
        there = [published[i] for i in one.indices]
        reason = OTHER_FILE if sha256_of(one.pair.path) != one.pair.artifact.sha256 else ""
        row = _row(one.pair.name, there, one.logits, one.pair.format.weight_dtype, reason)
        if one.pair.cpu:
            row = replace(
                row, cpu=one.pair.cpu, emulator=emulator(CPUS[one.pair.cpu]), native=against_native(one, found.results)
            )
        rows.append(row)
    answered = {one.pair.name for one in found.results}
    told = {one.pair.artifact.format for one in found.results} | {name.split(" on ")[0] for name in found.broken}
    not_run = [artifact for artifact in run.artifacts().artifacts if artifact.format not in told]
    others = [artifact.format for artifact in not_run if sha256_of(run.path(artifact.path)) != artifact.sha256]
    rows += [_failed(format, OTHER_FILE) for format in others]
    missing = set(record.outputs) - {KERAS} - answered - found.skipped.keys() - found.broken.keys()
    found.skipped.update(dict.fromkeys(sorted(missing), "it could not run on this machine"))
    open_ones = (*(artifact.format for artifact in not_run), *found.unanswered)
    state = FAIL if any(row.verdict == FAIL for row in rows) else NOT_PROVEN if open_ones else PASS
    return GoldenCheck(
        schema=SCHEMA,
        run=run.root.name,
        images=COUNT,
        rows=tuple(rows),
        skipped=found.skipped,
        not_run=open_ones,
        verdict=state,
    )


def _row(name: str, published: Sequence[Sequence[float]], outputs: Logits, numbers: str, reason: str = "") -> GoldenRow:
    """A target's outputs float32 [N, classes] and the published ones; `reason` is why it fails whatever they are."""
    import numpy as np

    found = agreement(np.array(published, np.float32), outputs, None)
    least = LEAST_DB[numbers]
    if not found.finite or (found.sqnr_db is not None and found.sqnr_db < least):
        reason = f"its outputs are {found.sqnr_db or 0:.1f} dB from those published, {least:.0f} are needed"
    return GoldenRow(
        name=name,
        agreement=found.top1,
        max_difference=found.max_difference,
        sqnr_db=found.sqnr_db,
        verdict=FAIL if reason else PASS,
        reason=reason,
    )


def _failed(name: str, reason: str) -> GoldenRow:
    return GoldenRow(name=name, agreement=None, max_difference=None, sqnr_db=None, verdict=FAIL, reason=reason)


def _numbers(values: Logits) -> tuple[tuple[float, ...], ...]:
    """float32 as the shortest numbers that are read back to the same bits."""
    return tuple(tuple(float(str(value)) for value in row) for row in values)


def _images(run: Run) -> Evaluation:
    images = synthetic_images(COUNT, run.contract())
    return Evaluation(images, None, f"{COUNT} synthetic images", hashlib.sha256(images.tobytes()).hexdigest())


@dataclass(frozen=True)
class _Found:
    """The reference's outputs float32 [COUNT, classes], those of each target, and what did not run, with reasons."""

    reference: Logits
    results: list[InferenceResult]
    skipped: dict[str, str]
    broken: dict[str, InputError]  # files that this machine's own CPU does not run
    unanswered: tuple[str, ...]  # of the skipped, those on an emulated CPU


def _ask(run: Run, evaluation: Evaluation, cpus: Sequence[str]) -> _Found:
    with emulated(cpus) as hosts, tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        found, skipped = pairs(run, ())
        found += on_cpus(found, cpus)
        model = run.model_path(run.contract())
        ran = run_targets(model, found, evaluation, Path(folder), hosts=hosts)
    refused = ran.refused
    unanswered = tuple(pair.name for pair in found if pair.cpu and pair.name in refused)
    broken = {n: error for n, error in refused.items() if isinstance(error, InputError) and n not in unanswered}
    skipped |= {name: str(error).rstrip(".") for name, error in refused.items() if name not in broken}
    return _Found(ran.reference, ran.results, skipped, broken, unanswered)


def describe(row: GoldenRow) -> str:
    """A row in words."""
    if row.max_difference is None:
        return f"{row.name}: FAIL, {row.reason}"
    seen = (
        "equal to the bit"
        if row.sqnr_db is None
        else f"{row.sqnr_db:.1f} dB, largest difference {row.max_difference:.2g}"
    )
    words = f"{row.name}: {'as published' if row.verdict == PASS else f'FAIL, {row.reason}'} ({seen})"
    return f"{words}; {row.native.words} ({row.emulator})" if row.native else words
