"""Mistakes that new users make: each gives one sentence and the documented exit code, and what it advises works.

In a line, {braces} enclose the word that is wrong. A sentence that asks "did you mean ...?" is followed with that word
in its place, one that names commands by running those and the line once more, and any other by the line that does what
it says, which stands in the table.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.cli import _run as command
from edgecnn.environment import install_command
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import ARTIFACTS, Run
from tests import pages

if TYPE_CHECKING:
    from pathlib import Path

LABELS = ("zero", "one", "two", "three")
IMPORT = "import own.keras --labels labels.txt --data data.npz --input-range 0..1 --out new"
TRAIN = "train new --data data.npz --epochs 1"
CHECK = "parity cifar10-cnn --format onnx_int8"
BENCH = "bench cifar10-cnn --format onnx_int8 --threads 1 --time-budget 1"


@dataclass(frozen=True)
class Mistake:
    """A command line, its exit code, words of its sentence, and the line that does what the sentence says."""

    line: str
    code: int
    words: str
    instead: str = ""  # "" where the sentence itself has what works
    options: str = ""  # for the commands that the sentence names, so that they take seconds
    parses: bool = False  # what is advised trains for minutes, or needs a device: only that the program takes it


def _replaced(line: str, old: str, new: str) -> str:
    assert old in line
    return line.replace(old, new)


NAMES = [
    Mistake("{exprot} mine --list", 2, "No such command 'exprot'"),
    Mistake("cpu {lst}", 2, "No such command 'lst'"),
    Mistake("predict mine cat.png {--fromat} int8", 2, "No such option '--fromat'"),
    Mistake("predict mine", 2, "Missing argument 'IMAGES...'", "predict mine cat.png"),
    Mistake("parity cifar10-cnn --format {onnx-int8}", 2, "No format is called 'onnx-int8'"),
    Mistake(f"{CHECK} --runtime {{onnx}}", 2, "No runtime is called 'onnx'"),
    Mistake(f"{CHECK} --runtime onnxruntime --ep xnnpak", 2, "execution provider", f"{CHECK} --ep cpu"),
    Mistake(f"{CHECK} --runtime litert --ep cuda", 2, "litert has no execution provider cuda, only xnnpack",
            _replaced(CHECK, "onnx_int8", "tflite_int8 --runtime litert --ep xnnpack")),
    Mistake("predict mine cat.png --ep {CPUExecutionProvider}", 2, "No execution provider"),
    Mistake("predict mine cat.png --format {onnx_int9}", 2, "No ONNX export is called 'onnx_int9'"),
    Mistake("features mine cat.png --layer {conv2}", 2, "No layer is called 'conv2'"),
    Mistake("features mine cat.png --layer conv2d --channel 99", 2, "has channels 0 to 31",
            "features mine cat.png --layer conv2d --channel 31"),
    Mistake("features mine --output jpg", 2, "'jpg' is not one of 'png', 'npz'", "features mine --output npz"),
    Mistake("bundle mine --target {tflite_micro} --out new", 2, "No bundle is called 'tflite_micro'"),
    Mistake("bundle mine --target esp --out new", 2, "there are android, arduino, cmake, ios, python, tflite-micro",
            "bundle mine --target tflite-micro --out new"),
    Mistake("compare mine mine --fail-on {sizes}", 2, "No kind of regression is called 'sizes'"),
    Mistake("compare mine mine --max-growth 10", 2, "--max-growth needs --fail-on size",
            "compare mine mine --max-growth 10 --fail-on size"),
    Mistake("predict mine cat.png --json --csv", 2, "give one of them", "predict mine cat.png --csv"),
    Mistake("predict mine/exports/onnx_int8.onnx cat.png --format int8", 2, "is a single file",
            "predict mine cat.png --format int8"),
    Mistake("bench cifar10-cnn --remote pi@raspberry", 2, "write it as ssh://user@host",
            "bench cifar10-cnn --remote ssh://pi@raspberry", parses=True),
    Mistake("bench cifar10-cnn --cpu haswell", 2, "measure on the device itself with --remote",
            "bench cifar10-cnn --remote ssh://pi@raspberry", parses=True),
    Mistake("fit cifar10-cnn", 2, "Say how much memory there is: --flash, --ram, or --board, one of ",
            "fit cifar10-cnn --ram 16K"),
    Mistake("fit cifar10-cnn --board {micro}", 2, "No board is called 'micro'"),
    Mistake("fit cifar10-cnn --ram 16KB/s", 2, "'16KB/s' is no size: 16384, 16K and 2M are",
            "fit cifar10-cnn --ram 16KB"),
    Mistake("fit cifar10-cnn --flash 0", 2, "'0' is no size: 16384, 16K and 2M are", "fit cifar10-cnn --flash 256K"),
    Mistake("fit cifar10-cnn --board microbit --plot .", 2, "is a directory",
            "fit cifar10-cnn --board microbit --plot memory.png"),
    Mistake("export mine --format onnx_float32 --check --target portable", 2, "leave out --rounding and --target",
            "export mine --format onnx_float32 --check"),
    Mistake(f"{CHECK} --cpu {{hasswell}}", 2, "No CPU is called 'hasswell'", parses=True),
]  # fmt: skip

FILES = [
    Mistake("predict {cifar10-cnm} cat.png", 4, "There is no model 'cifar10-cnm'"),
    Mistake("parity {CIFAR10-CNN} --format onnx_int8", 4, "There is no run at CIFAR10-CNN"),
    Mistake("export nowhere", 4, "There is no run at nowhere", parses=True),
    Mistake("predict mine missing.png", 4, "There is no image missing.png; check the path", "predict mine cat.png"),
    Mistake("predict mine words.png", 4, "words.png is not an image", "predict mine cat.png"),
    Mistake("predict mine project", 4, "There is no image in project", "predict mine pictures"),
    Mistake("predict mine 'pictures/*.bmp'", 4, "check the pattern", "predict mine 'pictures/*.png'"),
    Mistake("predict cat.png mine", 4, "cat.png is not an ONNX model; give a run", "predict mine cat.png"),
    Mistake("predict mine/exports/tflite_int8.tflite cat.png", 4, "give a run, or one of its .onnx files",
            "predict mine/exports/onnx_int8.onnx cat.png"),
    Mistake("predict {mine/exports} cat.png", 4, "holds other files and is not a run"),
    Mistake("predict foreign.onnx cat.png", 4, "use an .onnx file of a run",
            "predict mine/exports/onnx_float32.onnx cat.png"),
    Mistake("predict cut.onnx cat.png", 4, "cut.onnx is damaged", "predict mine cat.png"),
    Mistake("report {mine/exports}", 4, "mine/exports holds other files and is not a run"),
    Mistake("compare mine {.}", 4, "did you mean mine"),
    Mistake("bundle mine --target tflite-micro --out project", 4, "choose a new or an empty directory with --out",
            "bundle mine --target tflite-micro --out new"),
    Mistake("features mine cat.png --out cat.png", 3, "part of this path is not a directory",
            "features mine cat.png --out new"),
    Mistake("inspect mine", 4, "inspect one of its exports", "inspect mine/exports/tflite_int8.tflite"),
    Mistake("inspect nowhere.onnx", 4, "check the path", "inspect mine/exports/onnx_int8.onnx"),
    Mistake("inspect mine/model.keras", 4, "is a Keras model, not an exported file", IMPORT, parses=True),
    Mistake("inspect cat.png", 4, "cat.png is not", "inspect mine/exports/onnx_int8.onnx"),
    Mistake("fit {cifar10-cnm} --ram 16K", 4, "There is no run at cifar10-cnm"),
    Mistake("fit lost.tflite --ram 16K", 4, "lost.tflite does not exist; give a run or a .tflite file",
            "fit mine/exports/tflite_int8_micro.tflite --ram 16K"),
    Mistake("fit cut.tflite --ram 16K", 4, "cut.tflite is damaged", "fit mine --ram 16K"),
    Mistake("fit mine/model.keras --ram 16K", 4, "is a Keras model: create a run", IMPORT, parses=True),
    Mistake("fit mine/exports/onnx_int8.onnx --ram 16K", 4, "is an .onnx file and no .tflite file; `edgecnn export RUN",
            "fit mine --ram 16K"),
    Mistake("fit cat.png --ram 16K", 4, "cat.png is no run and no .tflite file", "fit mine --ram 16K"),
    Mistake("fit {mine/exports} --ram 16K", 4, "holds other files and is not a run"),
]  # fmt: skip

PRETRAINED = [
    Mistake("export cifar10-cnn", 2, "its files are in", parses=True),
    Mistake("train cifar10-cnn", 2, "cifar10-cnn is a pretrained run", parses=True),
    Mistake("run cifar10-cnn", 2, "cifar10-cnn is a pretrained run", parses=True),
    Mistake("report cifar10-cnn", 2, "report.html", "compare cifar10-cnn cifar10-cnn"),
    Mistake("parity cifar10-cnn --layers", 2, "--layers needs a run of your own", parses=True),
    Mistake("inspect cifar10-cnn", 4, "inspect one of its exports", "inspect mine/exports/onnx_float32.onnx"),
    Mistake(_replaced(IMPORT, "own.keras", "cifar10-cnn"), 4, "cifar10-cnn is a run already", parses=True),
    Mistake("run new --model cifar10-cnn --epochs 3", 2, "which --model cifar10-cnn skips",
            "run new --model cifar10-cnn", parses=True),
    Mistake("run new --allow-synthetic", 2, "--allow-synthetic needs --model",
            "run new --model cifar10-cnn --allow-synthetic", parses=True),
]  # fmt: skip

SLOW = [  # what they advise measures, or loads TensorFlow
    Mistake(f"{BENCH} --baseline {{onnx_int}}", 2, "No format is called 'onnx_int'"),
    Mistake(f"{BENCH} --baseline onnx_float32", 2, "add --format onnx_float32",
            f"{BENCH} --baseline onnx_float32 --format onnx_float32"),
    Mistake(f"{BENCH} --runtime litert", 2, "leave out --format, --runtime or --ep", BENCH),
    Mistake(f"{BENCH} --threads all", 2, "all is not a list of numbers such as 1,2,4", BENCH),
    Mistake(f"{BENCH} --python no/such/python", 3, "There is no Python at no/such/python",
            f"{BENCH} --python {shlex.quote(sys.executable)}"),
    Mistake("bench cat.png", 4, "give the directory of a run", BENCH),
    Mistake(f"{TRAIN} --architecture {{cnnn}}", 2, "No architecture is called 'cnnn'"),
    Mistake(f"{TRAIN} --recipe {{tutoriel}}", 2, "No recipe is called 'tutoriel'"),
    Mistake(f"{TRAIN} --teacher cifar10-cnn", 2, "--recipe tuned does",
            f"{TRAIN} --recipe tuned --teacher cifar10-cnn", parses=True),
    Mistake(f"{TRAIN} --validation-images 10000", 4, "give a smaller number", f"{TRAIN} --validation-images 8"),
    Mistake(_replaced(TRAIN, "new", "project"), 4, "choose a new or an empty directory", TRAIN),
    Mistake("report trained", 4, "artifacts.json is missing", options="--format onnx_float32"),
    Mistake("predict trained cat.png", 4, "holds no exports/onnx_float32.onnx", options="--format onnx_float32"),
    Mistake("bench without --format c_int8 --threads 1 --time-budget 1", 4, "c_int8 is not exported yet"),
    Mistake("bundle without --target cmake --out new", 4, "c_int8 is not exported yet"),
    Mistake("fit without --ram 16K", 4, "tflite_int8_micro is not exported yet"),
    Mistake(_replaced(IMPORT, "own.keras", "mine/exports/tflite_int8.tflite"), 4, "is not a .keras or .h5", IMPORT),
    Mistake(_replaced(IMPORT, "own.keras", "mine/exports/saved_model"), 4, "give the .keras or .h5 file", IMPORT),
    Mistake(_replaced(IMPORT, "own.keras", "regression.keras"), 4, "as of a regression", IMPORT),
    Mistake(_replaced(IMPORT, "own.keras", "lambda.keras"), 4, "rebuild the model with layers of Keras", IMPORT),
    Mistake(_replaced(IMPORT, "labels.txt", "nothing.txt"), 4, "There is no file of labels at nothing.txt", IMPORT),
    Mistake(_replaced(IMPORT, "labels.txt", "two.txt"), 4, "give a line for each class", IMPORT),
    Mistake(_replaced(IMPORT, "labels.txt", "cat.png"), 4, "save it as UTF-8", IMPORT),
    Mistake(_replaced(IMPORT, "0..1", "0-1"), 2, "'0-1' is not one of '0..255', '0..1', '-1..1'", IMPORT),
    Mistake(f"{IMPORT} --mean 0.5", 2, "give both or neither", f"{IMPORT} --mean 0.5 --std 0.5"),
    Mistake(_replaced(IMPORT, "data.npz", "synthetic"), 4, "give one with the model's classes", IMPORT),
    Mistake(_replaced(IMPORT, "data.npz", "dat.npz"), 4, "give auto, cifar10, synthetic or a path", IMPORT),
    Mistake(_replaced(IMPORT, "data.npz", "keys.npz"), 4, "it needs x_train, y_train, x_test, y_test", IMPORT),
    Mistake(_replaced(IMPORT, "data.npz", "floats.npz"), 4, "images must be uint8, 0 to 255", IMPORT),
    Mistake(_replaced(IMPORT, "data.npz", "channels_first.npz"), 4, "images must be [N, height, width, 1",
            IMPORT),
    Mistake(_replaced(IMPORT, "data.npz", "pictures"), 4, "is not a data set; use", IMPORT),
    Mistake(_replaced(IMPORT, "data.npz", "half"), 4, "has no test split: put images into",
            _replaced(IMPORT, "data.npz", "whole")),
]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What lies around in a user's folder: runs, pictures, data sets, models."""
    from PIL import Image

    place = tmp_path_factory.mktemp("user")
    published = shutil.copytree(pretrained_runs()["cifar10-cnn"], place / "mine")
    (place / "cut.onnx").write_bytes((published / "exports" / "onnx_float32.onnx").read_bytes()[:5000])
    for name in ("model.keras", "contract.json", "training.json"):
        (place / "trained").mkdir(exist_ok=True)
        shutil.copy(published / name, place / "trained")
    (place / "cut.tflite").write_bytes((published / "exports" / "tflite_int8_micro.tflite").read_bytes()[:5000])
    without = Run(shutil.copytree(place / "trained", place / "without"))  # a record of no export
    without.save(ARTIFACTS, replace(Run(published).artifacts(), artifacts=()))
    for run in ("mine", "trained", "without"):
        (place / run / ".lock").touch()  # as every command on a run leaves it
    for picture in ("cat.png", "pictures/dog.png"):
        (place / picture).parent.mkdir(exist_ok=True)
        Image.new("RGB", (40, 30), "gray").save(place / picture)
    (place / "project").mkdir()
    for name in ("words.png", "project/main.c"):
        (place / name).write_text("int main(void) { return 0; }\n")
    (place / "labels.txt").write_text("\n".join(LABELS))
    (place / "two.txt").write_text("\n".join(LABELS[:2]))
    _save_data(place)
    return place


def _save_data(place: Path) -> None:
    from PIL import Image

    pixels, labels = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3), np.uint8), np.arange(40) % 4
    arrays = {"x_train": pixels, "y_train": labels, "x_test": pixels, "y_test": labels, "labels": np.array(LABELS)}
    np.savez(place / "data.npz", **arrays)
    np.savez(place / "keys.npz", images=pixels, classes=labels)
    np.savez(place / "floats.npz", **{**arrays, "x_train": pixels / np.float32(255)})
    np.savez(place / "channels_first.npz", **{**arrays, "x_train": pixels.transpose(0, 3, 1, 2)})
    for folder in ("half/train", "whole/train", "whole/test"):
        for number, label in enumerate(LABELS):
            (place / folder / label).mkdir(parents=True)
            Image.fromarray(pixels[number]).save(place / folder / label / "one.png")


@pytest.fixture(scope="module")
def models(files: Path) -> None:
    """Keras models beside them: a classifier, and two that are none or cannot be taken."""
    keras = pytest.importorskip("keras")
    image = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(image)
    doubled = keras.layers.Flatten()(keras.layers.Lambda(lambda pixels: pixels * 2)(image))
    for name, features, count in (("own", flat, 4), ("regression", flat, 1), ("lambda", doubled, 4)):
        keras.Model(image, keras.layers.Dense(count)(features)).save(files / f"{name}.keras")


@pytest.fixture
def here(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the user's folder as the working directory; files are never changed in place, so links will do."""
    place = tmp_path / "here"
    shutil.copytree(files, place, copy_function=os.link)
    monkeypatch.chdir(place)
    return place


def _called(line: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    code = command(shlex.split(line))
    told = capsys.readouterr()
    return code, told.out, told.err


def _follow(mistake: Mistake, sentence: str) -> list[str]:
    """The command lines that do what the sentence says."""
    if mistake.instead:
        return [mistake.instead]
    if meant := re.search(r"[Dd]id you mean (?:the pretrained run )?'?([^\s'?]+)", sentence):
        return [re.sub(r"\{.*\}", meant[1], mistake.line)]
    named = re.findall(r"`edgecnn ([^`]+)`", sentence)
    assert named, f"nothing can be done: {sentence}"
    return [*(f"{line} {mistake.options}" for line in named), *([] if mistake.parses else [mistake.line])]


def _check(mistake: Mistake, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(here.rglob("*"))
    code, out, err = _called(mistake.line.replace("{", "").replace("}", ""), capsys)
    assert (code, out) == (mistake.code, ""), err
    *narration, last = err.splitlines()
    assert last.startswith("Error: ") and mistake.words in last, err
    assert last[-1] in ".?" and len(last) < 500
    assert not any(line.startswith(("Error", "Traceback")) for line in narration)
    assert sorted(here.rglob("*")) == before, "something was left"
    for line in _follow(mistake, last):
        if mistake.parses:
            pages.parse(shlex.split(line))
            continue
        code, _, err = _called(line, capsys)
        assert code == 0, f"{line}: {err}"


@pytest.mark.parametrize("mistake", [*NAMES, *FILES, *PRETRAINED], ids=lambda mistake: mistake.line)
def test_a_mistake_gives_a_sentence_whose_advice_works(
    mistake: Mistake, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "tflite-micro" in mistake.line:
        pytest.importorskip("tflite_micro")
    if mistake.line.startswith("predict foreign"):
        onnx = pytest.importorskip("onnx")
        model = onnx.load(here / "mine" / "exports" / "onnx_float32.onnx")
        del model.metadata_props[:]
        onnx.save(model, here / "foreign.onnx")
    _check(mistake, here, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("mistake", SLOW, ids=lambda mistake: mistake.line)
@pytest.mark.usefixtures("models")
def test_a_mistake_before_longer_work_too(mistake: Mistake, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _check(mistake, here, capsys)


@pytest.mark.parametrize("line", [TRAIN, IMPORT.replace("own.keras", "mine/model.keras"), "parity mine"])
def test_without_tensorflow(
    line: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that brings it is run by test_install.py, in an environment without."""
    for name in ("tensorflow", "keras"):
        monkeypatch.setitem(sys.modules, name, None)
    code, _, err = _called(line, capsys)
    *_, last = err.splitlines()
    assert code == 3
    assert re.fullmatch(rf"Error: This needs the package \w+: {re.escape(install_command('export'))}\.", last)
    assert not (here / "new").exists()


def test_there_are_many() -> None:
    assert len({mistake.line for mistake in (*NAMES, *FILES, *PRETRAINED, *SLOW)}) >= 40
