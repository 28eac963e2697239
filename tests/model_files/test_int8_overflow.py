"""Which nodes of an ONNX file can overflow in 16 bits, and what `edgecnn inspect` says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgecnn.cli import cli
from edgecnn.model_files.int8_overflow import MAX_PAIR_SUM, int8_nodes

onnx = pytest.importorskip("onnx")
SAFE, LARGE, OPPOSITE = (64, 64), (65, 64), (127, -127)
KINDS = {  # shape of the weights, attributes of the node, whether two large weights may be added in 16 bits
    "Conv": ((4, 2, 3, 3), "", True),
    "depthwise Conv": ((4, 1, 3, 3), "group = 4", False),
    "grouped Conv": ((4, 2, 3, 3), "group = 2", True),
    "Gemm": ((8, 4), "", True),
    "transposed Gemm": ((4, 8), "transB = 1", True),
    "MatMul": ((8, 4), "", True),
}


def _model(kind: str, pair: tuple[int, int], *, axis: int = 0) -> onnx.ModelProto:
    """One quantized node whose weights are zeros but for a pair in the last output channel."""
    shape, attributes, _ = KINDS[kind]
    operator = kind.split()[-1]
    first = operator == "Conv" or "transB" in attributes
    weights = np.zeros(shape, np.int8)
    channel = weights[-1].reshape(-1) if first else weights[:, -1]
    channel[[0, -1]] = pair
    sides = "N, 4, 8, 8" if "depthwise" in kind or "grouped" in kind else "N, 2, 8, 8"
    graph = f"""
    <ir_version: 8, opset_import: ["" : 17]>
    g (float[{sides if operator == "Conv" else "N, 8"}] x) => (float[] y) {{
        q = QuantizeLinear (x, s, z)
        f = DequantizeLinear (q, s, z)
        k = DequantizeLinear (w, ws, wz)
        y = {operator} <{attributes}> (f, k)
    }}
    """.replace(" <>", "")
    model = onnx.parser.parse_model(graph)
    model.graph.node[-1].name = "layer/node"
    arrays = {"s": np.float32(1), "z": np.uint8(0), "w": weights, "ws": np.float32(1), "wz": np.int8(0)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), n) for n, v in arrays.items())
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pair", [SAFE, LARGE, OPPOSITE])
def test_two_large_weights_of_one_sign_overflow(kind: str, pair: tuple[int, int]) -> None:
    (node,) = int8_nodes(_model(kind, pair))
    assert node.name == "layer/node"
    assert (node.channels, node.pair_sum) == (4, sum(map(abs, pair)))
    assert node.overflows == (KINDS[kind][2] and pair == LARGE)


def test_weights_that_are_multiplied_by_floats_are_no_matter() -> None:
    model = _model("Conv", LARGE)
    model.graph.node[-1].input[0] = "x"
    assert int8_nodes(model) == []


def test_integer_operators_are_seen_too() -> None:
    model = onnx.parser.parse_model(
        """
        <ir_version: 8, opset_import: ["" : 17]>
        g (uint8[N, 2] x) => (int32[N, 1] y) { y = MatMulInteger (x, w) }
        """
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([[127], [127]], np.int8), "w"))
    (node,) = int8_nodes(model)
    assert (node.name, node.overflows) == ("y", True)


@pytest.mark.parametrize(("pair", "said"), [(SAFE, "none can overflow"), (LARGE, "overflow on the weights")])
def test_inspect_says_whether_outputs_depend_on_the_cpu(tmp_path: Path, pair: tuple[int, int], said: str) -> None:
    path = tmp_path / "foreign.onnx"
    onnx.save(_model("Conv", pair), path)
    output = " ".join(CliRunner().invoke(cli, ["inspect", str(path)], catch_exceptions=False).output.split())
    assert said in output
    assert ("of layer/node;" in output) == (pair == LARGE)


def test_inspect_does_not_guess_about_weights_outside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "foreign.onnx"
    model = _model("Conv", LARGE)
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    output = " ".join(CliRunner().invoke(cli, ["inspect", str(path)], catch_exceptions=False).output.split())
    assert "is not known: the int8 weights of layer/node lie outside the file" in output


def test_the_bound_is_what_16_bits_hold() -> None:
    assert 255 * MAX_PAIR_SUM <= np.iinfo(np.int16).max < 255 * (MAX_PAIR_SUM + 1)
