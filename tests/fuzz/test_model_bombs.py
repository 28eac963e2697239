"""Models of a few hundred bytes that ask for gigabytes while they are loaded, read or run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn.errors import InputError
from edgecnn.execution.client import ModelWorker
from edgecnn.inference.predictor import Predictor
from tests.fuzz.harness import MOST_BYTES, measured

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded by Linux")
HUGE = 1 << 33  # values, most of them of four bytes
DOUBLED = "".join(f"d{i + 1} = Concat <axis = 0> (d{i}, d{i}) " for i in range(33)) + "big = Identity (d33)"
# Nodes that make `big` of constants, or with `low` of the image; the value of each constant.
BOMBS: dict[str, tuple[str, dict[str, Any]]] = {
    "ConstantOfShape": ("big = ConstantOfShape (sides)", {"sides": np.array([HUGE])}),
    "Expand": ("big = Expand (one, sides)", {"one": np.float32([1]), "sides": np.array([HUGE])}),
    "Tile": ("big = Tile (one, sides)", {"one": np.float32([1]), "sides": np.array([HUGE])}),
    "Range": (
        "all = Range (zero, most, step) big = Cast <to = 1> (all)",
        {"zero": np.int64(0), "most": np.int64(HUGE), "step": np.int64(1)},
    ),
    "Pow": ("sides = Pow (two, power) big = ConstantOfShape (sides)", {"two": np.array([2]), "power": np.array([33])}),
    "Concat": (DOUBLED, {"d0": np.float32([1])}),
    "Add": (
        "row = ConstantOfShape (across) column = ConstantOfShape (down) big = Add (row, column)",
        {"across": np.array([1, 1 << 17]), "down": np.array([1 << 16, 1])},
    ),
    "Expand of the image": ("big = Expand (low, sides)", {"sides": np.array([HUGE])}),
}
# Products of constant matrices that stay small and take any machine hours to compute.
PRODUCTS = "p0 = ConstantOfShape (sides) " + " ".join(f"p{i + 1} = MatMul (p{i}, p{i})" for i in range(10_000))


def _with_bomb(path: Path, nodes: str, constants: dict[str, Any], big: str = "big") -> Path:
    """A tiny model whose logits have the highest value of `big` added."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "plain"
    text = f"""<ir_version: 8, opset_import: ["" : 17]> tiny (float[N, 3] plain) => (float[N, 3] logits) {{
        low = ReduceMin <keepdims = 0> (plain) {nodes} highest = ReduceMax <keepdims = 0> ({big})
        logits = Add (plain, highest) }}"""
    model.graph.node.extend(onnx.parser.parse_model(text).graph.node)
    for name, value in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    path.write_bytes(model.SerializeToString())
    assert path.stat().st_size < 1 << 20
    return path


@pytest.mark.parametrize("kind", ["onnx-predict", "onnx-features", "onnx-inspect"])
def test_an_onnx_file_that_asks_for_gigabytes_is_refused_in_time(kind: str, tiny_onnx: Path, tmp_path: Path) -> None:
    paths = []
    for name, (nodes, constants) in BOMBS.items():
        paths.append(tmp_path / f"{len(paths)}-{name.split()[0]}.onnx")
        paths[-1].write_bytes(tiny_onnx.read_bytes())
        _with_bomb(paths[-1], nodes, constants)
    for path, said in zip(paths, measured(kind, *paths), strict=True):
        if kind == "onnx-inspect" and "Error: " not in said:  # which computes nothing, so there is nothing to refuse
            assert said.startswith(str(path))
            continue
        assert said.startswith("Error: ") and said.count("\n") == 1, (path, said)
        assert "MiB of memory, which is more than a model of its size may take" in said, (path, said)


def test_a_worker_refuses_it_too(tiny_onnx: Path, tmp_path: Path) -> None:
    images = tmp_path / "images.npy"
    np.save(images, np.zeros((4, 8, 8, 3), np.uint8))
    for name in ("Concat", "Expand of the image"):
        path = tmp_path / "bomb.onnx"
        path.write_bytes(tiny_onnx.read_bytes())
        _with_bomb(path, *BOMBS[name])
        _refused_by("onnxruntime", path, images)


@pytest.mark.slow
def test_a_tflite_file_and_a_saved_model_with_a_fill(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")

    class Filled(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.uint8, name="image")])
        def call(self, image: Any) -> dict[str, Any]:
            means = tf.reduce_mean(tf.cast(image, tf.float32), [1, 2])
            return {"logits": means + tf.reduce_max(tf.fill([1 << 16, 1 << 17], tf.reduce_max(means)))}

    module, images = Filled(), tmp_path / "images.npy"
    np.save(images, np.zeros((4, 8, 8, 3), np.uint8))
    tf.saved_model.save(module, str(tmp_path / "model"), signatures={"serving_default": module.call})
    flat = tmp_path / "model.tflite"
    flat.write_bytes(tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "model")).convert())
    for runtime, path, provider in (
        ("litert", flat, "xnnpack"), ("litert", flat, "reference"), ("saved_model", tmp_path / "model", "cpu"),
    ):  # fmt: skip
        _refused_by(runtime, path, images, provider)


def _refused_by(runtime: str, path: Path, images: Path, provider: str = "cpu") -> None:
    with ModelWorker(runtime, path, threads=2, provider=provider, load=False) as worker:
        before = worker.ask("memory")["peak_bytes"]
        with pytest.raises(InputError, match="MiB of memory, which is more than a model of its size may take"):
            worker.load()
            worker.ask("first", images=str(images), batch=1)
        assert worker.ask("memory")["peak_bytes"] - before < MOST_BYTES


@pytest.mark.slow
def test_a_file_that_takes_hours_to_load_is_refused(tiny_onnx: Path) -> None:
    path = _with_bomb(tiny_onnx, PRODUCTS, {"sides": np.array([4096, 4096])}, "p10000")
    done = subprocess.run(
        [sys.executable, "-m", "edgecnn", "features", str(path), "--list"], capture_output=True, env=os.environ
    )
    assert (done.returncode, done.stderr.count(b"\n")) == (4, 1), done.stderr
    assert done.stderr.startswith(b"Error: ")
    assert b"s of CPU time to load, more than a model of its size may" in done.stderr


def test_another_program_s_own_limits_are_left_alone(tiny_onnx: Path) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    with Predictor(tiny_onnx) as predictor:
        predictor.predict(np.zeros((8, 8, 3), np.uint8))
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
