"""What a build server is told of a command's record: one check per target, that passed, failed or was skipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgecnn.parity.verdict import PASS
from edgecnn.records.common import setting_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edgecnn.records import Latency, LatencyRow, Layers, Machine, Origin, Parity, ParityRow, RunComparison

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
NO_FIGURE = "-"
UNCHANGED = (("no difference shown",), ("the same",))  # states of a comparison
WHOLE_RUN = "the run as a whole"  # the name of the check of formats that did not run, and of preprocessing paths


@dataclass(frozen=True, kw_only=True)
class Check:
    """What a command found of one target."""

    name: str  # unique among the checks of a command
    state: str = PASSED  # or FAILED or SKIPPED
    kind: str = ""  # of a failure: a verdict of parity, or a kind of regression
    reason: str = ""  # why it failed or was skipped
    seconds: float = 0.0  # that the target ran
    figures: tuple[str, ...] = ()  # one per column, or none


@dataclass(frozen=True, kw_only=True)
class CheckList:
    """All checks of one command; `columns` are the names of their figures."""

    command: str  # "parity", "bench" or "compare"
    subject: str  # the run or runs
    columns: tuple[str, ...]
    checks: tuple[Check, ...]
    gate: bool = True  # whether the command fails where a check does
    created: str = ""  # UTC, ISO 8601; empty where nothing was measured
    facts: Mapping[str, str] = field(default_factory=dict)  # the images, the machine, versions of packages
    notes: tuple[str, ...] = ()  # sentences that qualify the figures

    def of(self, state: str) -> list[Check]:
        """The checks in that state."""
        return [check for check in self.checks if check.state == state]


def parity_checks(subject: str, record: Parity, layers: Layers | None = None) -> CheckList:
    """The checks of `edgecnn parity`: a row each, one of the run as a whole, and each file's layers."""
    whole = Check(
        name=WHOLE_RUN,
        state=FAILED if record.reasons else PASSED,
        kind=record.verdict if record.reasons else "",
        reason="; ".join(record.reasons),
    )
    return CheckList(
        command="parity",
        subject=subject,
        columns=("images", "accuracy", "change in points", "agreement", "SQNR"),
        checks=(
            *(_parity_check(row) for row in record.rows),
            whole,
            *(_layer_checks(layers) if layers else ()),
            *_skipped(record.skipped),
        ),
        created=record.origin.created,
        facts=_facts(record.origin) | {"images": f"{record.images:,}, {record.evaluated_on}"},
        notes=(f"Compared with {record.reference} on {record.images:,} images: {record.evaluated_on}.",),
    )


def _parity_check(row: ParityRow) -> Check:
    change = row.gate_difference
    equal, passed = row.max_logit_difference == 0, row.verdict == PASS
    return Check(
        name=row.name,
        state=PASSED if passed else FAILED,
        kind="" if passed else row.verdict,
        reason=row.reason,
        seconds=row.seconds,
        figures=(
            f"{row.images:,}",
            f"{row.accuracy.share:.2%}" if row.accuracy else NO_FIGURE,
            f"{change.points:+.2f} ({change.low_points:+.2f} to {change.high_points:+.2f})" if change else NO_FIGURE,
            f"{row.agreement:.2%}",
            "equal" if equal else NO_FIGURE if row.sqnr_db is None else f"{row.sqnr_db:.1f} dB",
        ),
    )


def _layer_checks(layers: Layers) -> Iterator[Check]:
    for file in layers.files:
        layer = file.first_divergent_layer
        yield Check(
            name=f"layers of {file.name}",
            state=FAILED if layer else PASSED,
            kind="layers" if layer else "",
            reason=f"layer {layer} diverges: {file.advice}" if layer else "",
        )
    if not layers.files:
        yield Check(name="layers", state=FAILED, kind="layers", reason="no export gives layer outputs here")
    yield from _skipped({f"layers of {name}": reason for name, reason in layers.skipped.items()})


def latency_checks(subject: str, record: Latency, notes: Sequence[str]) -> CheckList:
    """The checks of `edgecnn bench`, which all pass: it only measures."""
    machine = record.machine or record.origin.machine
    return CheckList(
        command="bench",
        subject=subject,
        columns=("p50 ms", "95 % interval", "p90 ms", "p99 ms", "ratio", "99 % interval", "state"),
        checks=(*(_latency_check(row) for row in record.rows), *_skipped(record.skipped)),
        created=record.origin.created,
        facts=_facts(record.origin, machine) | record.versions | {"images": record.measured_on},
        notes=tuple(notes),
        gate=False,
    )


def _latency_check(row: LatencyRow) -> Check:
    interval, ratio = row.p50_interval_ms, row.ratio
    return Check(
        name=f"{row.name}, {setting_name(row.threads, row.batch)}",
        seconds=sum(row.samples_ns) / 1e9,
        figures=(
            f"{row.p50_ms:.3f}",
            f"{interval.low:.3f} to {interval.high:.3f}" if interval else NO_FIGURE,
            f"{row.p90_ms:.3f}",
            f"{row.p99_ms:.3f}",
            f"{ratio.value:.3f}" if ratio else NO_FIGURE,
            f"{ratio.low:.3f} to {ratio.high:.3f}" if ratio else NO_FIGURE,
            ratio.state if ratio else "baseline",
        ),
    )


def comparison_checks(record: RunComparison) -> CheckList:
    """The checks of `edgecnn compare`, what changed first: each target's accuracy and latency, each export's size."""
    failed = {(one.kind, one.name): one.reason for one in record.regressions}
    found = {**_accuracies(record), **_latencies(record), **_sizes(record)}
    for key in failed:
        found.setdefault(key, ())  # what is not there any more
    notes = [f"Fails on {', '.join(record.fail_on)}."]
    notes += [f"Latencies were not compared: {record.latencies_skipped}"] if record.latencies_skipped else []
    for names, run in ((record.only_old, record.old), (record.only_new, record.new)):
        notes += [f"Only in {run}: {len(names)} target{'s' * (len(names) > 1)}."] if names else []
    return CheckList(
        command="compare",
        subject=f"{record.new} with {record.old}",
        columns=("old", "new", "change", "state"),
        checks=tuple(
            Check(
                name=f"{kind} of {name}",
                state=FAILED if (kind, name) in failed else PASSED,
                kind=kind if (kind, name) in failed else "",
                reason=failed.get((kind, name), ""),
                figures=figures,
            )
            for (kind, name), figures in sorted(found.items(), key=lambda item: item[1][-1:] in UNCHANGED)
        ),
        facts={f"machine.{number}": words for number, words in enumerate(record.machines, 1)},
        notes=tuple(notes),
    )


def _accuracies(record: RunComparison) -> dict[tuple[str, str], tuple[str, ...]]:
    found = {}
    for row in record.rows:
        shares = [f"{one.share:.2%}" if one else NO_FIGURE for one in (row.old_accuracy, row.new_accuracy)]
        change = row.accuracy_change
        points = (
            f"{change.points:+.2f} points ({change.low_points:+.2f} to {change.high_points:+.2f})"
            if change
            else NO_FIGURE
        )
        found["accuracy", row.name] = (*shares, points, row.state)
    return found


def _latencies(record: RunComparison) -> dict[tuple[str, str], tuple[str, ...]]:
    return {
        ("latency", row.name): (
            f"{row.old_ms:.3f} ms",
            f"{row.new_ms:.3f} ms",
            f"x{row.change.value:.3f} ({row.change.low:.3f} to {row.change.high:.3f})",
            row.change.state,
        )
        for row in record.latencies
    }


def _sizes(record: RunComparison) -> dict[tuple[str, str], tuple[str, ...]]:
    return {
        ("size", row.format): (
            f"{row.old_bytes:,} bytes",
            f"{row.new_bytes:,} bytes",
            f"{row.growth_percent:+.1f} %",
            row.state,
        )
        for row in record.sizes
    }


def _skipped(reasons: Mapping[str, str]) -> Iterator[Check]:
    for name, reason in reasons.items():
        yield Check(name=name, state=SKIPPED, reason=reason)


def _facts(origin: Origin, machine: Machine | None = None) -> dict[str, str]:
    there = machine or origin.machine
    return {"machine": there.words, "system": there.system, "python": there.python, **origin.versions}
