"""`edgecnn run`: a whole run, what is skipped the second time, and that no kill can spoil it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from edgecnn import run_directory
from edgecnn.files import TEMPORARY, sha256_of
from edgecnn.records import Artifacts, Contract, Features, Latency, Layers, Parity, Report, Training
from edgecnn.run_directory import Run
from tests import schemas

if TYPE_CHECKING:
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


def _command(run: Path, data: Path) -> list[str]:
    return [
        sys.executable,
        "-m",
        "edgecnn",
        "run",
        str(run),
        "--data",
        str(data),
        "--epochs",
        "2",
        "--time-budget",
        "1",
    ]


def _finish(run: Path, data: Path) -> str:
    """Run to the end; what was narrated."""
    done = subprocess.run(_command(run, data), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(str(run / "report.html"))
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


def test_a_run_then_nothing_to_do_then_only_what_is_missing(small_data: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    first = _finish(run.root, small_data)
    assert all(f"[{stage}] done" in first for stage in STAGES)
    _check_whole(run)
    second = _finish(run.root, small_data)
    assert all(f"[{stage}] up to date" in second for stage in STAGES)
    run.path("exports/onnx_float32.onnx").write_bytes(b"spoilt")
    third = _finish(run.root, small_data)
    assert "[train] up to date" in third
    assert "[export] done" in third
    _check_whole(run)


def test_auto_goes_on_with_the_data_of_a_run_begun(golden_run: Path, tmp_path: Path, small_data: Path) -> None:
    import shutil

    run = Run(shutil.copytree(golden_run, tmp_path / "run"))
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn", "run", str(run.root), "--epochs", "8", "--time-budget", "1"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "[train] up to date" in done.stderr


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
    words = ["run", str(tmp_path / "run"), "--model", "cifar10-cnn", "--allow-synthetic", "--time-budget", "1"]
    done = subprocess.run([sys.executable, "-m", "edgecnn", *words], env=environment, capture_output=True, text=True)
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


@pytest.mark.parametrize("half", ["random moments", "in the middle of writes"])
def test_kills_leave_a_directory_from_which_the_same_command_finishes(
    half: str, small_data: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    generator = random.Random(half)
    killed = 0
    while killed < KILLS // 2:
        process = subprocess.Popen(
            _command(run.root, small_data), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        if half == "random moments":
            time.sleep(generator.uniform(0.2, 9.0))
        else:
            time.sleep(generator.uniform(0.0, 6.0))
            _wait_for_a_write(process, run.root)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        if process.returncode == 0:  # it finished first: take away a late file, so that there is something to kill
            run.path(
                generator.choice(
                    [run_directory.PARITY, run_directory.LATENCY, run_directory.ARTIFACTS, run_directory.TRAINING]
                )
            ).unlink()
        assert process.returncode in (0, -signal.SIGKILL)
    _finish(run.root, small_data)
    _check_whole(run)


def test_the_data_notice_is_in_every_file(tmp_path: Path, small_data: Path, golden_run: Path) -> None:
    """A notice given at training travels: into the contract, and from there into every later record."""
    import shutil
    from dataclasses import replace

    run = Run(shutil.copytree(golden_run, tmp_path / "run"))
    training = run.training()
    data = replace(training.data, notice="Synthetic data: told so.", spec=str(small_data))
    run.save(run_directory.CONTRACT, replace(run.contract(), data=data))
    run.save(run_directory.TRAINING, replace(training, data=data))
    for words in (
        ["export"],
        ["parity", "--layers", "--tolerance", "8"],
        ["bench", "--time-budget", "1"],
        ["features"],
        ["report"],
    ):
        subprocess.run([sys.executable, "-m", "edgecnn", *words, str(run.root)], check=True, capture_output=True)
    for name in RECORDS:
        assert json.loads(run.path(name).read_bytes())["data"]["notice"] == "Synthetic data: told so.", name
    assert "Synthetic data: told so." in run.path("report.html").read_text()
