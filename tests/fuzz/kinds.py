"""What is fuzzed: of each kind of input a small valid file, how it is changed, and the command that reads it."""

from __future__ import annotations

import gzip
import io
import pickle
import shutil
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.errors import EdgecnnError
from edgecnn.pretrained import pretrained_runs
from tests.fuzz import mutators

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from pathlib import Path

PUBLISHED = "cifar10-cnn"
BLOCKS = 8
IMAGES = {"jpeg": "JPEG", "png": "PNG", "gif": "GIF", "tiff": "TIFF", "bmp": "BMP", "webp": "WEBP"}


@dataclass(frozen=True)
class Kind:
    """A kind of input. `make` writes the valid file and all that goes with it below a folder, and returns its path
    there; `read` has it read and returns the exit code. `slow` ones need TensorFlow."""

    make: Callable[[Path], str]
    mutate: Callable[[bytes, random.Random], bytes]
    read: Callable[[Path, Path], int]
    slow: bool = False


def _words(*words: str) -> Callable[[Path, Path], int]:
    """A command; FILE and FOLDER stand for where they are."""
    return lambda folder, path: command(
        [word.replace("FILE", str(path)).replace("FOLDER", str(folder)) for word in words]
    )


def _code(read: Callable[[Path], object]) -> Callable[[Path, Path], int]:
    """A function that a longer command begins with; its errors are what the command would print."""

    def run(folder: Path, path: Path) -> int:
        from edgecnn.console import log

        try:
            read(path)
        except EdgecnnError as error:
            log(f"Error: {error}")
            return error.exit_code
        return 0

    return run


def _export(name: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        Image.new("RGB", (40, 30), "teal").save(folder / "image.png")
        shutil.copy(pretrained_runs()[PUBLISHED] / "exports" / name, folder / name)
        return name

    return make


def _image(format: str) -> Callable[[Path], str]:
    def make(folder: Path) -> str:
        pixels = np.random.default_rng(1).integers(0, 256, (12, 9, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"image.{format.lower()}", format)
        return f"image.{format.lower()}"

    return make


def _npz(folder: Path) -> str:
    from edgecnn.data.datasets.synthetic import draw

    arrays: dict[str, np.ndarray] = {"labels": np.array(["a", "b"])}
    for split in ("train", "test"):
        images, labels = draw(20, seed=1, split=split)
        arrays[f"x_{split}"], arrays[f"y_{split}"] = images[:, ::4, ::4], labels % 2
    np.savez_compressed(folder / "data.npz", **arrays)  # type: ignore[arg-type]
    return "data.npz"


def _batches() -> dict[str, bytes]:
    from edgecnn.data.datasets import cifar10

    batch = {b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, 1, 2, 3]}
    names = {b"label_names": [b"a", b"b", b"c", b"d"]}
    files = {name: pickle.dumps(batch, 2) for name in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE)}
    return {**files, cifar10.META_FILE: pickle.dumps(names, 2)}


def _pickle(folder: Path) -> str:
    for name, content in _batches().items():
        (folder / name).write_bytes(content)
    return "data_batch_1"


def _tar(folder: Path) -> str:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in _batches().items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{'n' * 120 if name == 'batches.meta' else ''}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (folder / "cifar.tar.gz").write_bytes(gzip.compress(packed.getvalue(), 1))
    return "cifar.tar.gz"


def _keras(folder: Path) -> str:
    from edgecnn.tensorflow_setup import configure_tensorflow

    configure_tensorflow()
    import keras

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3))
    model.save(folder / "model.keras")
    return "model.keras"


def _read_keras(path: Path) -> None:
    from edgecnn.training import keras_import

    keras_import.check(keras_import.read(path), path)


def _saved_model(folder: Path) -> str:
    shutil.copytree(pretrained_runs()[PUBLISHED] / "exports" / "saved_model", folder / "saved_model")
    return "saved_model/saved_model.pb"


def _record(name: str) -> Callable[[Path], str]:
    """A file of the published run, with two rows of each table: its samples would take most of the time."""

    def make(folder: Path) -> str:
        import json

        run = folder / "run"
        shutil.copytree(pretrained_runs()[PUBLISHED], run, ignore=shutil.ignore_patterns("report.*", "golden.json"))
        for record, rows in ((run_directory.LATENCY, "rows"), (run_directory.PARITY, "rows")):
            content = json.loads((run / record).read_text())
            content[rows] = [row for row in content[rows] if row["format"] in ("onnx_float32", "onnx_int8")][:2]
            for row in content[rows] if record == run_directory.LATENCY else ():
                row["block_positions"] = row["block_positions"][:BLOCKS]
                row["samples_ns"] = row["samples_ns"][: BLOCKS * row["calls_per_block"]]
                row["blocks_per_start"] = [BLOCKS]
            (run / record).write_text(json.dumps(content))
        return f"run/{name}"

    return make


def _load_data(path: Path) -> None:
    from edgecnn.data.loading import load_data

    load_data(str(path), (32, 32))


ONNX = "onnx_float32.onnx"
KINDS: dict[str, Kind] = {
    "onnx-predict": Kind(_export(ONNX), mutators.head_first, _words("predict", "FILE", "FOLDER/image.png")),
    "onnx-features": Kind(
        _export(ONNX), mutators.raw, _words("features", "FILE", "FOLDER/image.png", "--out", "FOLDER/maps")
    ),
    "onnx-inspect": Kind(_export(ONNX), mutators.head_first, _words("inspect", "FILE")),
    "onnx-json": Kind(_export("onnx_int8.onnx"), mutators.raw, _words("inspect", "FILE", "--json")),
    "tflite-inspect": Kind(_export("tflite_int8.tflite"), mutators.raw, _words("inspect", "FILE")),
    **{
        f"image-{name}": Kind(_image(format), mutators.head_first, _words("predict", PUBLISHED, "FILE"))
        for name, format in IMAGES.items()
    },
    "data-npz": Kind(_npz, mutators.of_zip, _code(_load_data)),
    "data-pickle": Kind(_pickle, mutators.raw, _code(lambda path: _load_data(path.parent))),
    "data-tar": Kind(_tar, mutators.of_gzip, _code(_load_data)),
    "contract": Kind(_record("contract.json"), mutators.of_json, _words("report", "FOLDER/run")),
    "training": Kind(_record("training.json"), mutators.of_json, _words("report", "FOLDER/run")),
    "artifacts": Kind(_record("artifacts.json"), mutators.of_json, _words("report", "FOLDER/run")),
    "parity": Kind(_record("parity.json"), mutators.of_json, _words("report", "FOLDER/run")),
    "latency": Kind(_record("latency.json"), mutators.of_json, _words("report", "FOLDER/run")),
    "latency-verify": Kind(_record("latency.json"), mutators.of_json, _words("verify", "FOLDER/run", "--json")),
    "layers": Kind(_record("layers.json"), mutators.of_json, _words("report", "FOLDER/run")),
    "predictions": Kind(
        _record("predictions.npz"), mutators.of_zip, _words("compare", "FOLDER/run", PUBLISHED, "--fail-on", "accuracy")
    ),
    "parity-compare": Kind(_record("parity.json"), mutators.of_json, _words("compare", PUBLISHED, "FOLDER/run")),
    "keras": Kind(_keras, mutators.of_zip, _code(_read_keras), slow=True),
    "saved-model": Kind(_saved_model, mutators.raw, _words("inspect", "FOLDER/saved_model"), slow=True),
}


def quick() -> Sequence[str]:
    """Names of those that need no TensorFlow."""
    return [name for name, kind in KINDS.items() if not kind.slow]
