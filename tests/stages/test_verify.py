"""`edgecnn verify`: whole runs pass, and every change to a file is found and named."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.pretrained import NAMES, PLACES
from edgecnn.run_directory import Run
from edgecnn.stages.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(shutil.copytree(PLACES[1] / NAMES[0], tmp_path / "run"))


def _change(run: Run, name: str, change: Callable[[Any], None]) -> None:
    content = json.loads(run.path(name).read_text())
    change(content)
    run.path(name).write_text(json.dumps(content))


@pytest.mark.parametrize("name", NAMES)
def test_published_runs_fit_together(name: str) -> None:
    found = verify(Run(PLACES[1] / name))
    assert not found.misfits
    assert found.hashes > 50 and found.figures > 500 and found.records == 9


@pytest.mark.parametrize("name", ["model.keras", "exports/onnx_int8.onnx", "features/input.png", "predictions.npz"])
def test_a_changed_or_missing_file_is_named(run: Run, name: str) -> None:
    content = run.path(name).read_bytes()
    run.path(name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert name in {one.file for one in verify(run).misfits}
    run.path(name).unlink()
    assert f"{name}: it is missing" in {f"{one.file}: {one.reason.split(',')[0]}" for one in verify(run).misfits}


def _set(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("name", "change", "figure"),
    [
        ("training.json", _set("accuracy", "correct", to=9_999), "accuracy"),
        ("training.json", _set("class_accuracy", 3, to=None), "class_accuracy"),
        ("artifacts.json", _set("artifacts", 0, "size_bytes", to=1), "size_bytes of"),
        ("parity.json", _set("reference_accuracy", "low", to=0.9), "reference_accuracy"),
        ("parity.json", _set("rows", 1, "accuracy", "correct", to=10_000), ": accuracy"),
        ("parity.json", _set("rows", 1, "paired", "p_value", to=0.5), ": paired"),
        ("parity.json", _set("rows", 1, "agreement", to=1.0), ": agreement"),
        ("parity.json", _set("rows", 1, "flips", to=[]), ": flips"),
        ("parity.json", _set("rows", 2, "verdict", to="fail"), "verdict"),
        ("parity.json", _set("rows", 2, "artifact_sha256", to="0" * 64), ": artifact_sha256"),
        ("latency.json", _set("rows", 1, "p50_ms", to=0.001), ": p50_ms"),
        ("latency.json", _set("rows", 1, "samples_ns", 0, to=1), ": "),
        ("latency.json", _set("rows", 5, "ratio", "high", to=9.0), ": ratio"),
        ("latency.json", _set("noise", "noisy", to=False), "noise"),
        ("latency.json", _set("baseline", to="nothing"), "figures cannot be computed again"),
        ("report.json", _set("latency", "rows", 1, "p50_ms", to=0.001), "latency.json"),
    ],
)  # fmt: skip
def test_a_changed_figure_is_named(run: Run, name: str, change: Callable[[Any], None], figure: str) -> None:
    _change(run, name, change)
    assert any(one.file == name and figure in one.reason for one in verify(run).misfits)


def test_a_page_that_shows_another_figure_is_named(run: Run) -> None:
    page = run.path("report.md")
    page.write_text(page.read_text().replace("81.0", "91.0"))
    sha256 = run.hash_of("report.md")
    _change(run, "report.json", _set("origin", "outputs", "report.md", to=sha256))
    (found,) = verify(run).misfits
    assert found.reason == "report.md is not what follows from the run's files"


def test_predictions_of_other_shapes_are_a_sentence(run: Run) -> None:
    with np.load(run.path("predictions.npz")) as archive:
        arrays = dict(archive)
    np.savez(run.path("predictions.npz"), **{**arrays, "labels": arrays["labels"][:10]})
    sha256 = run.hash_of("predictions.npz")
    _change(run, "parity.json", _set("origin", "outputs", "predictions.npz", to=sha256))
    assert any("predictions.npz is damaged" in one.reason for one in verify(run).misfits)


def test_a_record_that_was_made_from_other_files_is_named(run: Run) -> None:
    _change(run, "parity.json", _set("origin", "inputs", "artifacts.json", to="0" * 64))
    assert any("made from another artifacts.json" in one.reason for one in verify(run).misfits)


def test_the_command_says_what_does_not_fit(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["verify", NAMES[0]]) == 0
    assert "fits together" in capsys.readouterr().out
    run.path(run_directory.LAYERS).write_text("{")
    assert command(["verify", str(run.root), "--json"]) == 1
    told = capsys.readouterr()
    assert "layers.json" in told.err
    assert any(one["file"] == "layers.json" for one in json.loads(told.out)["misfits"])
