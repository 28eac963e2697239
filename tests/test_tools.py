"""The programs a newcomer calls first: what they ask for, what they refuse, what they count."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def first_hour() -> Any:
    """tools/first-hour as a module."""
    loader = SourceFileLoader("first_hour", str(ROOT / "tools" / "first-hour"))
    spec = importlib.util.spec_from_loader("first_hour", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["first_hour"] = module
    loader.exec_module(module)
    return module


def _environment(venv: Path) -> Path:
    """An environment that tools/venv takes as ready, whose `edgecnn` prints its arguments."""
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    program = venv / "bin" / "edgecnn"
    program.write_text('#!/bin/sh\necho "$*"\n')
    program.chmod(0o755)
    files = [ROOT / "pyproject.toml", ROOT / "tools" / "constraints.txt"]
    sums = subprocess.run(["cksum"], input=b"".join(map(Path.read_bytes, files)), capture_output=True, check=True)
    (venv / ".edgecnn-all").write_bytes(sums.stdout)
    return venv


@pytest.mark.parametrize(
    ("words", "passed"),
    [
        ([], "--epochs 3"),
        (["--data", "a b.npz"], "--epochs 3 --data a b.npz"),
        (["--epochs", "7"], "--epochs 7"),
        (["--epochs=7"], "--epochs=7"),
        (["--model", "cifar10-cnn"], "--model cifar10-cnn"),
    ],
)
def test_quickstart_trains_for_three_epochs_where_nothing_else_is_said(
    words: list[str], passed: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "EDGECNN_VENV": str(_environment(tmp_path / "venv"))}
    done = subprocess.run(
        [ROOT / "tools" / "quickstart", *words], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"run {ROOT / 'artifacts' / 'quickstart'} {passed}\n"
    assert ("3 of the recipe's 10 epochs" in done.stderr) == passed.startswith("--epochs 3")


def test_without_a_python_that_fits_nothing_is_made(tmp_path: Path) -> None:
    environment = {**os.environ, "EDGECNN_VENV": str(tmp_path / "venv"), "PYTHON": "/nowhere/python3.12"}
    done = subprocess.run([ROOT / "tools" / "venv", "all"], env=environment, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr.startswith("Error: no Python 3.11 to 3.13")
    assert not (tmp_path / "venv").exists()


def test_a_folder_of_other_files_is_no_place_for_an_environment(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    done = subprocess.run(
        [ROOT / "tools" / "venv", "all"],
        env={**os.environ, "EDGECNN_VENV": str(tmp_path), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_lines_are_timed_and_the_longest_silence_is_found(first_hour: Any) -> None:
    found = first_hour.watch(["sh", "-c", "echo one; echo two >&2; exit 3"], dict(os.environ))
    assert [line for _, line in found.lines] == ["one", "two"]
    assert found.code == 3
    assert 0 <= found.lines[0][0] <= found.lines[1][0] <= found.seconds
    found.lines, found.seconds = [(1.0, "one"), (2.0, "two"), (9.0, "three")], 11.0
    assert found.silence == (7.0, "two")
    assert found.when("^t") == 2.0
    found.lines = []
    assert found.silence == (11.0, "the start")


def test_downloads_are_counted_from_pip_s_log(first_hour: Any, tmp_path: Path) -> None:
    log = tmp_path / "pip.log"
    log.write_text(
        "2026-01-01T00:00:00,000   Downloading a-1.0-py3-none-any.whl (126 kB)\n"
        "2026-01-01T00:00:00,000   Using cached b-1.0-py3-none-any.whl (1.5 MB)\n"
        "2026-01-01T00:00:00,000   Downloading c-1.0-cp311-cp311-manylinux_2_17_x86_64.whl.metadata (2.5 kB)\n"
        "2026-01-01T00:00:00,000   Downloading c-1.0-cp311-cp311-manylinux_2_17_x86_64.whl (572.4 MB)\n"
    )
    assert first_hour.downloaded(log) == 126_000 + 2_500 + 572_400_000
