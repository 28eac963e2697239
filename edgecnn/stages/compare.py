"""Is a new run worse than an old one? Target by target, image by image where both saw the same images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn import run_directory
from edgecnn.benchmark import regression
from edgecnn.benchmark.latency_stats import SLOWER
from edgecnn.errors import InputError, UsageError
from edgecnn.parity.intervals import independent
from edgecnn.parity.predictions import load_predictions, paired_change
from edgecnn.parity.verdict import FAIL, PASS
from edgecnn.records import SCHEMA, Parity, Regression, RunComparison, SizeComparison, TargetComparison

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgecnn.records import Difference, LatencyComparison
    from edgecnn.run_directory import Run

BETTER, WORSE, SAME, UNKNOWN = "better", "worse", "no difference shown", "not comparable"
SMALLER, LARGER, SAME_SIZE = "smaller", "larger", "the same"
ACCURACY, LATENCY, SIZE = KINDS = ("accuracy", "latency", "size")  # of regression


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """Which kinds of regression are looked for, and how much slower or larger a target may become, in percent."""

    fail_on: tuple[str, ...] = (ACCURACY,)
    max_slowdown_percent: float = 5.0
    max_growth_percent: float = 5.0
    across_machines: bool = False


def compare(old: Run, new: Run, options: CompareOptions | None = None) -> RunComparison:
    """Compare what parity found in two runs, bench where both were measured, and the sizes of their exports.

    `regressions` are of the kinds that were asked for. Accuracy: the 95 % interval of its change lies below zero, a
    target fails parity now and did not before, or it passed before and is not there any more (where its CPU was asked
    for again). Latency: the 99 % interval of its ratio lies above the slowdown that is allowed. Size: the file grew by
    more than is allowed.

    Raises InputError where a run has not been through parity or, for latency, through bench; UsageError where the runs
    have other classes or nothing in common of a kind that was asked for, and, for latency, different machines unless
    they are to be compared all the same.
    """
    options = options or CompareOptions()
    classes = [sorted(run.contract().labels) for run in (old, new)]
    if classes[0] != classes[1]:
        raise UsageError(f"{old.root} and {new.root} have different classes; they cannot be compared.")
    records = [run.load(run_directory.PARITY, Parity, "parity") for run in (old, new)]
    rows, same_images = _targets(old, new, records)
    latencies, machines, skipped = _latencies(old, new, options)
    sizes = _sizes(old, new)
    comparable = {ACCURACY: any(row.state != UNKNOWN for row in rows), LATENCY: bool(latencies), SIZE: bool(sizes)}
    for kind in options.fail_on:
        if not comparable[kind]:
            raise UsageError(f"{old.root} and {new.root} have no {kind} in common, so nothing of it can be compared.")
    found = {
        ACCURACY: [*_accuracy_regressions(rows), *_missing(records)],
        LATENCY: _slowdowns(latencies, options.max_slowdown_percent),
        SIZE: _growth(sizes, options.max_growth_percent),
    }
    names = [(record.reference, *(row.name for row in record.rows)) for record in records]
    return RunComparison(
        schema=SCHEMA,
        old=str(old.root),
        new=str(new.root),
        same_images=same_images,
        rows=rows,
        latencies=latencies,
        sizes=sizes,
        only_old=tuple(name for name in names[0] if name not in names[1]),
        only_new=tuple(name for name in names[1] if name not in names[0]),
        fail_on=options.fail_on,
        max_slowdown_percent=options.max_slowdown_percent,
        max_growth_percent=options.max_growth_percent,
        regressions=tuple(one for kind in options.fail_on for one in found[kind]),
        machines=machines,
        latencies_skipped=skipped,
    )


def _targets(old: Run, new: Run, records: Sequence[Parity]) -> tuple[tuple[TargetComparison, ...], bool]:
    """The targets that both runs have, and whether they ran the same labelled images."""
    before, now = (load_predictions(run, record) for run, record in zip((old, new), records, strict=True))
    same = len(before.labels) > 0 and before.images == now.images
    accuracies = [
        {record.reference: record.reference_accuracy, **{row.name: row.accuracy for row in record.rows}}
        for record in records
    ]
    verdicts = [{row.name: row.verdict for row in record.rows} for record in records]
    rows = []
    for name in (name for name in accuracies[0] if name in accuracies[1]):
        old_accuracy, new_accuracy = accuracies[0][name], accuracies[1][name]
        change: Difference | None = None
        if same:
            change = paired_change(before, now, name)
        elif old_accuracy and new_accuracy:
            change = independent(old_accuracy, new_accuracy)
        old_verdict, new_verdict = (verdict.get(name, "") for verdict in verdicts)
        rows.append(
            TargetComparison(
                name=name,
                old_accuracy=old_accuracy,
                new_accuracy=new_accuracy,
                accuracy_change=change,
                paired=same,
                old_verdict=old_verdict,
                new_verdict=new_verdict,
                state=_state(change, old_verdict, new_verdict),
            )
        )
    return tuple(rows), same


def _latencies(
    old: Run, new: Run, options: CompareOptions
) -> tuple[tuple[LatencyComparison, ...], tuple[str, ...], str]:
    """The latencies, the machines, and why latencies are not compared where that is not asked for."""
    try:
        return (*regression.latencies(old, new, across_machines=options.across_machines), "")
    except (InputError, UsageError) as error:
        if LATENCY in options.fail_on:
            raise
        return (), (), str(error)


def _sizes(old: Run, new: Run) -> tuple[SizeComparison, ...]:
    before, now = ({a.format: a.size_bytes for a in run.artifacts().artifacts} for run in (old, new))
    return tuple(
        SizeComparison(
            format=format,
            old_bytes=before[format],
            new_bytes=now[format],
            state=LARGER if now[format] > before[format] else SMALLER if now[format] < before[format] else SAME_SIZE,
        )
        for format in before
        if format in now
    )


def _accuracy_regressions(rows: Sequence[TargetComparison]) -> Iterator[Regression]:
    for row in rows:
        if row.state == WORSE:
            reason = "it fails parity now" if row.new_verdict == FAIL != row.old_verdict else _change_in_words(row)
            yield Regression(kind=ACCURACY, name=row.name, reason=reason)


def _missing(records: Sequence[Parity]) -> Iterator[Regression]:
    """What passed before and was not run now; a CPU that was not asked for again is not missed."""
    old, new = records
    cpus = {"", *new.origin.inputs.get("cpus", "").split()}
    there = {row.name for row in new.rows}
    for row in old.rows:
        if row.verdict == PASS and row.cpu in cpus and row.name not in there:
            yield Regression(kind=ACCURACY, name=row.name, reason="it passed parity before and was not run now")


def _slowdowns(rows: Sequence[LatencyComparison], allowed: float) -> Iterator[Regression]:
    for row in rows:
        if row.change.state == SLOWER and row.change.low > 1 + allowed / 100:
            reason = f"{_ratio_in_words(row)}, more than {allowed:g} % slower"
            yield Regression(kind=LATENCY, name=row.name, reason=reason)


def _growth(rows: Sequence[SizeComparison], allowed: float) -> Iterator[Regression]:
    for row in rows:
        if row.growth_percent > allowed:
            reason = f"{_bytes_in_words(row)}, more than {allowed:g} % larger"
            yield Regression(kind=SIZE, name=row.format, reason=reason)


def _state(change: Difference | None, old_verdict: str, new_verdict: str) -> str:
    if new_verdict == FAIL != old_verdict:
        return WORSE
    if change is None:
        return UNKNOWN
    return WORSE if change.high_points < 0 else BETTER if change.low_points > 0 else SAME


def _change_in_words(row: TargetComparison) -> str:
    change = row.accuracy_change
    assert change is not None, "a state other than unknown comes from a change"
    how = "on the same images" if row.paired else "on different images"
    return f"{change.points:+.2f} points ({change.low_points:+.2f} to {change.high_points:+.2f}) {how}"


def _ratio_in_words(row: LatencyComparison) -> str:
    return f"x{row.change.value:.3f} ({row.change.low:.3f} to {row.change.high:.3f})"


def _bytes_in_words(row: SizeComparison) -> str:
    return f"{row.old_bytes:,} -> {row.new_bytes:,} bytes ({row.growth_percent:+.1f} %)"


def describe(row: TargetComparison) -> str:
    """A row in words."""
    parts = [f"{row.name}: {row.state}"]
    if row.old_accuracy and row.new_accuracy:
        parts.append(f"accuracy {row.old_accuracy.share:.2%} -> {row.new_accuracy.share:.2%}")
    if row.accuracy_change:
        parts.append(_change_in_words(row))
    if row.old_verdict != row.new_verdict:
        parts.append(f"parity {row.old_verdict} -> {row.new_verdict}")
    return ", ".join(parts)


def describe_latency(row: LatencyComparison) -> str:
    """The same for a latency."""
    return f"{row.name}: {row.change.state}, {_ratio_in_words(row)}, p50 {row.old_ms:.3f} -> {row.new_ms:.3f} ms"


def describe_size(row: SizeComparison) -> str:
    """The same for a file's size."""
    return f"{row.format}: {row.state}, {_bytes_in_words(row)}"
