"""docs/ci.md: the workflow's steps run in order in a repository with a pull request, as a runner runs them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests import pages
from tests.pages import ROOT, blocks

TEST_IMAGES = 8_000  # enough to prove a float export
EXPRESSIONS = {"github.token": "secret", "github.event.number": "7"}


def _workflow(mark: str) -> dict[str, Any]:
    (block,) = (block for block in blocks("yaml") if block.mark == mark)
    found: dict[str, Any] = yaml.safe_load(block.code)
    return found


def _commands(script: str) -> list[str]:
    """The edgecnn commands of a script, each on one line."""
    lines = script.replace("\\\n", " ").replace("$FORMATS", "--format onnx_int8").splitlines()
    return [line.strip() for line in lines if line.strip().startswith("edgecnn ")]


def test_every_command_in_a_workflow_is_one() -> None:
    steps = [step["run"] for step in _workflow("workflow")["jobs"]["exports"]["steps"] if "run" in step]
    found = [line for script in (*steps, *_workflow("gitlab")["exports"]["script"]) for line in _commands(script)]
    assert len(found) == 12
    for line in found:
        for words in pages.commands(line.split(" || ")[0]):
            assert words[0] == "edgecnn"
            pages.parse(words[1:])


def test_the_workflow_is_one_that_github_takes() -> None:
    workflow = _workflow("workflow")
    assert workflow[True] == "pull_request", "YAML 1.1 reads the key `on` as true"
    steps = workflow["jobs"]["exports"]["steps"]
    for step in steps:
        assert ("uses" in step) != ("run" in step) and step.keys() <= {"uses", "with", "name", "run", "if", "env"}
    expressions = [found for step in steps for value in step.get("env", {}).values()
                   for found in re.findall(r"\$\{\{ (.+?) \}\}", value)]  # fmt: skip
    assert sorted(expressions) == sorted(EXPRESSIONS)
    assert not any("${{" in step.get("run", "") for step in steps), "what others write must not become a command"


@pytest.fixture
def repository(golden_run: Path, tmp_path: Path) -> Path:
    """A clone whose pull request makes the model of main worse; a runner's checkout of it."""
    from edgecnn.data.datasets.synthetic import LABELS, draw

    origin = tmp_path / "origin"
    origin.mkdir()
    shutil.copy(golden_run / "model.keras", origin)
    (origin / "labels.txt").write_text("\n".join(LABELS[:3]) + "\n")
    arrays: dict[str, np.ndarray] = {"labels": np.array(LABELS[:3])}
    for split, count in (("train", 1500), ("test", TEST_IMAGES * 10 // 3)):
        images, labels = draw(count, seed=1, split=split)
        arrays[f"x_{split}"], arrays[f"y_{split}"] = images[labels < 3], labels[labels < 3]
    np.savez(origin / "data.npz", **arrays)
    _git(origin, "init", "-q")
    _git(origin, "symbolic-ref", "HEAD", "refs/heads/main")
    _git(origin, "add", ".")
    _git(origin, "commit", "-q", "-m", "A model")
    _git(origin, "checkout", "-q", "-b", "change")
    _worsen(origin / "model.keras")
    _git(origin, "commit", "-q", "-a", "-m", "A worse model")
    _git(tmp_path, "clone", "-q", "-b", "change", str(origin), "checkout")
    return tmp_path / "checkout"


def _git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=test", "-c", "user.email=test", *words], cwd=folder, check=True)


def _worsen(path: Path) -> None:
    import keras

    model = keras.saving.load_model(path, compile=False)
    kernel, bias = model.layers[-1].get_weights()
    noise = np.random.default_rng(1).normal(0, 1.0, kernel.shape) * kernel.std()
    model.layers[-1].set_weights([kernel + noise, bias])
    model.save(path)


def _programs(folder: Path) -> Path:
    """`edgecnn` as this Python has it, and what a runner has: a `pip` that finds it installed, a `gh` that notes."""
    folder.mkdir()
    python = f'exec "{sys.executable}"'
    for name, script in {
        "edgecnn": f'{python} -m edgecnn "$@"',
        "pip": f'[ "$*" = "install edgecnn[export]" ] && {python} -m edgecnn --version',
        "gh": f'echo "$*" > "{folder}/gh.txt" && cat > "{folder}/comment.md"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.slow
def test_its_steps_run_in_order(repository: Path, tmp_path: Path) -> None:
    workflow = _workflow("workflow")
    programs = _programs(tmp_path / "bin")
    environment = {
        **os.environ, **workflow["env"], "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3",
        "PATH": f"{programs}:{os.environ['PATH']}", "GITHUB_BASE_REF": "main",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }  # fmt: skip
    codes: dict[str, int] = {}
    for step in workflow["jobs"]["exports"]["steps"]:
        if "run" not in step or (any(codes.values()) and not step.get("if", "").startswith("always()")):
            continue
        own = {name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: EXPRESSIONS[found[1]], value)
               for name, value in step.get("env", {}).items()}  # fmt: skip
        script = tmp_path / "step.sh"
        script.write_text(step["run"].replace("--time-budget 10", "--time-budget 1"))  # measures less, no otherwise
        done = subprocess.run(
            ["bash", "-e", script], cwd=repository, env={**environment, **own}, capture_output=True, text=True
        )
        codes[step["name"]] = done.returncode
        assert done.returncode == (step["name"] == "Compare"), f"{step['name']}: {done.stderr}"
    assert list(codes) == ["Install", "Export", "Parity", "The same for the base branch", "Measure both", "Compare",
                           "Summary", "Comment"]  # fmt: skip

    checks = repository / "checks"
    suites = {path.name: ET.parse(path).getroot()[0] for path in checks.glob("*.xml")}
    failures = {name: [case.get("name", "") for case in suite.iter("testcase") if case.find("failure") is not None]
                for name, suite in suites.items()}  # fmt: skip
    assert failures["1-parity.xml"] == failures["3-bench.xml"] == []
    assert "accuracy of onnx_float32 on onnxruntime (cpu)" in failures["2-compare.xml"]
    summary = (tmp_path / "summary.md").read_text()
    assert [line for line in summary.splitlines() if line.startswith("###")] == [
        "### edgecnn parity: passed", "### edgecnn compare: failed", "### edgecnn bench",
    ]  # fmt: skip
    assert (programs / "comment.md").read_text() == summary
    assert (programs / "gh.txt").read_text() == "pr comment 7 --body-file - --edit-last --create-if-none\n"
