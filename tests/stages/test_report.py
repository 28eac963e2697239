"""The report's stage: what it needs and writes, when it is current, and what it leaves out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn import records, run_directory
from edgecnn.errors import InputError
from edgecnn.records import Report
from edgecnn.report.page import MARKDOWN, PAGE
from edgecnn.run_directory import Run
from edgecnn.stages.report import inputs, is_current, report
from tests.report.runs import DATA, FORMATS, NOTICE, build, draw, layers_of, page_of, parity_of

pytest.importorskip("jinja2")


@pytest.fixture
def small(tmp_path: Path) -> Run:
    return build(tmp_path / "run")


def test_the_notice_comes_first_and_only_where_there_is_one(small: Run, tmp_path: Path) -> None:
    assert NOTICE not in page_of(small).text
    source = report(build(tmp_path / "synthetic", replace(DATA, notice=NOTICE))).read_text(encoding="utf-8")
    assert source.count(NOTICE) == 1
    assert source.index(NOTICE) < source.index("<h1>")
    markdown = (tmp_path / "synthetic" / MARKDOWN).read_text(encoding="utf-8")
    assert markdown.strip().startswith(f"**{NOTICE}**")


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        (run_directory.PARITY, "edgecnn parity RUN"),
        (run_directory.LATENCY, "edgecnn bench RUN"),
        (run_directory.FEATURES, "edgecnn run RUN --data PATH/small.npz --architecture cnn"),
    ],
)
def test_what_is_missing_is_said_with_its_command(small: Run, missing: str, hint: str) -> None:
    small.path(missing).unlink()
    page = page_of(small)
    last = "Machine, versions, commands"
    for text in (page.text.rsplit(last, 1)[0], small.path(MARKDOWN).read_text().split(last)[0]):
        assert hint in text and all(format in text for format in FORMATS)
        assert ("All 2 exports match the trained model" in text) == (missing != run_directory.PARITY)
    assert getattr(small.load(run_directory.REPORT, Report, "report"), missing.removesuffix(".json")) is None


@pytest.mark.parametrize("required", [run_directory.CONTRACT, run_directory.TRAINING, run_directory.ARTIFACTS])
def test_what_is_required_is_asked_for_and_nothing_written(small: Run, required: str) -> None:
    small.path(required).unlink()
    with pytest.raises(InputError, match=f"{required} is missing"):
        report(small)
    assert not small.path(PAGE).exists() and not small.path(run_directory.REPORT).exists()


def test_a_failed_gate_is_the_verdict(small: Run) -> None:
    small.save(run_directory.PARITY, parity_of(small, DATA, failing="tflite_int8"))
    text = page_of(small).text
    assert "1 of 2 exports does not match the trained model: tflite_int8 (1 pass, 0 not proven)" in text
    assert "tflite_int8 on litert (cpu): accuracy fell by 9.00 points, 1.0 are allowed." in text
    assert "✗ fail" in text and "All 2" not in text
    assert "1 of 2 exports does not match the trained model" in small.path(MARKDOWN).read_text()


def test_a_layer_that_falls_out_is_the_verdict(small: Run) -> None:
    small.save(run_directory.LAYERS, layers_of(small, DATA, first_divergent_layer="conv2d_1"))
    text = page_of(small).text
    assert "1 of 2 exports does not match the trained model: tflite_int8 (1 pass, 0 not proven)" in text
    assert "tflite_int8 on litert (cpu): layer conv2d_1 diverges. Export it again." in text
    assert "its gain is 1.050 times that of its inputs" in text


def test_what_is_not_proven_is_not_called_passed(small: Run) -> None:
    parity = parity_of(small, DATA)
    first, second = parity.rows
    rows = (first, replace(second, verdict="not proven", reason="700 images cannot exclude it"))
    small.save(run_directory.PARITY, replace(parity, rows=rows, verdict="not proven"))
    text = page_of(small).text
    assert f"None of 2 exports fails, 1 pass, 1 not proven yet: {second.format}" in text
    assert f"{second.name}: 700 images cannot exclude it." in text


def test_an_export_nobody_asked_is_not_called_proven(small: Run) -> None:
    parity = parity_of(small, DATA)
    small.save(run_directory.PARITY, replace(parity, rows=parity.rows[:1], agreement_matrix=((1.0, 0.98), (0.98, 1.0))))
    text = page_of(small).text
    assert "None of 2 exports fails, 1 pass, 1 not proven yet: tflite_int8" in text
    assert "not checked" in text and "All 2" not in text


def test_figures_of_replaced_exports_are_left_out(small: Run) -> None:
    artifacts = small.artifacts()
    first, second = artifacts.artifacts
    small.save(run_directory.ARTIFACTS, replace(artifacts, artifacts=(replace(first, sha256="e" * 64), second)))
    text = page_of(small).text
    assert "None of 2 exports fails, 1 pass, 1 not proven yet: onnx_float32" in text
    assert "12 flips" in text and "0.0461" not in text and "0.0188" in text and "24.8" in text
    for name in (run_directory.PARITY, run_directory.LATENCY):
        assert f"{name} is older than the last export" in text
    assert "They are from earlier exports" in text and "Layer conv2d" not in text
    assert small.load(run_directory.REPORT, Report, "report").features is not None


def test_the_record_holds_everything_and_names_what_was_written(small: Run) -> None:
    report(small)
    record = small.load(run_directory.REPORT, Report, "report")
    kept = {
        run_directory.CONTRACT: record.contract,
        run_directory.TRAINING: record.training,
        run_directory.ARTIFACTS: record.artifacts,
        run_directory.PARITY: record.parity,
        run_directory.LAYERS: record.layers,
        run_directory.LATENCY: record.latency,
        run_directory.FEATURES: record.features,
    }
    for name, part in kept.items():
        assert records.encode(part) == small.path(name).read_bytes()
    assert record.origin.inputs == inputs(small)
    assert record.origin.outputs == {name: small.hash_of(name) for name in (PAGE, MARKDOWN)}


def test_sources_are_named_with_their_hashes(small: Run) -> None:
    text = page_of(small).text
    markdown = small.path(MARKDOWN).read_text()
    for name in (
        run_directory.CONTRACT,
        run_directory.TRAINING,
        run_directory.ARTIFACTS,
        run_directory.PARITY,
        run_directory.LATENCY,
        run_directory.FEATURES,
    ):
        assert small.hash_of(name) in text and small.hash_of(name) in markdown


@pytest.mark.parametrize(
    "changed",
    [run_directory.TRAINING, run_directory.PARITY, run_directory.LATENCY, run_directory.FEATURES, PAGE, MARKDOWN],
)
def test_a_change_makes_the_report_out_of_date(small: Run, changed: str) -> None:
    assert not is_current(small)
    report(small)
    assert is_current(small)
    small.path(changed).write_bytes(small.path(changed).read_bytes() + b"\n")
    assert not is_current(small)


@pytest.mark.parametrize("path", ["../secret.png", "features/notes.png"])
def test_only_pictures_of_the_run_are_shown(small: Run, path: str) -> None:
    draw(small, "../secret.png")
    small.path("features/notes.png").write_text("private notes, and no picture")
    features = small.load(run_directory.FEATURES, records.Features, "features")
    small.save(run_directory.FEATURES, replace(features, pictures={"conv2d": path}))
    with pytest.raises(InputError, match=re.escape(path)):
        report(small)
    assert not small.path(PAGE).exists()


def test_a_missing_picture_is_said(small: Run) -> None:
    small.path("features/conv2d.png").unlink()
    assert "The picture of layer conv2d is missing" in page_of(small).text


def test_layers_of_replaced_exports_are_left_out(small: Run) -> None:
    artifacts = small.artifacts()
    first, second = artifacts.artifacts
    small.save(run_directory.ARTIFACTS, replace(artifacts, artifacts=(first, replace(second, sha256="e" * 64))))
    assert "24.8" not in page_of(small).text
