"""`edgecnn predict`: what it takes, what it prints, and how it goes on after a bad image."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.cli import _run as command
from edgecnn.cli import sources
from edgecnn.cli.predict import MANY
from edgecnn.cli.sources import image_paths
from edgecnn.errors import InputError
from edgecnn.inference.predictor import Predictor
from tests import schemas

RANDOM = np.random.default_rng(8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images in a folder and below it, with files that are none."""
    place = tmp_path / "pictures"
    (place / "below").mkdir(parents=True)
    (place / ".hidden").mkdir()
    for name in ("b.png", "a.JPG", "below/c.webp", ".hidden/d.png", ".e.png"):
        Image.fromarray(RANDOM.integers(0, 256, (9, 7, 3), dtype=np.uint8)).save(place / name)
    (place / "notes.txt").write_text("no image")
    return place


def names(paths: list[str], folder: Path) -> list[str]:
    return [str(Path(path).relative_to(folder)) for path in paths]


def test_folders_files_and_patterns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert names(image_paths([str(folder)]), folder) == ["a.JPG", "b.png", "below/c.webp"]
    assert names(image_paths([str(folder / "*.png"), str(folder / "**" / "c.*")]), folder) == ["b.png", "below/c.webp"]
    (folder / "[1].png").touch()
    assert names(image_paths([str(folder / "[1].png")]), folder) == ["[1].png"], "a file of that name is no pattern"
    assert image_paths(["missing.png", "-", "notes.txt"]) == ["missing.png", "-", "notes.txt"]
    for word, told in ((str(folder / "below" / "*.png"), "pattern"), (str(folder / ".hidden" / ".."), "")):
        if told:
            with pytest.raises(InputError, match=told):
                image_paths([word])
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="no image in"):
        image_paths([str(folder / "empty")])


def test_a_bad_image_is_reported_and_the_rest_goes_on(
    tiny_onnx: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(folder / name) for name in ("a.JPG", "notes.txt", "b.png", "missing.png", "below/c.webp")]
    assert command(["predict", str(tiny_onnx), *paths]) == 4
    told = capsys.readouterr()
    assert [line.split(": ")[0] for line in told.out.splitlines()] == [paths[0], paths[2], paths[4]]
    errors = told.err.splitlines()
    assert len(errors) == 3 and "notes.txt" in errors[0] and "missing.png" in errors[1]
    assert errors[2] == "2 of 5 images could not be used."
    assert command(["predict", str(tiny_onnx), *paths, "--json"]) == 4
    printed = capsys.readouterr().out.splitlines()
    for line in printed:
        schemas.check(line, "command-predict.json")
    lines = [json.loads(line) for line in printed]
    assert [line["image"] for line in lines] == paths
    assert ["error" in line for line in lines] == [False, True, False, True, False]
    assert command(["predict", str(tiny_onnx), *paths, "--csv", "--top", "2"]) == 4
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == ["image", "label_1", "probability_1", "label_2", "probability_2"]
    assert [row["image"] for row in rows] == [paths[0], paths[2], paths[4]]
    assert float(rows[1]["probability_1"]) == pytest.approx(
        Predictor(tiny_onnx).predict(paths[2]).probability, abs=1e-6
    )


def test_several_processes_print_the_same(tiny_onnx: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(folder / name) for name in ("a.JPG", "notes.txt", "b.png")] * 20
    printed = []
    for processes in ("1", "2", "3"):
        assert command(["predict", str(tiny_onnx), *paths, "--processes", processes]) == 4
        printed.append(capsys.readouterr())
    assert printed[0] == printed[1] == printed[2]


def test_many_images_are_read_by_several_processes_unasked(
    tiny_onnx: Path, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import edgecnn.preprocessing.reader_pool

    asked = []
    real = edgecnn.preprocessing.reader_pool.Readers
    monkeypatch.setattr(
        edgecnn.preprocessing.reader_pool, "Readers", lambda processes: asked.append(processes) or real(processes)
    )
    monkeypatch.setattr("edgecnn.environment.usable_cores", lambda: 2)
    path = str(folder / "b.png")
    for count in (MANY - 1, MANY):
        assert command(["predict", str(tiny_onnx), *[path] * count]) == 0
        assert len(capsys.readouterr().out.splitlines()) == count
    assert asked == [2]


def test_standard_input_is_an_image(tiny_onnx: Path, folder: Path) -> None:
    def ask(content: bytes) -> subprocess.CompletedProcess[bytes]:
        line = [sys.executable, "-m", "edgecnn", "predict", str(tiny_onnx), "-"]
        return subprocess.run(line, input=content, capture_output=True)

    answered = ask((folder / "b.png").read_bytes())
    assert answered.returncode == 0 and answered.stdout.startswith(b"-: ")
    for content in (b"", b"no image"):
        refused = ask(content)
        assert refused.returncode == 4 and refused.stdout == b"" and refused.stderr.count(b"\n") == 1


def test_endless_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_STDIN_BYTES", 10)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x" * 11)))
    with pytest.raises(InputError, match="is longer than 10 bytes"):
        sources.source_of("-")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--json", "--csv"], "one of them"), (["--top", "0"], "--top"), (["--threads", "0"], "--threads"),
        (["--processes", "0"], "--processes"), (["--format", "int8"], "single file"),
    ],
)  # fmt: skip
def test_wrong_usage(
    options: list[str], words: str, tiny_onnx: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["predict", str(tiny_onnx), str(folder / "b.png"), *options]) == 2
    told = capsys.readouterr()
    assert words in told.err and told.out == ""


def test_a_provider_that_is_not_here(tiny_onnx: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["predict", str(tiny_onnx), str(folder / "b.png"), "--ep"]
    assert command([*arguments, "cpu"]) == 0
    capsys.readouterr()
    assert command([*arguments, "cuda"]) == 3
    assert "no CUDAExecutionProvider" in capsys.readouterr().err
    assert command([*arguments, "cuba"]) == 2
    assert "did you mean cuda" in capsys.readouterr().err
