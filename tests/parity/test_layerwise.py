"""What a layer shows, and what its inputs explain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.export.format import Format
from edgecnn.model_files.keras_archive import layer_inputs
from edgecnn.parity.layerwise import EXPECTED, Sums, judged
from edgecnn.plugins import discover
from edgecnn.records import LayerTensor
from edgecnn.stages.layerwise_parity import EXPECTED as USED

if TYPE_CHECKING:
    from pathlib import Path

CHAIN = {"a": (), "hidden": ("a",), "b": ("hidden",), "c": ("b",)}


def _sums(gain: float, noise: float) -> Sums:
    random = np.random.default_rng(1)
    wanted = random.normal(size=(4, 500)).astype(np.float32)
    found = Sums()
    for row in wanted:
        found.add(row, (gain * row + noise * random.normal(size=row.shape)).astype(np.float32))
    return found


def _rows(numbers: str, **layers: Sums) -> dict[str, str]:
    places = {name: LayerTensor(tensor=name, layout="N") for name in layers}
    rows = judged(layers, places, {"hidden": "b"}, CHAIN, EXPECTED[numbers])
    return {row.layer: row.divergence for row in rows}


def test_sqnr_and_gain() -> None:
    found = _sums(1.05, 0)
    assert found.sqnr_db == pytest.approx(26.02, abs=0.05)
    assert found.gain == pytest.approx(1.05, abs=1e-4)
    assert _sums(1, 0).sqnr_db is None


def test_a_layer_is_judged_by_what_its_inputs_explain() -> None:
    honest = _rows("int8", a=_sums(0.998, 0.02), b=_sums(0.996, 0.05), c=_sums(0.99, 0.1))
    assert set(honest.values()) == {""}
    scaled = _rows("int8", a=_sums(0.998, 0.02), b=_sums(1.045, 0.05), c=_sums(1.04, 0.1))
    assert "its gain is 1.04" in scaled["b"]
    assert scaled["a"] == scaled["c"] == "", "what follows only carries it on"
    noisy = _rows("int8", a=_sums(1, 0.01), b=_sums(1, 0.2), c=_sums(1, 0.2))
    assert "its SQNR is 14." in noisy["b"]
    assert noisy["c"] == ""
    assert "gain" in _rows("float32", a=_sums(1, 0), b=_sums(1.002, 0))["b"]


def test_what_is_not_finite_falls_out() -> None:
    broken = Sums()
    broken.add(np.ones(3, np.float32), np.array([1, np.nan, 1], np.float32))
    places = {"a": LayerTensor(tensor="a", layout="N")}
    (row,) = judged({"a": broken}, places, {}, CHAIN, EXPECTED["int8"])
    assert (row.divergence, row.gain, row.sqnr_db) == ("its outputs are not finite", None, None)


def test_many_hidden_branches_are_walked_once() -> None:
    graph: dict[str, tuple[str, ...]] = {"a": ()}
    for i in range(60):
        before = f"add{i - 1}" if i else "a"
        graph |= {f"branch{i}": (before,), f"add{i}": (before, f"branch{i}")}
    graph["b"] = ("add59",)
    places = {name: LayerTensor(tensor=name, layout="N") for name in "ab"}
    rows = judged({"a": _sums(1, 0.01), "b": _sums(1, 0.01)}, places, {}, graph, EXPECTED["int8"])
    assert [row.divergence for row in rows] == ["", ""]


def test_every_format_says_what_is_to_be_expected_of_it() -> None:
    assert {format.weight_dtype for format in discover(Format).values()} <= USED.keys()


def test_inputs_of_layers_are_read_without_keras(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    image = keras.Input((4, 4, 1), name="image")
    x = keras.layers.Conv2D(2, 1, name="left")(image)
    x = keras.layers.Add(name="both")([x, keras.layers.Conv2D(2, 1, name="right")(image)])
    keras.Model(image, keras.layers.Flatten(name="flat")(x)).save(tmp_path / "model.keras")
    found = layer_inputs(tmp_path / "model.keras")
    assert found["both"] == ("left", "right")
    assert (found["image"], found["left"], found["flat"]) == ((), ("image",), ("both",))
    keras.Sequential([image, keras.layers.Flatten(name="flat")]).save(tmp_path / "chain.keras")
    assert layer_inputs(tmp_path / "chain.keras")["flat"] == ("image",)
