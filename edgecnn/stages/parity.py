"""Ask every export on every runtime here about the same images as Keras, and judge what it answers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn import run as files
from edgecnn.console import say
from edgecnn.images import evaluation_of
from edgecnn.records import SCHEMA, Flip, Parity, ParityRow, Placement
from edgecnn.run import TEMPORARY, Run, save_array, usable_cores
from edgecnn.statistics import accuracy
from edgecnn.targets import pairs
from edgecnn.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from edgecnn.images import Evaluation
    from edgecnn.plugins import Gate
    from edgecnn.records import Accuracy
    from edgecnn.targets import Pair

    Logits = npt.NDArray[np.float32]

RUNTIME_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "onnxruntime", "edgecnn")
SPLIT = "test"
ALWAYS_ALLOWED = 2  # images: float rounding alone turns as many ties, however small the test split is
ROUNDING = 1e-9


def inputs(run: Run, evaluation: Evaluation, data: str | None, formats: Sequence[str]) -> dict[str, str]:
    """What decides the answers: the files' hashes, the images, and the runtimes' versions."""
    versions = files.installed_versions()
    return {
        **{name: run.hash_of(name) for name in (files.MODEL, files.CONTRACT, files.ARTIFACTS)},
        "data": data or "",
        "images": evaluation.source,
        "formats": " ".join(sorted(formats)),
        **{name: versions.get(name, "missing") for name in RUNTIME_PACKAGES},
    }


def is_current(run: Run, data: str | None, formats: Sequence[str]) -> bool:
    """Whether parity.json is the verdict on what the run holds now."""
    if not run.path(files.PARITY).is_file():
        return False
    evaluation = evaluation_of(run.contract(), run.training().data, data)
    return run.is_current(files.PARITY, Parity, inputs(run, evaluation, data, formats))


def parity(run: Run, data: str | None = None, formats: Sequence[str] = ()) -> Parity:
    """Judge every export against Keras and write parity.json; `passed` in it says whether all gates held.

    `data` None is the test split the model was trained beside. Raises InputError for files that are not those
    exported, MachineError when a worker dies.
    """

    contract = run.contract()
    evaluation = evaluation_of(contract, run.training().data, data)
    found, skipped = pairs(run, formats)
    say(f"Parity over {len(evaluation.images):,} images: {evaluation.words}")
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=run.root) as folder:
        images = Path(folder) / "images.npy"
        save_array(images, evaluation.images)
        reference, _, seconds = _ask("keras", run.model_path(contract), images, None)
        say(f"  keras: reference ({seconds:.1f} s)")
        rows = []
        for pair in found:
            logits, placement, seconds = _ask(pair.runtime.name, pair.path, images, contract.output.name)
            row = judge(pair, reference, logits, evaluation, placement, seconds)
            say(f"  {row.format} on {row.runtime}: {describe(row)} ({seconds:.1f} s)")
            rows.append(row)
    for name, reason in skipped.items():
        say(f"  {name}: skipped, {reason}")
    record = Parity(
        schema=SCHEMA,
        origin=run.origin("parity", inputs(run, evaluation, data, formats), []),
        data=contract.data,
        evaluated_on=evaluation.words,
        images=len(evaluation.images),
        reference="keras",
        reference_accuracy=_accuracy(reference, evaluation),
        rows=tuple(rows),
        skipped=skipped,
        passed=bool(rows) and all(row.passed for row in rows),
    )
    run.save(files.PARITY, record)
    return record


def describe(row: ParityRow) -> str:
    """A row in words."""
    measured = f"accuracy {row.accuracy.share:.2%}, " if row.accuracy else ""
    verdict = "pass" if row.passed else f"FAIL, {row.reason}"
    return (
        f"{measured}agreement {row.agreement:.2%}, {len(row.flips)} flips, largest logit difference "
        f"{row.max_logit_difference:.2g}: {verdict}"
    )


def _ask(runtime: str, path: Path, images: Path, output: str | None) -> tuple[Logits, Placement, float]:
    """All answers of one artifact on one runtime, from a worker on all cores; output None is its only one."""
    import numpy as np

    answers = images.with_name("answers.npy")
    with Worker(runtime, path, threads=usable_cores()) as worker:
        seconds = worker.ask("run", images=str(images), answers=str(answers), output=output)["seconds"]
        return np.load(answers), Placement(**worker.loaded["placement"]), seconds


def judge(
    pair: Pair, reference: Logits, logits: Logits, evaluation: Evaluation, placement: Placement, seconds: float
) -> ParityRow:
    """Compare float32 [N, classes] logits of an artifact with the reference's on the same images."""
    import numpy as np

    expected, answered = reference.argmax(axis=1), logits.argmax(axis=1)
    labels = evaluation.labels
    flips = tuple(
        Flip(
            image=int(i),
            label=None if labels is None else int(labels[i]),
            reference=int(expected[i]),
            answer=int(answered[i]),
        )
        for i in np.flatnonzero(expected != answered)
    )
    lost = 0 if labels is None else int((expected == labels).sum() - (answered == labels).sum())
    difference = float(np.abs(logits - reference).max())
    finite = bool(np.isfinite(logits).all())
    reason = _failure(pair.format.gate, len(expected), len(flips), lost) if finite else "some answers are not finite"
    return ParityRow(
        format=pair.format.name,
        runtime=pair.runtime.name,
        artifact_sha256=pair.artifact.sha256,
        images=len(expected),
        accuracy=_accuracy(logits, evaluation),
        agreement=1 - len(flips) / len(expected),
        flips=flips,
        max_logit_difference=difference if np.isfinite(difference) else -1.0,
        placement=placement,
        gate=_gate_words(pair.format.gate, labelled=labels is not None),
        passed=not reason,
        reason=reason,
        seconds=seconds,
    )


def _failure(gate: Gate, images: int, flips: int, lost: int) -> str:
    """Why a gate does not hold; empty when it does. `lost` is how many fewer answers are right."""
    allowed_loss = max(ALWAYS_ALLOWED, gate.max_drop_points / 100 * images)
    allowed_flips = max(ALWAYS_ALLOWED, (1 - gate.min_agreement) * images)
    if lost > allowed_loss + ROUNDING:
        return f"accuracy fell by {100 * lost / images:.2f} points, {gate.max_drop_points} are allowed"
    if flips > allowed_flips + ROUNDING:
        return f"agreement is {1 - flips / images:.2%}, {gate.min_agreement:.2%} is needed"
    return ""


def _gate_words(gate: Gate, *, labelled: bool) -> str:
    agreement = f"agreement at least {gate.min_agreement:.2%}"
    drop = f", accuracy at most {gate.max_drop_points} points lower" if labelled else ""
    return f"{agreement}{drop}; {ALWAYS_ALLOWED} images are always allowed"


def _accuracy(logits: Logits, evaluation: Evaluation) -> Accuracy | None:
    if evaluation.labels is None:
        return None
    return accuracy(int((logits.argmax(axis=1) == evaluation.labels).sum()), len(logits), SPLIT)
