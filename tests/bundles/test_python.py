"""The bundle for Python: a package of its own that answers as the predictor does, and fails where it was altered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from edgecnn.bundles.python import PLUGIN
from edgecnn.inference.predictor import Predictor
from edgecnn.preprocessing.decode import prepare
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import Run
from edgecnn.runtimes import litert
from edgecnn.stages.bundle import bundle
from tests.alterations import change_weight, replacing, swapping_labels

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.arrays import Floats

RUN = Run(pretrained_runs()["cifar10-cnn"])
NAME = "cnn_cifar10"
ROOT = Path(__file__).parents[2]
SCRIPT = f"""
import json, sys
from {NAME} import Classifier
labels = Classifier().classify(sys.argv[1])
assert "edgecnn" not in sys.modules
print(json.dumps([[one.label, one.probability, one.score] for one in labels]))
"""


def _python(*words: object, folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run Python where the package in that folder can be imported."""
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, *(str(word) for word in words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder.parent, env=environment, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    coarse = Image.fromarray(np.random.default_rng(5).integers(0, 256, (6, 5, 4), np.uint8), "RGBA")
    coarse.resize((120, 90), Image.Resampling.BICUBIC).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def _expected(format: str, photo: Path) -> Floats:
    """The export's outputs."""
    if format.startswith("onnx"):
        with Predictor(RUN.root, format=format) as predictor:
            return predictor.predict(photo).scores
    session = litert.load(RUN.path(f"exports/{format}.tflite"), 1, "xnnpack", ())
    return next(iter(session.run(prepare(photo, RUN.contract())[None]).values()))[0]


@pytest.mark.parametrize("format", PLUGIN.formats)
def test_it_proves_itself_and_answers_as_the_export(format: str, photo: Path, tmp_path: Path) -> None:
    folder = bundle(RUN, "python", tmp_path / "made", format=format)
    assert _python("-m", NAME, folder=folder).stdout == "PASS\n"
    (tmp_path / "look.py").write_text(SCRIPT)
    found = json.loads(_python(tmp_path / "look.py", photo, folder=folder).stdout)
    scores = _expected(format, photo)
    assert [label for label, _, _ in found] == [RUN.contract().labels[i] for i in (-scores).argsort(kind="stable")]
    np.testing.assert_array_equal([score for _, _, score in found], np.sort(scores)[::-1])
    assert sum(share for _, share, _ in found) == pytest.approx(1, abs=1e-6)


PIXELS = "its pixels are prepared otherwise"
ALTERATIONS: dict[str, tuple[Callable[[Path], None], str]] = {
    "model": (change_weight, "The model is not the file that was bundled."),
    "label order": (swapping_labels("contract.json"), "The labels were changed."),
    "another resize": (replacing("resize.py", "sums += 2**14", "sums += 0"), PIXELS),
    "EXIF ignored": (replacing("decode.py", "if orientation in (5, 6, 7, 8):", "if False:"), PIXELS),
    "alpha ignored": (replacing("decode.py", "255 * (255 - alpha) + 127", "127"), PIXELS),
    "channels swapped": (
        replacing("classifier.py", "width, channels)\n", "width, channels)[..., ::-1]\n"),
        PIXELS,
    ),
    "scaled twice": (replacing("engine.py", "pixels[None]}", "(pixels // 255)[None]}"), "its outputs differ by"),
}  # fmt: skip


@pytest.mark.parametrize("what", ALTERATIONS)
def test_an_altered_bundle_fails_its_self_test(what: str, tmp_path: Path) -> None:
    folder = bundle(RUN, "python", tmp_path / "made")
    alter, words = ALTERATIONS[what]
    alter(folder / NAME)
    done = _python("-m", NAME, folder=folder, code=1)
    assert words in done.stderr and done.stdout == "FAIL\n"


def test_images_are_named_with_their_labels_and_refused_in_a_sentence(photo: Path, tmp_path: Path) -> None:
    folder = bundle(RUN, "python", tmp_path / "made", format="onnx_int8")
    (tmp_path / "text.png").write_text("no image")
    done = _python("-m", NAME, photo, tmp_path / "text.png", folder=folder, code=4)
    with Predictor(RUN.root, format="onnx_int8") as predictor:
        best = predictor.predict(photo)
    assert done.stdout == f"{photo}: {best.label}, {best.probability:.1%}\n"
    assert done.stderr.startswith(f"{tmp_path / 'text.png'} is not an image, or its beginning is damaged;")
    assert len(done.stderr.splitlines()) == 1


def test_its_source_is_formatted_linted_and_typed(tmp_path: Path) -> None:
    for format in ("onnx_float32", "tflite_float32"):
        folder = bundle(RUN, "python", tmp_path / format, format=format)
        settings = ["--config", str(ROOT / "pyproject.toml"), "--no-cache"]
        mypy = ["mypy", "--strict", "--ignore-missing-imports", f"--cache-dir={tmp_path / 'mypy'}", NAME]
        for words in (["ruff", "check", *settings, "."], ["ruff", "format", "--check", *settings, "."], mypy):
            done = subprocess.run(
                [sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_pip_installs_it(photo: Path, tmp_path: Path) -> None:
    folder = bundle(RUN, "python", tmp_path / "made")
    place = tmp_path / "place"
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target", place, folder]
    _python(*words, folder=folder)
    shutil.rmtree(folder)
    assert _python("-P", "-m", NAME, folder=place).stdout == "PASS\n"
