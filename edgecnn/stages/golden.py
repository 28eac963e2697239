"""Does every file of a published run still answer as published? Proved on drawn images, with no data at hand.

A published run carries no image of its data set. It carries golden.json instead: what the model and each export gave
for drawn images, which the package draws again by their seed.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import run as files
from edgecnn.console import say
from edgecnn.errors import InputError
from edgecnn.grid import ask_all
from edgecnn.images import Evaluation, drawn
from edgecnn.judging import FAIL, NOT_PROVEN, PASS, agreement
from edgecnn.records import SCHEMA, Golden, GoldenRow, Regolden
from edgecnn.run import sha256_of
from edgecnn.targets import KERAS, pairs

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.run import Run
    from edgecnn.targets import Pair

    Logits = npt.NDArray[np.float32]

COUNT = 64
OTHER_FILE = "it is not the file that was published (its SHA-256 differs)"
LEAST_DB = {"float32": 80.0, "float16": 50.0, "int8": 25.0}  # other CPUs round otherwise, in int8 by whole steps


def make(run: Run) -> Golden:
    """Write golden.json: outputs for the drawn images of the model and of each export on each runtime here."""
    evaluation = _images(run)
    outputs, _, _ = _ask(run, evaluation)
    record = Golden(
        schema=SCHEMA,
        origin=run.origin("golden", {name: run.hash_of(name) for name in (files.MODEL, files.ARTIFACTS)}, []),
        data=run.contract().data,
        images=COUNT,
        images_sha256=evaluation.source,
        outputs={name: _numbers(values) for name, (_, values) in outputs.items()},
    )
    run.save(files.GOLDEN, record)
    return record


def check(run: Run) -> Regolden:
    """Ask everything again and compare; nothing is written. Raises InputError where golden.json is missing."""
    import numpy as np

    if not run.path(files.GOLDEN).is_file():
        raise InputError(f"{run.path(files.GOLDEN)} is missing, which says what was answered; install it again.")
    record = run.load(files.GOLDEN, Golden, "publish")
    evaluation = _images(run)
    if evaluation.source != record.images_sha256:
        raise InputError(f"{run.path(files.GOLDEN)} is about other drawn images than this edgecnn draws.")
    say(f"Asking {run.root.name} about {COUNT} drawn images again")
    outputs, skipped, refused = _ask(run, evaluation)
    rows = [_failed(name, f"it does not run: {str(error).rstrip('.')}") for name, error in refused.items()]
    for name, (pair, values) in outputs.items():
        if name not in record.outputs:
            skipped[name] = "it was not asked when the run was published"
            continue
        found = agreement(np.array(record.outputs[name], np.float32), values, None)
        least = LEAST_DB[pair.format.numbers if pair else "float32"]
        reason = OTHER_FILE if pair and sha256_of(pair.path) != pair.artifact.sha256 else ""
        if not found.finite or (found.sqnr_db is not None and found.sqnr_db < least):
            reason = f"its outputs are {found.sqnr_db or 0:.1f} dB from those published, {least:.0f} are needed"
        rows.append(
            GoldenRow(
                name=name,
                agreement=found.top1,
                max_difference=found.max_difference,
                sqnr_db=found.sqnr_db,
                verdict=FAIL if reason else PASS,
                reason=reason,
            )
        )
    answered = {pair.artifact.format for pair, _ in outputs.values() if pair}
    told = {name.split(" on ")[0] for name in refused} | answered
    unasked = [artifact for artifact in run.artifacts().artifacts if artifact.format not in told]
    others = [artifact.format for artifact in unasked if sha256_of(run.path(artifact.path)) != artifact.sha256]
    rows += [_failed(format, OTHER_FILE) for format in others]
    missing = [name for name in record.outputs if name not in outputs and name not in (*skipped, *refused)]
    skipped |= dict.fromkeys(missing, "it could not be asked on this machine")
    state = FAIL if any(row.verdict == FAIL for row in rows) else NOT_PROVEN if unasked else PASS
    return Regolden(
        schema=SCHEMA,
        run=run.root.name,
        images=COUNT,
        rows=tuple(rows),
        skipped=skipped,
        unasked=tuple(artifact.format for artifact in unasked),
        verdict=state,
    )


def _failed(name: str, reason: str) -> GoldenRow:
    return GoldenRow(name=name, agreement=None, max_difference=None, sqnr_db=None, verdict=FAIL, reason=reason)


def _numbers(values: Logits) -> tuple[tuple[float, ...], ...]:
    """float32 as the shortest numbers that are read back to the same bits."""
    return tuple(tuple(float(str(value)) for value in row) for row in values)


def _images(run: Run) -> Evaluation:
    images = drawn(COUNT, run.contract())
    return Evaluation(images, None, f"{COUNT} drawn images", hashlib.sha256(images.tobytes()).hexdigest())


def _ask(
    run: Run, evaluation: Evaluation
) -> tuple[dict[str, tuple[Pair | None, Logits]], dict[str, str], dict[str, InputError]]:
    """Outputs float32 [COUNT, classes] by name, the reference's first; what could not be asked here; broken files."""
    found, skipped = pairs(run, ())
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        model = run.model_path(run.contract())
        reference, asked, refused = ask_all(model, found, evaluation, COUNT, Path(folder))
    outputs: dict[str, tuple[Pair | None, Logits]] = {KERAS: (None, reference)}
    outputs |= {one.pair.name: (one.pair, one.logits) for one in asked}
    broken = {name: error for name, error in refused.items() if isinstance(error, InputError)}
    skipped |= {name: str(error).rstrip(".") for name, error in refused.items() if name not in broken}
    return outputs, skipped, broken


def describe(row: GoldenRow) -> str:
    """A row in words."""
    if row.max_difference is None:
        return f"{row.name}: FAIL, {row.reason}"
    seen = (
        "equal to the bit"
        if row.sqnr_db is None
        else f"{row.sqnr_db:.1f} dB, largest difference {row.max_difference:.2g}"
    )
    return f"{row.name}: {'as published' if row.verdict == PASS else f'FAIL, {row.reason}'} ({seen})"
