"""The published runs: whole, free of the data set's images, and as good as they say."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.cli import _run as command
from edgecnn.data.loading import load_data
from edgecnn.execution.emulation import CPUS, not_ready
from edgecnn.inference.predictor import Predictor
from edgecnn.pretrained import NAMES, PLACES
from edgecnn.records import Features, Latency, Parity, Report
from edgecnn.run_directory import CONTRACT, FEATURES, LATENCY, MODEL, PARITY, REPORT, SAMPLES, Run
from edgecnn.stages.parity import ParityOptions, parity
from tests import schemas

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

PUBLISHED = [Run(PLACES[1] / name) for name in NAMES]
TEXT_FILES = ("*.json", "*.md", "*.html")
MAY_LOSE_POINTS = {
    "tflite_float16": 0.1, "tflite_dynamic": 0.2, "tflite_int8": 0.5, "tflite_int8_micro": 0.5, "onnx_int8": 0.5,
}  # fmt: skip
needs_cifar10 = pytest.mark.skipif(
    not os.environ.get("EDGECNN_DATA"), reason="needs the real CIFAR-10: set EDGECNN_DATA to a copy"
)


@pytest.fixture(params=PUBLISHED, ids=lambda run: run.root.name)
def published(request: pytest.FixtureRequest) -> Run:
    run: Run = request.param
    return run


def test_every_record_and_file_is_there(published: Run) -> None:
    assert published.contract().model_sha256 == published.hash_of(MODEL)
    for artifact in published.artifacts().artifacts:
        published.artifact_path(artifact)
    report = published.load(REPORT, Report, "report")
    assert report.parity == published.load(PARITY, Parity, "parity")
    assert report.latency == published.load(LATENCY, Latency, "bench")
    for name, sha256 in report.origin.outputs.items():
        assert published.hash_of(name) == sha256
    assert report.origin.inputs[CONTRACT] == published.hash_of(CONTRACT)


def test_no_image_of_the_data_set_and_no_path_is_in_it(published: Run) -> None:
    assert not published.path(SAMPLES).exists()
    assert "synthetic" in published.load(FEATURES, Features, "features").image
    assert published.contract().data.spec == "cifar10"
    for pattern in TEXT_FILES:
        for file in published.root.rglob(pattern):
            assert not re.search(r"(?<![\w.])/(work|tmp|home|root|Users)/", file.read_text()), file


def test_it_passed_its_own_gates(published: Run) -> None:
    assert published.load(PARITY, Parity, "parity").verdict == "pass"
    assert published.training().accuracy.share >= 0.66


def test_it_answers_drawn_images_as_its_model_does(
    published: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the data set: agreement is checked on synthetic images."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("EDGECNN_DATA", raising=False)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    copy = Run(shutil.copytree(published.root, tmp_path / "run"))
    verdict = parity(copy, ParityOptions())
    assert verdict.verdict == "pass"
    assert verdict.reference_accuracy is None


def test_its_records_fit_the_schemas(published: Run) -> None:
    names = {path.name for path in published.root.glob("*.json")}
    assert names >= {"contract.json", "training.json", "artifacts.json", "parity.json", "latency.json", "golden.json"}
    for name in names:
        schemas.check(published.path(name).read_bytes(), name)


def test_everything_in_it_answers_as_published(published: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["parity", published.root.name]) == 0
    told = capsys.readouterr().out
    for artifact in published.artifacts().artifacts:
        assert f"{artifact.format} on" in told
    assert "accuracy is not measured" in told


def test_its_card_says_how_good_it_is_and_on_what(published: Run) -> None:
    card = (published.root / "README.md").read_text()
    accuracy = published.training().accuracy
    assert f"{accuracy.share:.2%}" in card
    assert "JPEG re-encoding" in card and "Not for" in card


@needs_cifar10
def test_its_accuracy_is_what_it_says(published: Run) -> None:
    data = load_data("cifar10", (32, 32))
    if data.source.sha256 != published.contract().data.sha256:
        pytest.skip("EDGECNN_DATA holds another copy of CIFAR-10 than the one it was trained and judged on")
    predictor = Predictor(published.root)
    answers = np.array([predictor.predict(image).label for image in data.test_images])
    correct = int((answers == np.array(data.source.labels)[data.test_labels]).sum())
    row = next(row for row in published.load(PARITY, Parity, "parity").rows if row.format == "onnx_float32")
    assert row.accuracy is not None
    assert abs(correct - row.accuracy.correct) <= 2, "float rounding may turn a tie, no more"


@needs_cifar10
def test_parity_on_real_data(published: Run, tmp_path: Path) -> None:
    verdict = parity(Run(shutil.copytree(published.root, tmp_path / "run")), ParityOptions())
    assert verdict.verdict == "pass"
    assert verdict.images == 10_000
    for row in verdict.rows:
        assert row.accuracy is not None
        assert verdict.reference_accuracy is not None
        assert row.gate_difference is not None
        lost = abs(row.gate_difference.points)
        if row.format in MAY_LOSE_POINTS:
            assert lost <= MAY_LOSE_POINTS[row.format], row.format
        else:
            assert len(row.flips) <= 2, row.format


@needs_cifar10
def test_int8_gives_the_same_labels_on_other_cpus(published: Run, tmp_path: Path) -> None:
    reasons = {cpu: not_ready(CPUS[cpu]) for cpu in ("haswell", "cortex-a76")}
    cpus = tuple(cpu for cpu, reason in reasons.items() if not reason)
    if not cpus:
        pytest.skip(f"they cannot be emulated here: {reasons}")
    run = Run(shutil.copytree(published.root, tmp_path / "run"))
    formats = ("onnx_int8", "tflite_int8")
    record = parity(run, ParityOptions(formats=formats, cpus=cpus, max_images=300))
    rows = [row for row in record.rows if row.cpu]
    assert sorted((row.cpu, row.format) for row in rows) == sorted(itertools.product(cpus, formats))
    for row in rows:
        assert row.native is not None and row.native.images == 300
        assert row.native.different_predictions == 0, row.native.words
        assert row.verdict == "pass", row.reason
