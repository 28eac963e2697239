"""Small files that would become large, slow or endless, made here: refused within bounds, in a sentence.

Those that fuzzing found first are among them.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.records import Contract, TensorSpec, decode, encode
from edgecnn.records.contract import CONTRACT_KEY
from tests.fuzz.harness import measured

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
HUGE = 1 << 29


class _Zeros(io.RawIOBase):
    """A stream of so many zeros."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        size = min(self._left, size)
        self._left -= size
        return bytes(size)


def _npy_header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": dtype, "fortran_order": False, "shape": shape})
    return head.getvalue()


def _npz(path: Path, shape: tuple[int, ...], *, filled: bool) -> None:
    """An .npz whose x_train has that shape: with as many zeros, or with none."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("x_train.npy", "w", force_zip64=True) as part:
            part.write(_npy_header(shape))
            if filled:
                zeros = _Zeros(int(np.prod(shape)))
                while block := zeros.read(1 << 20):
                    part.write(block)
        for name in ("y_train", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", _npy_header((0,)))


def _keras(path: Path, parts: dict[str, bytes | int]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            with archive.open(name, "w", force_zip64=True) as part:
                if isinstance(content, bytes):
                    part.write(content)
                else:
                    zeros = _Zeros(content)
                    while block := zeros.read(1 << 20):
                        part.write(block)


def _weights(*shapes: tuple[int, ...]) -> bytes:
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as archive:
        for number, shape in enumerate(shapes):  # of which no byte is written
            archive.create_dataset(f"layers/dense/vars/{number}", shape, "f4", chunks=True)
    return content.getvalue()


def _dense(units: int) -> bytes:
    layers = [
        {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, 100_000], "name": "x"},
         "registered_name": None},
        {"module": "keras.layers", "class_name": "Dense", "config": {"units": units, "name": "dense"},
         "registered_name": None},
    ]  # fmt: skip
    config = {"name": "sequential", "layers": layers, "build_input_shape": [None, 100_000]}
    return json.dumps(
        {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}
    ).encode()


BOMBS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "an npz of zeros": (
        "data.npz", lambda path: _npz(path, (1 << 17, 32, 32, 3), filled=True), "would unpack to"
    ),
    "an npz that holds nothing of what it declares": (
        "data.npz", lambda path: _npz(path, (1 << 40, 32, 32, 3), filled=False), "damaged"
    ),
    "a configuration of zeros": (
        "model.keras", lambda path: _keras(path, {"config.json": HUGE, "metadata.json": b"{}"}), "would unpack to"
    ),
    "a long configuration": (
        "model.keras", lambda path: _keras(path, {"config.json": 1 << 26}), "unpacks to more than"
    ),
    "weights of which no byte is there": (
        "model.keras",
        lambda path: _keras(path, {"config.json": _dense(3), "metadata.json": b"{}",
                                   "model.weights.h5": _weights((100_000, 100_000))}),
        "its weights would take",
    ),
    "a layer of more weights than the file": (
        "model.keras",
        lambda path: _keras(path, {"config.json": _dense(1_000_000), "metadata.json": b"{}",
                                   "model.weights.h5": _weights((100, 100))}),
        "would have more weights than the file holds",
    ),
    "a configuration nested without end": (
        "model.keras", lambda path: _keras(path, {"config.json": b"[" * 200_000}), "damaged"
    ),
    "many layers": (
        "model.keras",
        lambda path: _keras(path, {"config.json": json.dumps({"config": {"layers": [{}] * 3_000}}).encode(),
                                   "model.weights.h5": _weights((1,))}),
        "layers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["data-npz", "keras"])
def test_bombs_are_refused_before_they_go_off(kind: str, tmp_path: Path) -> None:
    if kind == "keras":
        pytest.importorskip("keras")
    suffix = f".{kind.rpartition('-')[2]}"
    bombs = {name: bomb for name, bomb in BOMBS.items() if bomb[0].endswith(suffix)}
    paths = []
    for number, (file, make, _) in enumerate(bombs.values()):
        paths.append(tmp_path / f"{number}-{file}")
        make(paths[-1])
        assert paths[-1].stat().st_size < 1 << 23
    for (name, (_, _, told)), said in zip(bombs.items(), measured(kind, *paths), strict=True):
        assert said.startswith("Error: ") and told in said and said.count("\n") == 1, name


@pytest.mark.parametrize(
    ("shape", "depth"), [((None, 65_535, 65_535, 3), 0), ((None, 20_000, 20_000, 3), 0), ((None, 8, 8, 3), 100_000)]
)
def test_an_onnx_file_that_declares_too_much(
    shape: tuple[int | None, ...], depth: int, tiny_onnx: Path, tiny_contract: Contract
) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny_onnx)
    for dim, side in zip(model.graph.input[0].type.tensor_type.shape.dim[1:3], shape[1:3], strict=True):
        dim.dim_value = side
    contract = replace(tiny_contract, input=TensorSpec(name="image", dtype="uint8", shape=shape))
    text = encode(contract).decode() if not depth else '{"schema": 2, "x": ' + "[" * depth + "]" * depth + "}"
    onnx.helper.set_model_props(model, {CONTRACT_KEY: text})
    onnx.save(model, tiny_onnx)
    (said,) = measured("onnx-predict", tiny_onnx)
    assert said.startswith("Error: ") and said.count("\n") == 1


def test_a_record_is_not_read_beyond_its_bound() -> None:
    from edgecnn.errors import InputError

    with pytest.raises(InputError, match="at most"):
        decode(b" " * ((1 << 26) + 1), Contract, "it")
