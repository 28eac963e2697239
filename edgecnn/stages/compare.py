"""Is a new run worse than an old one? Target by target, image by image where both saw the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.benchmark import regression
from edgecnn.benchmark.latency_stats import SLOWER
from edgecnn.errors import InputError, UsageError
from edgecnn.execution.targets import KERAS
from edgecnn.parity.intervals import independent, paired
from edgecnn.parity.verdict import FAIL, PASS
from edgecnn.records import SCHEMA, Parity, RunComparison, TargetComparison

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edgecnn.records import Difference, LatencyComparison
    from edgecnn.run_directory import Run

    Indices = npt.NDArray[np.int32]

BETTER, WORSE, SAME, UNKNOWN = "better", "worse", "no difference shown", "not comparable"


@dataclass(frozen=True)
class _Predictions:
    """A run's predictions.npz: every top-1 class, -1 where a target did not run the image."""

    by_name: dict[str, Indices]
    labels: Indices
    images: str


def compare(old: Run, new: Run, *, across_machines: bool = False) -> RunComparison:
    """Compare what parity found in two runs, and bench where both were measured; `regressions` names
    the targets that lost.

    A target is worse when the 95 % interval of its change in accuracy lies below zero, when it fails parity now and did
    not before, when it passed before and is not there any more (where its CPU was asked for again), or when it is
    slower beyond its latency's interval.
    Raises InputError where a run has not been through parity, UsageError where the runs have other classes or nothing
    in common that was measured, and for latencies of different machines unless they are to be compared all the same.
    """
    classes = [sorted(run.contract().labels) for run in (old, new)]
    if classes[0] != classes[1]:
        raise UsageError(f"{old.root} and {new.root} have different classes; they cannot be compared.")
    records = [run.load(run_directory.PARITY, Parity, "parity") for run in (old, new)]
    predictions = [_predictions(run, record) for run, record in zip((old, new), records, strict=True)]
    labelled = len(predictions[0].labels) > 0
    same = labelled and predictions[0].images == predictions[1].images
    verdicts = [{row.name: row.verdict for row in record.rows} for record in records]
    accuracies = [
        {record.reference: record.reference_accuracy, **{row.name: row.accuracy for row in record.rows}}
        for record in records
    ]
    formats = {row.name: row.format for record in records for row in record.rows}
    cpus = {"", *records[1].origin.inputs.get("cpus", "").split()}
    expected = {row.name for row in records[0].rows if row.verdict == PASS and row.cpu in cpus}
    sizes = [{a.format: a.size_bytes for a in run.artifacts().artifacts} for run in (old, new)]
    latencies, machines = regression.latencies(old, new, across_machines=across_machines)
    rows = []
    for name in (name for name in accuracies[0] if name in accuracies[1]):
        before, now = accuracies[0][name], accuracies[1][name]
        change: Difference | None = None
        if same:
            change = _paired(predictions, name)
        elif before and now:
            change = independent(before, now)
        old_verdict, new_verdict = (verdict.get(name, "") for verdict in verdicts)
        rows.append(
            TargetComparison(
                name=name,
                old_accuracy=before,
                new_accuracy=now,
                accuracy_change=change,
                paired=same,
                old_verdict=old_verdict,
                new_verdict=new_verdict,
                old_size_bytes=sizes[0].get(formats.get(name, "")),
                new_size_bytes=sizes[1].get(formats.get(name, "")),
                state=_state(change, old_verdict, new_verdict),
            )
        )
    if all(row.state == UNKNOWN for row in rows) and not latencies:
        raise UsageError(f"{old.root} and {new.root} have neither an accuracy nor a latency in common.")
    return RunComparison(
        schema=SCHEMA,
        old=str(old.root),
        new=str(new.root),
        same_images=same,
        rows=tuple(rows),
        only_old=tuple(name for name in accuracies[0] if name not in accuracies[1]),
        only_new=tuple(name for name in accuracies[1] if name not in accuracies[0]),
        regressions=tuple(
            [row.name for row in rows if row.state == WORSE]
            + [name for name in verdicts[0] if name in expected and name not in accuracies[1]]
            + [f"{row.name} is slower" for row in latencies if row.change.state == SLOWER]
        ),
        latencies=latencies,
        machines=machines,
    )


def _predictions(run: Run, record: Parity) -> _Predictions:
    import numpy as np

    path = run.path(run_directory.PREDICTIONS)
    if path.is_file() and run.hash_of(run_directory.PREDICTIONS) != record.origin.outputs.get(
        run_directory.PREDICTIONS
    ):
        raise InputError(f"{path} does not belong to parity.json; {run.command('parity')} writes both again.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            by_name = dict(zip(archive["names"].tolist(), archive["predictions"], strict=True))
            by_name[KERAS] = archive["reference"]
            return _Predictions(by_name, archive["labels"], str(archive["images"]))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; {run.command('parity')} writes it.") from None
    except Exception as error:  # zip, zlib and numpy's parser each fail in their own ways
        raise InputError(f"{path} is damaged ({error}); {run.command('parity')} writes it again.") from None


def _paired(predictions: list[_Predictions], name: str) -> Difference | None:
    """The change on the images that both runs' targets answered; None where there are none."""
    before, now = (found.by_name[name] for found in predictions)
    both = (before >= 0) & (now >= 0)
    if not both.any():
        return None
    was_right, is_right = (before == predictions[0].labels)[both], (now == predictions[1].labels)[both]
    found = paired(int((was_right & ~is_right).sum()), int((~was_right & is_right).sum()), int(both.sum()))
    return found.difference


def _state(change: Difference | None, old_verdict: str, new_verdict: str) -> str:
    if new_verdict == FAIL != old_verdict:
        return WORSE
    if change is None:
        return UNKNOWN
    return WORSE if change.high_points < 0 else BETTER if change.low_points > 0 else SAME


def describe_latency(row: LatencyComparison) -> str:
    """The same for a latency."""
    change = f"x{row.change.value:.3f} ({row.change.low:.3f} to {row.change.high:.3f})"
    return f"{row.name}: {row.change.state}, {change}, p50 {row.old_ms:.3f} -> {row.new_ms:.3f} ms"


def describe(row: TargetComparison) -> str:
    """A row in words."""
    parts = [f"{row.name}: {row.state}"]
    if row.old_accuracy and row.new_accuracy:
        parts.append(f"accuracy {row.old_accuracy.share:.2%} -> {row.new_accuracy.share:.2%}")
    if change := row.accuracy_change:
        how = "on the same images" if row.paired else "on different images"
        parts.append(f"{change.points:+.2f} points ({change.low_points:+.2f} to {change.high_points:+.2f}) {how}")
    if row.old_verdict != row.new_verdict:
        parts.append(f"parity {row.old_verdict} -> {row.new_verdict}")
    if row.old_size_bytes and row.new_size_bytes and row.old_size_bytes != row.new_size_bytes:
        parts.append(f"{row.old_size_bytes:,} -> {row.new_size_bytes:,} bytes")
    return ", ".join(parts)
