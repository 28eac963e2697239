"""A runtime is tried in a process of its own, whatever becomes of that."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.data.samples import synthetic_images
from edgecnn.errors import InputError, MachineError
from edgecnn.execution.trial import run_once, write_c_model
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import Run

if TYPE_CHECKING:
    from pathlib import Path

RUN = Run(pretrained_runs()["cifar10-cnn"])
MODEL = RUN.path("exports/onnx_float32.onnx")
FAKE = "onnxruntime"  # a package of this name, found before the real one


@pytest.fixture
def images(tmp_path: Path) -> Path:
    np.save(tmp_path / "images.npy", synthetic_images(3, RUN.contract()))
    return tmp_path / "images.npy"


def _replace_package(folder: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every new process find a package that does this when it is imported."""
    (folder / FAKE).mkdir()
    (folder / FAKE / "__init__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")


def test_outputs_are_the_model_s(images: Path, tmp_path: Path) -> None:
    import onnxruntime

    assert run_once("onnxruntime", "cpu", MODEL, images, tmp_path / "outputs.npy") == ["CPUExecutionProvider"]
    (wanted,) = onnxruntime.InferenceSession(MODEL).run(None, {"image": np.load(images)})
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), wanted, atol=1e-5)


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_the_c_model_runs(images: Path, tmp_path: Path) -> None:
    model = write_c_model(tmp_path / "c", RUN.contract())
    assert run_once("c_host", "cpu", model, images, tmp_path / "outputs.npy") == ["generated C"]
    firsts = np.load(images).reshape(3, -1)[:, :10]
    np.testing.assert_array_equal(np.load(tmp_path / "outputs.npy"), firsts // 2)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"its process died \(SIGSEGV\)"),
        ("import os; os.write(2, b'out of luck'); os._exit(7)", r"its process died \(exit code 7\): out of luck"),
        ("import time; time.sleep(600)", "it hangs: no result within 2 s"),
        ("raise RuntimeError('no such kernel')", "no such kernel"),
    ],
)
def test_what_goes_wrong_is_a_sentence(
    code: str, words: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replace_package(tmp_path, code, monkeypatch)
    with pytest.raises(InputError, match=words):
        run_once("onnxruntime", "cpu", MODEL, images, tmp_path / "outputs.npy", seconds=2 if "sleep" in code else 60)


def test_what_this_machine_lacks_is_told_apart(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _replace_package(tmp_path, "raise ModuleNotFoundError(name='onnxruntime')", monkeypatch)
    with pytest.raises(MachineError, match=r"onnxruntime is not installed: .*install onnxruntime"):
        run_once("onnxruntime", "cpu", MODEL, images, tmp_path / "outputs.npy")
