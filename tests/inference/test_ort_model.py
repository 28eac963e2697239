"""Files of another origin: what they can show, and what they cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.cli import _run as command
from edgecnn.errors import InputError
from edgecnn.inference.predictor import Predictor

onnx = pytest.importorskip("onnx")

GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
other (float[N, 3, 8, 8] picture) => (float[N, 5] scores) {
    conv = Conv <kernel_shape = [3, 3]> (picture, conv_w)
    relu = Relu (conv)
    last = Transpose <perm = [0, 2, 3, 1]> (relu)
    mean = ReduceMean <axes = [1, 2], keepdims = 0> (last)
    size = Shape (mean)
    scores = Gemm (mean, dense_w)
}
"""


def saved(path: Path, graph: str, **weights: np.ndarray[Any, Any]) -> Path:
    model = onnx.parser.parse_model(graph)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in weights.items())
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    random = np.random.default_rng(1)
    return saved(
        tmp_path / "foreign.onnx",
        GRAPH,
        conv_w=random.normal(size=(4, 3, 3, 3)).astype(np.float32),
        dense_w=random.normal(size=(4, 5)).astype(np.float32),
    )


def test_it_lists_what_it_can_show(foreign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictor = Predictor(foreign)
    assert predictor.shapes == {
        "conv": (6, 6, 4), "relu": (6, 6, 4), "last": (6, 6, 4), "mean": (4,), "scores": (5,),
    }  # fmt: skip
    assert command(["features", str(foreign), "--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(predictor.shapes)


def test_it_shows_them_for_an_array_of_its_own_input(foreign: Path) -> None:
    predictor = Predictor(foreign)
    picture = np.random.default_rng(2).normal(size=(3, 8, 8)).astype(np.float32)
    maps = predictor.features(picture, ["conv", "relu", "last", "scores"])
    np.testing.assert_array_equal(maps["relu"], np.maximum(maps["conv"], 0))
    np.testing.assert_array_equal(maps["last"], maps["relu"])
    assert maps["scores"].shape == (5,)
    with pytest.raises(InputError, match="cannot take this input"):
        predictor.features(picture[:2], ["relu"])
    with pytest.raises(InputError, match="cannot take this input"):
        predictor.features(picture.astype(np.uint8), ["relu"])


def test_it_predicts_nothing(foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictor = Predictor(foreign)
    for use in (predictor.predict, predictor.features):
        with pytest.raises(InputError, match="not exported by edgecnn"):
            use("cat.png")
    for name in ("predict", "features"):
        assert command([name, str(foreign), str(tmp_path / "cat.png")]) == 4
        assert "not exported by edgecnn" in capsys.readouterr().err


def test_what_is_rounded_next_is_shown_as_it_ships(tmp_path: Path) -> None:
    graph = """
    <ir_version: 8, opset_import: ["" : 17]>
    rounded (float[N, 3, 8, 8] picture) => (float[N, 3, 8, 8] y) {
        relu = Relu (picture)
        stored = QuantizeLinear (relu, scale, zero)
        floats = DequantizeLinear (stored, scale, zero)
        y = Relu (floats)
    }
    """
    path = saved(tmp_path / "q.onnx", graph, scale=np.array(0.5, np.float32), zero=np.array(0, np.uint8))
    assert list(Predictor(path).layers) == ["floats", "y"]


def test_weights_beside_the_file_are_found(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.ones((3, 8, 8), np.float32)
    expected = Predictor(foreign).features(picture, ["scores"])["scores"]
    folder = foreign.parent / "with weights"
    folder.mkdir()
    onnx.save(onnx.load(foreign), folder / "m.onnx", save_as_external_data=True, location="m.bin", size_threshold=0)
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(Predictor(folder / "m.onnx").features(picture, ["scores"])["scores"], expected)
