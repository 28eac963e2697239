"""Each way in which a graph can begin: floats for the quantizer and pixels again behind it give the same answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecnn.errors import InputError
from edgecnn.export.quantization.onnx_input_pattern import take_floats, take_pixels

onnx = pytest.importorskip("onnx")
FORM = '<ir_version: 8, opset_import: ["" : 17]> g (uint8[N, 4, 4, 3] image) => (float[N, M] y) {{ {} }}'
FLAT = "flat = Flatten (floats) y = MatMul (flat, w)"


def _model(body: str) -> Any:
    model = onnx.parser.parse_model(FORM.format(body))
    random = np.random.default_rng(1)
    constants = {
        "w": random.normal(0, 1, (48, 2)), "over_255": np.array(1 / 255), "two": np.array(2 / 255),
        "each": np.array([0.1, 0.2, 0.3]) / 255, "d255": np.array(255), "one": np.array(1),
    }  # fmt: skip
    used = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(value.astype(np.float32), name)
        for name, value in constants.items()
        if name in used
    )
    return model


def _answers(model: Any, image: np.ndarray) -> np.ndarray:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})[0]


PIXELS = np.random.default_rng(2).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("body", "white"),
    [
        (f"c = Cast <to = 1> (image) floats = Mul (c, over_255) {FLAT}", 1.0),
        (f"c = Cast <to = 1> (image) floats = Mul (over_255, c) {FLAT}", 1.0),
        (f"c = Cast <to = 1> (image) floats = Div (c, d255) {FLAT}", 1.0),
        (f"c = Cast <to = 1> (image) floats = Mul (c, two) {FLAT}", 1.0),
        (f"c = Cast <to = 1> (image) floats = Mul (c, each) {FLAT}", 1.0),
        (f"floats = Cast <to = 1> (image) {FLAT}", 255.0),
        ("c = Cast <to = 1> (image) t = Transpose <perm = [0, 3, 1, 2]> (c) f = Flatten (t) y = MatMul (f, w)", 255.0),
        (f"c = Cast <to = 1> (image) floats = Div (one, c) {FLAT}", 255.0),
        (f"c = Cast <to = 1> (image) floats = Mul (c, c) {FLAT}", 255.0),
        (f"c = Cast <to = 1> (image) a = Mul (c, over_255) floats = Add (a, c) {FLAT}", 255.0),
    ],
)  # fmt: skip
def test_a_float_graph_answers_as_the_pixels_did(body: str, white: float) -> None:
    pixels = np.maximum(PIXELS, 1)  # one case divides by them
    model = _model(body)
    wanted = _answers(model, pixels)
    assert take_floats(model) == white
    assert "Cast" not in {node.op_type for node in model.graph.node}
    floats = pixels.astype(np.float32) / np.float32(255 / white)
    np.testing.assert_allclose(_answers(model, floats), wanted, rtol=1e-5)
    take_pixels(model, white)
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(_answers(model, pixels), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    "body",
    [
        "f = Flatten (image) floats = Cast <to = 1> (f) y = MatMul (floats, w)",
        f"a = Cast <to = 1> (image) b = Cast <to = 1> (image) floats = Add (a, b) {FLAT}",
        "f = Flatten (image) h = Cast <to = 10> (f) c = Cast <to = 1> (h) y = MatMul (c, w)",
    ],
)
def test_a_graph_that_takes_its_pixels_otherwise_is_left_alone(body: str) -> None:
    model = _model(body)
    before = model.SerializeToString()
    assert take_floats(model) is None
    assert model.SerializeToString() == before


def test_another_scale_of_the_input_is_refused() -> None:
    model = _model(f"q = QuantizeLinear (image, s, z) floats = DequantizeLinear (q, s, z) {FLAT}")
    model.graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.array(0.5, np.float32), "s"),
            onnx.numpy_helper.from_array(np.array(0, np.uint8), "z"),
        ]
    )
    with pytest.raises(InputError, match=r"a scale of 0.5 and zero point 0 where 1 and 0 are needed"):
        take_pixels(model, 255.0)
