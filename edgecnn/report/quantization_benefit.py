"""Does quantization pay on this machine? A quantized export against the float one whose place it would take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.environment import DOT_PRODUCTS
from edgecnn.export.format import Format
from edgecnn.parity.verdict import FAIL
from edgecnn.plugins import discover

if TYPE_CHECKING:
    from edgecnn.records import Accuracy, Artifact, Latency, LatencyRow, ParityRow, Report

SMALLER = 0.75  # of the bytes: worth a format of its own when it costs nothing else
FASTER, SLOWER = 0.95, 1.05  # of the latency: within these a difference is not worth a word


@dataclass(frozen=True)
class Weighing:
    """A quantized export, what it was weighed against, and the verdict: "worth it", "not worth it", "not known"."""

    artifact: Artifact
    against: Artifact
    runtime: str
    accuracy: Accuracy | None
    points: float | None  # accuracy against the float export's, over the same images
    latency_ms: tuple[float, float] | None  # medians of one image on one thread: its own, the float export's
    verdict: str
    why: str

    @property
    def bytes_share(self) -> float:
        """Its bytes as a share of the float export's."""
        return self.artifact.size_bytes / self.against.size_bytes

    @property
    def latency_share(self) -> float | None:
        """Its latency as a share of the float export's."""
        return self.latency_ms[0] / self.latency_ms[1] if self.latency_ms else None


def weigh(record: Report) -> list[Weighing]:
    """Every quantized export whose float counterpart is there too, on each runtime both were measured on."""
    artifacts = {artifact.format: artifact for artifact in record.artifacts.artifacts}
    found = []
    for name, format in discover(Format).items():
        mine, other = artifacts.get(name), artifacts.get(format.float_counterpart)
        if mine is None or other is None:
            continue
        where = _where(record.latency) if format.weight_dtype == "int8" else "here"
        rows = tuple(row for row in (record.parity.rows if record.parity else ()) if not row.cpu)
        timed = record.latency.rows if record.latency else ()
        seen = [*((row.artifact_sha256, row.runtime) for row in rows), *((r.artifact_sha256, r.runtime) for r in timed)]
        both = [[runtime for sha256, runtime in seen if sha256 == artifact.sha256] for artifact in (mine, other)]
        for runtime in [name for name in dict.fromkeys(both[0]) if name in both[1]] or [""]:
            judged = [_of(rows, artifact, runtime) for artifact in (mine, other)]
            medians = [_median(timed, artifact, runtime) for artifact in (mine, other)]
            found.append(_weighed(mine, other, runtime, judged[0], judged[1], medians, where))
    return found


def _of(rows: tuple[ParityRow, ...], artifact: Artifact, runtime: str) -> ParityRow | None:
    return next((row for row in rows if (row.artifact_sha256, row.runtime) == (artifact.sha256, runtime)), None)


def _median(rows: tuple[LatencyRow, ...], artifact: Artifact, runtime: str) -> float | None:
    here = [row for row in rows if (row.artifact_sha256, row.runtime) == (artifact.sha256, runtime)]
    return next((row.p50_ms for row in here if (row.threads, row.batch) == (1, 1)), None)


def _weighed(
    mine: Artifact,
    other: Artifact,
    runtime: str,
    judged: ParityRow | None,
    judged_other: ParityRow | None,
    medians: list[float | None],
    where: str,
) -> Weighing:
    accuracy = judged.accuracy if judged else None
    points = None
    if accuracy and judged_other and judged_other.accuracy:
        points = 100 * (accuracy.share - judged_other.accuracy.share)
    ms = (medians[0], medians[1]) if medians[0] is not None and medians[1] is not None else None
    share = ms[0] / ms[1] if ms else None
    verdict, why = _verdict(mine.size_bytes / other.size_bytes, share, judged, other.format, where)
    return Weighing(mine, other, runtime, accuracy, points, ms, verdict, why)


def _where(latency: Latency | None) -> str:
    """The machine the latencies are of, by what decides about int8: whether its CPU has dot products."""
    machine = (latency.machine or latency.origin.machine) if latency else None
    if machine is None or not machine.instruction_sets:
        return "here"
    products = [name for name in machine.instruction_sets if name in DOT_PRODUCTS]
    return f"on a CPU with {' and '.join(products)}" if products else "on a CPU without int8 dot products"


def _verdict(size: float, share: float | None, judged: ParityRow | None, against: str, where: str) -> tuple[str, str]:
    """The verdict and the sentence that gives its reason; `where` says on what its speed was measured."""
    if judged is not None and judged.verdict == FAIL:
        return "not worth it", f"It fails its gate: {judged.reason}."
    if share is None:
        return "not known", "Its speed relative to the float export has not been measured here."
    if judged is None:
        return "not known", "Its outputs have not been compared with the trained model's."
    smaller = f"{size:.0%} of the bytes of {against}"
    if share > SLOWER:
        return "not worth it", f"It takes {share:.0%} of the time {where}, and only saves space: {smaller}."
    if share < FASTER:
        return "worth it", f"It takes {share:.0%} of the time {where}, and {smaller}."
    if size <= SMALLER:
        return "worth it", f"It is as fast, and takes {smaller}."
    return "not worth it", f"It is neither faster nor much smaller: {smaller}."
