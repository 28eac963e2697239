"""Which file is recommended for which device, and what is said against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgecnn.export.format import DEVICES, Format
from edgecnn.plugins import discover
from edgecnn.pretrained import PLACES
from edgecnn.records import LatencyRow, ParityRow, Report
from edgecnn.report.deployment import Deployment, deployments
from edgecnn.report.sections.decision import decision_table
from edgecnn.report.view import lines
from edgecnn.run_directory import REPORT, Run

RUN = Run(PLACES[1] / "cifar10-cnn")
INT8 = {"tflite_int8", "tflite_dynamic", "onnx_int8"}


@pytest.fixture(scope="module")
def record() -> Report:
    """The pretrained run's report: real figures, changed a row at a time."""
    return RUN.load(REPORT, Report, "report")


def chosen(record: Report) -> dict[str, Deployment]:
    return {found.device: found for found in deployments(record, lines(RUN, record))}


def changed(record: Report, formats: set[str], **values: Any) -> Report:
    """With these values in the parity and latency rows of some formats."""

    def of(row: ParityRow | LatencyRow) -> Any:
        mine = {name: value for name, value in values.items() if hasattr(row, name)}
        return replace(row, **mine) if row.format in formats else row

    assert record.parity and record.latency
    return replace(
        record,
        parity=replace(record.parity, rows=tuple(map(of, record.parity.rows))),
        latency=replace(record.latency, rows=tuple(map(of, record.latency.rows))),
    )


def test_every_device_gets_a_file_made_for_it_on_its_runtime(record: Report) -> None:
    found = chosen(record)
    assert tuple(found) == DEVICES
    names = {device: one.line.name for device, one in found.items() if one.line}
    assert names == {
        "phone": "tflite_int8 on litert (xnnpack)",
        "browser": "onnx_int8 on onnxruntime (cpu)",
        "Raspberry Pi": "tflite_int8 on litert (xnnpack)",
        "microcontroller": "tflite_int8_micro on tflite_micro (cpu)",
        "server": "onnx_int8 on onnxruntime (cpu)",
    }
    assert all({*format.devices} <= {*DEVICES} and format.devices for format in discover(Format).values())


def test_what_fails_is_not_recommended_and_what_is_not_proven_only_last(record: Report) -> None:
    failing = changed(record, INT8, verdict="fail", reason="it is bad")
    line = chosen(failing)["phone"].line
    assert line is not None and line.artifact.format not in INT8 and line.artifact.format.startswith("tflite_float")
    doubtful = changed(record, {"tflite_int8_micro"}, verdict="not proven", reason="too few images")
    assert chosen(doubtful)["microcontroller"].against.startswith("Parity is not proven: too few images; ")
    none = chosen(changed(record, {"tflite_int8_micro"}, verdict="fail", reason="it is bad"))["microcontroller"]
    assert none.line is None
    assert none.against == "Every file for it fails; tflite_int8_micro on tflite_micro (cpu): it is bad."


def test_of_about_equally_fast_files_the_smallest_is_taken(record: Report) -> None:
    assert record.latency is not None
    fast = min(row.p50_ms for row in record.latency.rows if row.format == "tflite_int8" and row.threads == 1)
    near = chosen(changed(record, {"tflite_dynamic"}, p50_ms=1.04 * fast))["phone"].line
    assert near is not None and near.artifact.format == "tflite_dynamic", "it is smaller"
    far = chosen(changed(record, {"tflite_dynamic"}, p50_ms=1.06 * fast))["phone"].line
    assert far is not None and far.artifact.format == "tflite_int8"


def test_without_latencies_the_smallest_is_taken_and_that_is_said(record: Report) -> None:
    found = chosen(replace(record, latency=None))["phone"]
    assert found.line is not None and found.line.artifact.format == "tflite_dynamic"
    assert "latency on litert not measured" in found.against
    bare = chosen(replace(record, latency=None, parity=None))["phone"]
    assert bare.against == "Its outputs have not been compared with the trained model's; latency not measured."


def test_what_speaks_against_a_file_is_what_the_records_say(record: Report) -> None:
    found = chosen(record)
    assert record.parity and record.latency
    row = next(row for row in record.parity.rows if row.name == "tflite_int8 on litert (xnnpack)")
    cpu = record.latency.origin.machine.cpu
    assert found["phone"].against == (
        f"{len(row.flips)} of {row.images:,} images classified differently; latency is of {cpu}, not of a phone."
    )
    assert found["microcontroller"].against.endswith("latency on tflite_micro not measured.")
    assert "latency" not in found["server"].against
    large = changed(record, INT8, verdict="fail", reason="it is bad")
    assert "times the bytes of" not in chosen(record)["server"].against
    assert chosen(large)["server"].against == "Nothing that was measured."
    remote = replace(record, latency=replace(record.latency, remote="ssh://pi"))
    assert "latency" not in chosen(remote)["Raspberry Pi"].against


def test_the_table_has_files_with_hashes_and_intervals(record: Report) -> None:
    found = decision_table(deployments(record, lines(RUN, record)))
    assert found is not None and [row[0].text for row in found.rows] == [d[0].upper() + d[1:] for d in DEVICES]
    for row in found.rows:
        assert RUN.path(row[1].href).exists() and RUN.hash_of(row[1].href)[:12] in row[1].note
        assert " to " in row[3].note and "N = " in row[3].note
        assert row[4].text == "not measured" or " to " in row[4].note
