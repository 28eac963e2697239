"""Bad input at the command line: one sentence on stderr, the documented exit code, nothing half-written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edgecnn import __version__
from edgecnn.cli import _run as command
from edgecnn.cli import cli
from edgecnn.files import TEMPORARY
from edgecnn.records import SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.run_directory import Run


def _fails(capsys: pytest.CaptureFixture[str], arguments: list[str | Path], code: int, words: str) -> None:
    """The command ends with `code` and one line that holds `words`."""
    assert command([str(argument) for argument in arguments]) == code
    told = capsys.readouterr()
    assert told.out == ""
    errors = [line for line in told.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, told.err
    assert words in errors[0]
    assert "Traceback" not in told.err


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["--help"]) == 0
    listed = capsys.readouterr().out
    for name in cli.commands:
        assert name in listed
        assert command([name, "--help"]) == 0
        assert len(capsys.readouterr().out.splitlines()) > 4


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize("stage", ["export", "parity", "bench", "report"])
def test_no_such_run(stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _fails(capsys, [stage, tmp_path / "nothing"], 4, "There is no run at")
    assert not (tmp_path / "nothing").exists()


def test_a_run_from_a_newer_schema(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads(run.path("contract.json").read_bytes())
    run.save("contract.json", {**record, "schema": SCHEMA + 1})
    for stage in ("export", "parity", "bench", "report"):
        _fails(capsys, [stage, run.root], 4, "newer edgecnn")


@pytest.mark.parametrize("name", ["training.json", "artifacts.json", "parity.json"])
def test_run_refuses_a_newer_record_instead_of_overwriting_it(
    name: str, run: Run, small_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run.save(name, {"schema": SCHEMA + 1})
    before = run.path(name).read_bytes()
    _fails(capsys, ["run", run.root, "--data", small_data, "--epochs", "8"], 4, "newer edgecnn")
    assert run.path(name).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.png", None, "missing.png"),
        ("empty.png", b"", "empty.png"),
        ("text.png", b"just some words\n", "text.png"),
    ],
)
def test_predict_with_bad_images(
    name: str, content: bytes | None, words: str, tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    _fails(capsys, ["predict", tiny_onnx, path], 4, words)


def test_predict_with_a_truncated_and_an_enormous_image(
    tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-700])
    _fails(capsys, ["predict", tiny_onnx, tmp_path / "cut.jpg"], 4, "cut.jpg")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    _fails(capsys, ["predict", tiny_onnx, tmp_path / "huge.png"], 4, "pixels")


@pytest.mark.parametrize("size", [0, 100, 1000])
def test_predict_with_a_truncated_model(
    size: int, tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_onnx.write_bytes(tiny_onnx.read_bytes()[:size])
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    _fails(capsys, ["predict", tiny_onnx, tmp_path / "image.png"], 4, "tiny.onnx")


def test_unknown_names_exit_2(small_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--architecture", "cnnn"), ("--recipe", "tutoriel")):
        _fails(capsys, ["train", tmp_path / "run", "--data", small_data, option, value], 2, "did you mean")
    assert command(["train", "--seed", "-1", str(tmp_path / "run")]) == 2
    assert not (tmp_path / "run").exists(), "nothing is left of a run that never began"
    assert command(["train", "--epochs", "0", str(tmp_path / "run")]) == 2
    assert command(["parity"]) == 2
    assert command(["frobnicate"]) == 2


def test_bad_data_sets_exit_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04")
    _fails(capsys, ["train", tmp_path / "run", "--data", tmp_path / "broken.npz"], 4, "broken.npz")
    _fails(capsys, ["run", tmp_path / "run", "--data", tmp_path / "missing"], 4, "missing")


def test_a_directory_that_cannot_be_made(tmp_path: Path, small_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    _fails(capsys, ["run", tmp_path / "file" / "run", "--data", small_data], 3, "cannot be used")
    if os.path.isdir("/proc/self"):
        _fails(capsys, ["run", "/proc/self/run", "--data", small_data], 3, "/proc/self")


def test_an_unwritable_features_folder(tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    (tmp_path / "file").touch()
    _fails(capsys, ["features", tiny_onnx, tmp_path / "image.png", "--out", tmp_path / "file"], 3, "file")


@pytest.mark.skipif(not os.path.exists("/dev/shm") or os.geteuid() != 0, reason="needs root to mount a small disk")
@pytest.mark.parametrize("stage", ["train", "export", "parity", "bench"])
def test_a_full_disk_is_a_sentence_and_leaves_nothing_half_written(
    stage: str, golden_run: Path, small_data: Path, tmp_path: Path
) -> None:
    import shutil

    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        run = disk / "run"
        if stage != "train":
            shutil.copytree(golden_run, run)
        with (disk / "ballast").open("wb") as ballast:
            free = shutil.disk_usage(disk).free
            ballast.write(bytes(max(0, free - 20_000)))
        arguments = [stage, str(run), *(["--data", str(small_data), "--epochs", "1"] if stage == "train" else [])]
        done = subprocess.run([sys.executable, "-m", "edgecnn", *arguments], capture_output=True, text=True)
        assert done.returncode == 3, done.stderr[-2000:]
        assert "disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(run.rglob(f"{TEMPORARY}*"))
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
def test_interrupted_exits_130(small_data: Path, tmp_path: Path) -> None:
    import signal

    process = subprocess.Popen(
        [sys.executable, "-m", "edgecnn", "train", str(tmp_path / "run"), "--data", str(small_data), "--epochs", "500"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("Epoch 2/"):
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 130
    assert "Interrupted" in rest
    assert "Traceback" not in rest


def test_a_reader_that_goes_away_is_no_error(tiny_onnx: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    images = " ".join(["image.png"] * 3000)
    line = f"{sys.executable} -m edgecnn predict {tiny_onnx} {images} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 141
    assert done.stdout.startswith("image.png: ")
    assert done.stderr == ""


def test_predict_prints_labels_and_json(tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (9, 13), "navy").save(tmp_path / "image.png")
    assert command(["predict", str(tiny_onnx), str(tmp_path / "image.png"), "--top", "2"]) == 0
    assert capsys.readouterr().out.count("%") == 2
    assert command(["predict", str(tiny_onnx), str(tmp_path / "image.png"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["predictions"]) == 3
    assert sum(a["probability"] for a in answer["predictions"]) == pytest.approx(1, abs=1e-5)
