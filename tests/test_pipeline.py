"""`edgecnn run`: a whole run, what is skipped the second time, and that no kill can spoil it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.files import TEMPORARY, sha256_of
from edgecnn.records import Artifacts, Contract, Features, Latency, Layers, Parity, Report, Training
from edgecnn.run_directory import Run
from tests import schemas
from tests.conftest import made_once
from tests.few_formats import FORMATS, edgecnn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytest.importorskip("tensorflow")

pytestmark = pytest.mark.slow

STAGES = ("train", "export", "parity", "layers", "bench", "features", "report")
KILLS = 20
RECORDS = {
    run_directory.CONTRACT: Contract,
    run_directory.TRAINING: Training,
    run_directory.ARTIFACTS: Artifacts,
    run_directory.PARITY: Parity,
    run_directory.LAYERS: Layers,
    run_directory.LATENCY: Latency,
    run_directory.FEATURES: Features,
    run_directory.REPORT: Report,
}


def _command(run: Path, data: Path, formats: tuple[str, ...] = FORMATS) -> list[str]:
    return edgecnn("run", run, "--data", data, "--epochs", "2", "--time-budget", "1", formats=formats)


def _finish(command: list[str], run: Run) -> str:
    """Run to the end; what was narrated."""
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(str(run.path("report.html")))
    return done.stderr


def _check_whole(run: Run) -> None:
    """Every record reads, every recorded file is what the record says, nothing is left over."""
    for name, kind in RECORDS.items():
        schemas.check(run.path(name).read_bytes(), name)
        record = run.load(name, kind, "run")
        for file, sha256 in getattr(record, "origin", None).outputs.items() if kind is not Contract else ():
            assert sha256_of(run.path(file)) == sha256, file
    for artifact in run.artifacts().artifacts:
        run.artifact_path(artifact)
    assert not list(run.root.rglob(f"{TEMPORARY}*"))


@pytest.fixture(scope="session")
def finished(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that `edgecnn run` made from nothing, in every format, and what it narrated beside its files; copy it to
    change it."""

    def make(path: Path) -> None:
        words = ["run", str(path), "--data", str(small_data), "--epochs", "2", "--time-budget", "1"]
        told = _finish([sys.executable, "-m", "edgecnn", *words], Run(path))
        (path / "narration.txt").write_text(told)

    return Run(made_once(tmp_path_factory, "finished", make))


@pytest.fixture
def begun(finished: Run, tmp_path: Path) -> Run:
    """A copy of it."""
    return Run(shutil.copytree(finished.root, tmp_path / "run"))


def test_a_run_has_every_stage_and_is_whole(finished: Run) -> None:
    told = finished.path("narration.txt").read_text()
    assert all(f"[{stage}] done" in told for stage in STAGES)
    _check_whole(finished)


def test_then_nothing_is_to_do_then_only_what_is_missing(begun: Run, small_data: Path) -> None:
    second = _finish(_command(begun.root, small_data), begun)
    assert all(f"[{stage}] up to date" in second for stage in STAGES)
    begun.path("exports/onnx_float32.onnx").write_bytes(b"spoilt")
    third = _finish(_command(begun.root, small_data), begun)
    assert "[train] up to date" in third
    assert "[export] done" in third
    _check_whole(begun)


def test_auto_goes_on_with_the_data_of_a_run_begun(begun: Run) -> None:
    told = _finish(edgecnn("run", begun.root, "--epochs", "2", "--time-budget", "1"), begun)
    assert all(f"[{stage}] up to date" in told for stage in STAGES)


def test_two_runs_in_one_directory_refuse_each_other(small_data: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with run.lock():
        done = subprocess.run(_command(run.root, small_data), capture_output=True, text=True)
    assert done.returncode == 3
    assert "Another edgecnn is working" in done.stderr


def test_a_data_set_that_cannot_be_downloaded_is_tried_once_in_a_run(tmp_path: Path) -> None:
    """Three stages ask for CIFAR-10 here: the start, parity, and parity of the layers."""
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}  # nobody listens
    environment.pop("EDGECNN_DATA", None)
    words = ["run", tmp_path / "run", "--model", "cifar10-cnn", "--allow-synthetic", "--time-budget", "1"]
    done = subprocess.run(edgecnn(*words, formats=("onnx_float32",)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("downloading it from") == 1
    assert "[report] done" in done.stderr


def _drafts(run: Path) -> set[str]:
    """What is being written beside its place, or was when a process was killed."""
    return {name for _, folders, names in os.walk(run) for name in (*folders, *names) if name.startswith(TEMPORARY)}


def _wait_for_a_write(process: subprocess.Popen[bytes], run: Path) -> None:
    """Until a new draft appears, or the process ends."""
    before = _drafts(run)
    while process.poll() is None and not _drafts(run) - before:
        time.sleep(0.0005)


def _kill(command: list[str], wait: Callable[[subprocess.Popen[bytes]], None]) -> bool:
    """Start it and kill it; whether it had not finished before."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    wait(process)
    killed = process.poll() is None
    if killed:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.returncode in (0, -signal.SIGKILL)
    return killed


def test_kills_at_random_moments_of_each_stage_leave_what_the_same_command_finishes(
    begun: Run, small_data: Path
) -> None:
    command, generator = _command(begun.root, small_data), random.Random("random moments")
    killed = 0
    while killed < KILLS // 2:
        late = (run_directory.PARITY, run_directory.LATENCY, run_directory.ARTIFACTS, run_directory.TRAINING)
        begun.path(late[killed % len(late)]).unlink(missing_ok=True)  # so that there is something to kill
        killed += _kill(command, lambda process: time.sleep(generator.uniform(0.2, 5.0)))
    _finish(command, begun)
    _check_whole(begun)


def test_kills_in_the_middle_of_writes_leave_what_the_same_command_finishes(small_data: Path, tmp_path: Path) -> None:
    """From the first file on, and of a format that is a folder too."""
    run, generator = Run(tmp_path / "run"), random.Random("in the middle of writes")
    command = _command(run.root, small_data, ("onnx_float32", "saved_model"))

    def wait(process: subprocess.Popen[bytes]) -> None:
        time.sleep(generator.uniform(0.0, 4.0))
        _wait_for_a_write(process, run.root)

    killed = 0
    while killed < KILLS // 2:
        if _kill(command, wait):
            killed += 1
        else:  # it finished first: take away a late file, so that there is something to kill
            run.path(generator.choice([run_directory.PARITY, run_directory.LATENCY, run_directory.ARTIFACTS])).unlink()
    _finish(command, run)
    _check_whole(run)


def test_the_data_notice_is_in_every_file(golden_run: Path, tmp_path: Path, small_data: Path) -> None:
    """A notice given at training travels: into the contract, and from there into every later record."""
    run = Run(shutil.copytree(golden_run, tmp_path / "run"))
    training = run.training()
    data = replace(training.data, notice="Synthetic data: told so.", spec=str(small_data))
    run.save(run_directory.CONTRACT, replace(run.contract(), data=data))
    run.save(run_directory.TRAINING, replace(training, data=data))
    run.path(run_directory.ARTIFACTS).unlink()  # one export will do: the others would be made again
    for words in (
        ["export", "--format", "onnx_float32"],
        ["parity", "--layers", "--tolerance", "8"],
        ["bench", "--format", "onnx_float32", "--threads", "1", "--time-budget", "1"],
        ["features"],
        ["report"],
    ):
        assert command([*words, str(run.root)]) == 0, words
    for name in RECORDS:
        assert json.loads(run.path(name).read_bytes())["data"]["notice"] == "Synthetic data: told so.", name
    assert "Synthetic data: told so." in run.path("report.html").read_text()
