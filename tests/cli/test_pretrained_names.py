"""The name of a pretrained run never means a folder, unless it is written as a path."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from edgecnn.cli import _run as command
from edgecnn.pretrained import NAMES, pretrained_runs
from edgecnn.run_directory import Run

if TYPE_CHECKING:
    from pathlib import Path

NAME = NAMES[0]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        f"run {NAME}", f"run {NAME} --model {NAME}", f"train {NAME}", f"export {NAME}", f"report {NAME}",
        f"import model.keras --labels labels.txt --data synthetic --out {NAME}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("folder", [False, True])
def test_nothing_is_written_under_it(line: str, folder: bool, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if folder:
        (here / NAME).mkdir()
    assert command(shlex.split(line)) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert f"{NAME} is a pretrained run" in told and f"./{NAME} would be a folder" in told
    assert not any((here / NAME).rglob("*"))


def test_a_folder_of_that_name_is_not_in_the_way(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / NAME).mkdir()
    (here / NAME / ".lock").touch()  # as a run that was killed at its beginning leaves
    assert command(["features", NAME, "--list"]) == 0
    assert "conv2d" in capsys.readouterr().out
    assert command(["bundle", NAME, "--target", "no-such"]) == 2
    assert "No bundle is called 'no-such'" in capsys.readouterr().err


def test_written_as_a_path_it_is_a_folder_and_hints_keep_it_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["bench", f"./{NAME}"]) == 4
    assert f"There is no run at {here / NAME}" in capsys.readouterr().err
    assert command(["features", f"./{NAME}"]) == 4
    assert f"There is no model './{NAME}'" in capsys.readouterr().err


def test_the_commands_that_read_find_it(here: Path) -> None:
    assert set(pretrained_runs()) == set(NAMES)
    for run in pretrained_runs().values():
        assert Run(run).training().accuracy.share > 0.8
