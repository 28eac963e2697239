"""The snippets and commands of README and docs/, run as they stand there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import Run
from tests import pages
from tests.pages import ROOT, Block, blocks
from tests.web_tools import node, require_node

pytestmark = pytest.mark.slow
# Commands that take seconds. The others train, measure, or need a device; that the program takes them is tested in
# test_docs.py, what they do in their own tests.
CHEAP = ("bundle", "cpu list", "export --list", "export RUN", "features", "inspect", "parity cifar10-cnn", "predict")
TFLM_STUB = ROOT / "tests" / "bundles" / "tflm_stub"
NEEDS_MICRO = "tflite-micro"


def _marked(word: str, language: str = "python") -> list[Block]:
    return [block for block in blocks(language) if block.mark.split(" ")[0] == word]


def _environment(package: Path = ROOT) -> dict[str, str]:
    """The environment in which `edgecnn` is the package in that folder."""
    return {**os.environ, "PYTHONPATH": str(package), "TF_CPP_MIN_LOG_LEVEL": "3"}


def _run(code: str, where: str, folder: Path) -> str:
    """Run Python code as a program in a folder; what it prints."""
    (folder / "snippet.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "snippet.py"], cwd=folder, env=_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{where}: {done.stderr}"
    return done.stdout


def _edgecnn(package: Path, folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn", *words], cwd=folder, env=_environment(package), capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


def _pictures(folder: Path) -> None:
    """The image files that the pages name."""
    from PIL import Image

    random = np.random.default_rng(3)
    names = ("cat.jpg", "cat.png", "a.jpg", "b.jpg", "pictures/one.jpg", "pictures/two.png", "more/three.jpg")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8)).save(folder / name)


@pytest.mark.parametrize("block", _marked("predictor"), ids=lambda block: block.where)
def test_the_predictor_s_snippets_run(block: Block, tmp_path: Path) -> None:
    _pictures(tmp_path)
    after = (
        "\nassert isinstance(predictor.predict('cat.jpg').label, str)"
        "\nassert [best.label for best in predictor.predict(['a.jpg', 'b.jpg'])]"
        "\nassert maps['conv2d'].shape == (30, 30, 32), maps['conv2d'].shape"
    )
    _run(block.code + (after if "maps" in block.code else ""), block.where, tmp_path)


@pytest.mark.parametrize("block", _marked("web", "js"), ids=lambda block: block.where)
def test_the_snippets_of_the_web_bundle_run(block: Block, tmp_path: Path) -> None:
    require_node()
    _pictures(tmp_path)
    _edgecnn(ROOT, tmp_path, "bundle", "cifar10-cnn", "--target", "web", "--out", "made")
    file = 'const file = new Blob([(await import("node:fs")).readFileSync("../cat.png")]);\n'
    code = f"{file}{block.code}console.log(best.label, conv2d.shape.join(' x '), passed);\n"
    (tmp_path / "made" / "snippet.mjs").write_text(code)
    label, *rest = node("snippet.mjs", cwd=tmp_path / "made").stdout.split(maxsplit=1)
    assert label in Run(pretrained_runs()["cifar10-cnn"]).contract().labels
    assert rest == ["30 x 30 x 32 true\n"]


@pytest.mark.parametrize("block", _marked("exports"), ids=lambda block: block.where)
def test_the_snippets_load_the_exports(block: Block, run: Run) -> None:
    """On the golden run's files, whose model has 32 x 32 RGB input and three labels."""
    format = block.mark.split(" ")[1]
    assert f'"{format}' in block.code
    shape = _run(f"{block.code}\nprint(tuple(logits.shape))\n", block.where, run.path("exports")).splitlines()[-1]
    assert shape == "(1, 3)"


@pytest.mark.parametrize("block", blocks("cpp"), ids=lambda block: block.where)
def test_cpp_compiles_with_the_bundle_s_headers(block: Block, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="needs tflite-micro")
    if not shutil.which("g++"):
        pytest.skip("needs g++")
    _edgecnn(ROOT, tmp_path, "bundle", str(run.root), "--target", "tflite-micro", "--out", "made")
    headers = "".join(f'#include "{name}.h"\n' for name in ("contract", "model", "op_resolver"))
    arguments = "unsigned char* arena, const unsigned char* pixels"
    code = f"#include <cstring>\n{headers}using std::memcpy;\nvoid Classify({arguments}) {{\n{block.code}}}\n"
    (tmp_path / "snippet.cc").write_text(code)
    places = [f"-I{TFLM_STUB}", f"-I{tmp_path / 'made'}"]
    words = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *places, "snippet.cc"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _extended(kind: str, folder: Path) -> tuple[Path, str]:
    """A copy of the package with the page's example of a plug-in in its place, and the plug-in's name."""
    (block,) = _marked(kind)
    package = folder / "package"
    shutil.copytree(ROOT / "edgecnn", package / "edgecnn", ignore=shutil.ignore_patterns("__pycache__"))
    place = package / block.mark.split(" ")[1]
    assert not place.exists()
    place.parent.mkdir(exist_ok=True)
    place.write_text(block.code)
    return package, (place.parent if place.name == "__init__.py" else place).stem


def test_the_example_of_a_format_is_exported_and_passes_parity(run: Run, tmp_path: Path) -> None:
    package, name = _extended("format", tmp_path)
    _edgecnn(package, tmp_path, "export", str(run.root), "--format", name)
    parity = json.loads(
        _edgecnn(
            package, tmp_path, "parity", str(run.root), "--format", name, "--ep", "cpu", "--tolerance", "5", "--json"
        )
    )
    assert parity["verdict"] == "pass"
    assert {row["format"] for row in parity["rows"]} == {name}
    assert all(row["agreement"] > 0.99 for row in parity["rows"])
    size = run.path(f"exports/{name}.onnx").stat().st_size
    assert size < 0.6 * run.path("exports/onnx_float32.onnx").stat().st_size


def test_the_example_of_a_runtime_runs_the_exports(run: Run, tmp_path: Path) -> None:
    package, name = _extended("runtime", tmp_path)
    words = ["parity", str(run.root), "--format", "onnx_float32", "--ep", "cpu", "--tolerance", "5", "--json"]
    parity = json.loads(_edgecnn(package, tmp_path, *words))
    (row,) = (row for row in parity["rows"] if row["runtime"] == name)
    assert row["images"] == 100
    assert row["agreement"] == 1.0
    assert row["verdict"] == "pass"
    assert row["placement"]["compute_nodes"]["reference"] > 0


def test_the_example_of_a_bundle_is_written(run: Run, tmp_path: Path) -> None:
    package, name = _extended("bundle", tmp_path)
    target = name.replace("_", "-")
    _edgecnn(package, tmp_path, "bundle", str(run.root), "--target", target, "--out", "made")
    facts = json.loads((tmp_path / "made" / "labels.json").read_text())
    assert tuple(facts["labels"]) == run.contract().labels
    model = run.path("exports/onnx_float32.onnx").read_bytes()
    assert (tmp_path / "made" / "model.onnx").read_bytes() == model


def _cheap_lines() -> list[tuple[str, str]]:
    """Each command line once that takes seconds and needs nothing but this machine."""
    found: dict[str, str] = {}
    for where, line in pages.shell_lines():
        if line.startswith(tuple(f"edgecnn {start}" for start in CHEAP)) and "&&" not in line:
            found.setdefault(line, where)
    examples = ("onnx_float16", "labels-json")
    return [(where, line) for line, where in found.items() if not any(name in line for name in examples)]


@pytest.mark.parametrize(("where", "line"), _cheap_lines())
def test_cheap_commands_run_as_they_stand_there(where: str, line: str, every_format_run: Path, tmp_path: Path) -> None:
    if NEEDS_MICRO in line:
        pytest.importorskip("tflite_micro", reason="needs tflite-micro")
    shutil.copytree(every_format_run, tmp_path / "RUN")
    shutil.copy(every_format_run / "exports" / "onnx_float32.onnx", tmp_path / "FILE.onnx")
    _pictures(tmp_path)
    program = tmp_path / "bin" / "edgecnn"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgecnn "$@"\n')
    program.chmod(0o755)
    environment = _environment() | {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{where}: {line}: {done.stderr}"
