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
from edgecnn.records import SCHEMA, Golden, GoldenCheck, GoldenRow, GoldenTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgecnn.arrays import Logits
    from edgecnn.execution.targets import ExportTarget
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
        reference=_numbers(found.reference),
        targets=tuple(
            GoldenTarget(
                format=one.pair.format.name,
                runtime=one.pair.runtime.name,
                provider=one.pair.provider,
                outputs=_numbers(one.logits),
            )
            for one in found.results
        ),
    )
    run.save(run_directory.GOLDEN, record)
    return record


def check(run: Run, cpus: Sequence[str] = ()) -> GoldenCheck:
    """Run everything again, on these emulated CPUs too, and compare; nothing is written.

    Raises InputError where golden.json is missing, UsageError for an unknown CPU, MachineError for one not ready here.
    """
    path = run.path(run_directory.GOLDEN)
    if not path.is_file():
        raise InputError(f"{path} is missing, which holds the published outputs; install the run again.")
    record = run.load(run_directory.GOLDEN, Golden, "publish")
    evaluation = _images(run)
    if evaluation.source != record.images_sha256:
        raise InputError(f"{path} is for other synthetic images than this edgecnn generates.")
    log(f"Running {run.root.name} on {COUNT} synthetic images")
    found = _ask(run, evaluation, cpus)
    published = {target.name: target.outputs for target in record.targets}
    rows = [_failed(f"it does not run: {error.reason}", pair.format.name, pair) for pair, error in found.broken]
    rows.append(_row(None, record.reference, found.reference))
    for one in found.results:
        outputs = published.get(replace(one.pair, cpu="").name)
        if outputs is None:
            found.skipped[one.pair.name] = "it did not run when the run was published"
        else:
            there = [outputs[i] for i in one.indices]
            row = _row(one.pair, there, one.logits, "" if _is_pretrained(one.pair) else OTHER_FILE)
            rows.append(replace(row, native=against_native(one, found.results)))
    tried = [*(one.pair for one in found.results), *(pair for pair, _ in found.broken)]
    formats = {pair.format.name for pair in tried}
    not_run = [artifact for artifact in run.artifacts().artifacts if artifact.format not in formats]
    rows += [_failed(OTHER_FILE, a.format) for a in not_run if sha256_of(run.path(a.path)) != a.sha256]
    missing = published.keys() - {pair.name for pair in tried} - found.skipped.keys()
    found.skipped.update(dict.fromkeys(sorted(missing), "it could not run on this machine"))
    open_ones = (*(artifact.format for artifact in not_run), *found.not_run)
    return GoldenCheck(
        schema=SCHEMA,
        run=run.root.name,
        images=COUNT,
        rows=tuple(rows),
        skipped=found.skipped,
        not_run=open_ones,
        verdict=FAIL if any(row.verdict == FAIL for row in rows) else NOT_PROVEN if open_ones else PASS,
    )


def _is_pretrained(pair: ExportTarget) -> bool:
    return sha256_of(pair.path) == pair.artifact.sha256


def _row(
    pair: ExportTarget | None, published: Sequence[Sequence[float]], outputs: Logits, reason: str = ""
) -> GoldenRow:
    """A target's outputs float32 [N, classes], of None the trained model's, compared with those published.

    `reason` is why it fails whatever they are.
    """
    import numpy as np

    found = agreement(np.array(published, np.float32), outputs, None)
    least = LEAST_DB[pair.format.weight_dtype if pair else "float32"]
    if not found.finite or (found.sqnr_db is not None and found.sqnr_db < least):
        reason = f"its outputs are {found.sqnr_db or 0:.1f} dB from those published, {least:.0f} are needed"
    return GoldenRow(
        format=pair.format.name if pair else KERAS,
        runtime=pair.runtime.name if pair else "",
        provider=pair.provider if pair else "",
        agreement=found.top1,
        max_difference=found.max_difference,
        sqnr_db=found.sqnr_db,
        verdict=FAIL if reason else PASS,
        reason=reason,
        cpu=pair.cpu if pair else "",
        emulator=emulator(CPUS[pair.cpu]) if pair and pair.cpu else "",
    )


def _failed(reason: str, format: str, pair: ExportTarget | None = None) -> GoldenRow:
    return GoldenRow(
        format=format,
        runtime=pair.runtime.name if pair else "",
        provider=pair.provider if pair else "",
        agreement=None,
        max_difference=None,
        sqnr_db=None,
        verdict=FAIL,
        reason=reason,
    )


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
    broken: list[tuple[ExportTarget, InputError]]  # files that this machine's own CPU does not run
    not_run: tuple[str, ...]  # of the skipped, those on an emulated CPU


def _ask(run: Run, evaluation: Evaluation, cpus: Sequence[str]) -> _Found:
    with emulated(cpus) as hosts, tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        found, skipped = pairs(run, ())
        found += on_cpus(found, cpus)
        model = run.model_path(run.contract())
        ran = run_targets(model, found, evaluation, Path(folder), hosts=hosts)
    broken: list[tuple[ExportTarget, InputError]] = []
    for pair in found:
        error = ran.refused.get(pair.name)
        if isinstance(error, InputError) and not pair.cpu:
            broken.append((pair, error))
        elif error:
            skipped[pair.name] = error.reason
    not_run = tuple(pair.name for pair in found if pair.cpu and pair.name in ran.refused)
    return _Found(ran.reference, ran.results, skipped, broken, not_run)


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
