"""The verdict on a quantized export follows from bytes, latency and its gate."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgecnn.pretrained import PLACES
from edgecnn.records import LatencyRow, ParityRow, Report
from edgecnn.report.quantization_benefit import Weighing, weigh
from edgecnn.run_directory import REPORT, Run

QUANTIZED = "tflite_int8"


@pytest.fixture(scope="module")
def record() -> Report:
    """The published run's report: real figures, changed a row at a time."""
    return Run(PLACES[1] / "cifar10-cnn").load(REPORT, Report, "report")


def _changed(
    record: Report, *, speed: float | None = None, size: float | None = None, passed: bool = True
) -> dict[str, Weighing]:
    """Weighed after the int8 export got a latency and a size as shares of the float export's, and a verdict."""
    artifacts = {artifact.format: artifact for artifact in record.artifacts.artifacts}
    assert record.latency is not None and record.parity is not None
    base = next(r.p50_ms for r in record.latency.rows if (r.format, r.threads) == ("tflite_float32", 1))

    def latency(row: LatencyRow) -> LatencyRow:
        return replace(row, p50_ms=base * speed) if speed and (row.format, row.threads) == (QUANTIZED, 1) else row

    def judged(row: ParityRow) -> ParityRow:
        verdict, reason = ("pass", "") if passed else ("fail", "too bad")
        return replace(row, verdict=verdict, reason=reason) if row.format == QUANTIZED else row

    if size:
        bytes_of_float = artifacts["tflite_float32"].size_bytes
        artifacts[QUANTIZED] = replace(artifacts[QUANTIZED], size_bytes=round(size * bytes_of_float))
    changed = replace(
        record,
        artifacts=replace(record.artifacts, artifacts=tuple(artifacts.values())),
        latency=replace(record.latency, rows=tuple(map(latency, record.latency.rows))),
        parity=replace(record.parity, rows=tuple(map(judged, record.parity.rows))),
    )
    return {found.artifact.format: found for found in weigh(changed)}


@pytest.mark.parametrize(
    ("sets", "where"),
    [
        (("avx2",), "on a CPU without int8 dot products"),
        (("avx2", "avx512_vnni", "avx_vnni"), "on a CPU with avx512_vnni and avx_vnni"),
        ((), "here"),
    ],
)
def test_what_int8_takes_is_said_of_the_instruction_sets(record: Report, sets: tuple[str, ...], where: str) -> None:
    assert record.latency is not None
    machine = replace(record.latency.origin.machine, instruction_sets=sets)
    latency = replace(record.latency, origin=replace(record.latency.origin, machine=machine))
    found = {w.artifact.format: w.why for w in weigh(replace(record, latency=latency))}
    assert f"of the time {where}, and" in found[QUANTIZED]
    assert "CPU" not in found["tflite_float16"]


def test_every_quantized_export_is_weighed(record: Report) -> None:
    found = {w.artifact.format: w for w in weigh(record)}
    assert {"tflite_float16", "tflite_dynamic", "tflite_int8", "tflite_int8_micro", "onnx_int8"} <= found.keys()
    assert found["onnx_int8"].against.format == "onnx_float32"
    assert found["tflite_int8"].verdict == "worth it"
    for weighing in found.values():
        assert weighing.accuracy is not None and weighing.latency_share is not None and weighing.points is not None


@pytest.mark.parametrize(
    ("speed", "size", "passed", "verdict", "why"),
    [
        (0.5, 0.27, True, "worth it", "50% of the time"),
        (1.0, 0.27, True, "worth it", "as fast"),
        (1.5, 0.27, True, "not worth it", "150% of the time"),
        (1.0, 0.9, True, "not worth it", "neither faster nor much smaller"),
        (0.5, 0.27, False, "not worth it", "fails its gate: too bad"),
    ],
)
def test_the_verdict(record: Report, speed: float, size: float, passed: bool, verdict: str, why: str) -> None:
    weighing = _changed(record, speed=speed, size=size, passed=passed)[QUANTIZED]
    assert weighing.verdict == verdict
    assert why in weighing.why


def test_what_was_not_measured_is_not_known(record: Report) -> None:
    assert {w.verdict for w in weigh(replace(record, latency=None))} == {"not known"}
    assert {w.verdict for w in weigh(replace(record, parity=None))} == {"not known"}
