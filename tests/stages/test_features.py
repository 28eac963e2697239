"""Pictures of feature maps: the right pixels in the right places, and nothing written when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from edgecnn.contract import CONTRACT_KEY
from edgecnn.errors import InputError, UsageError
from edgecnn.predictor import Predictor
from edgecnn.stages.features import FAINT_INK, INK, Scale, draw_layer, features, viridis

RANDOM = np.random.default_rng(2)
PIXELS = RANDOM.integers(0, 256, (10, 12, 3), dtype=np.uint8)


def occurs(picture: Image.Image, block: np.ndarray[Any, Any]) -> bool:
    """Whether uint8 [h, w, 3] lies somewhere in the picture, pixel for pixel."""
    pixels, (height, width) = np.asarray(picture), block.shape[:2]
    content, first_row = pixels.tobytes(), block[0].tobytes()
    found = content.find(first_row)
    while found >= 0:
        y, x = divmod(found // 3, picture.width)
        if found % 3 == 0 and np.array_equal(pixels[y : y + height, x : x + width], block):
            return True
        found = content.find(first_row, found + 1)
    return False


def enlarged(activations: np.ndarray[Any, Any], scale: Scale, factor: int) -> np.ndarray[Any, Any]:
    return np.kron(scale.colours(activations), np.ones((factor, factor, 1), np.uint8))


def test_viridis_is_matplotlibs() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    table = np.array(matplotlib.colormaps["viridis"].colors) * 255
    assert viridis().shape == (256, 3) and viridis().dtype == np.uint8
    assert np.abs(viridis() - table).max() <= 3


def test_colours_span_the_scale() -> None:
    values = np.array([[-1, 0, 3, np.nan]], np.float32)
    colours = Scale(-1, 3).colours(values)[0]
    np.testing.assert_array_equal(colours, [viridis()[0], viridis()[64], viridis()[255], [255, 255, 255]])
    np.testing.assert_array_equal(Scale(2, 2).colours(np.full((1, 1), 2, np.float32))[0, 0], viridis()[0])


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((30, 30, 32), 3), ((15, 15, 32), 7), ((13, 13, 64), 8), ((4, 4, 512), 12), ((5, 9, 1), 71), ((1, 1, 7), 104)],
)
def test_every_channel_is_in_the_grid_on_one_scale(shape: tuple[int, int, int], factor: int) -> None:
    activations = RANDOM.normal(size=shape).astype(np.float32)
    picture = draw_layer(activations, channel=None, title="conv2d")
    scale = Scale(float(activations.min()), float(activations.max()))
    for channel in range(shape[2]):
        assert occurs(picture, enlarged(activations[:, :, channel], scale, factor))


def test_one_channel_is_large_and_on_the_scale_of_the_layer() -> None:
    activations = RANDOM.normal(size=(15, 15, 4)).astype(np.float32)
    activations[0, 0, 0] = 50
    picture = draw_layer(activations, channel=3, title="conv2d")
    scale = Scale(float(activations.min()), 50)
    assert occurs(picture, enlarged(activations[:, :, 3], scale, 32))


@pytest.mark.parametrize("count", [1, 3, 10, 64, 101, 1024])
def test_values_are_drawn_as_a_near_square(count: int) -> None:
    values = RANDOM.normal(size=count).astype(np.float32)
    values.sort()
    picture = draw_layer(values, channel=None, title="dense")
    colours = Scale(float(values[0]), float(values[-1])).colours(values[None])[0]
    seen = {tuple(colour) for colour in np.asarray(picture).reshape(-1, 3).tolist()}
    assert all(tuple(colour) in seen for colour in colours.tolist())
    assert max(picture.size) < 800


def test_the_page_is_white_with_a_heading_and_a_scale() -> None:
    activations = RANDOM.random((8, 8, 4)).astype(np.float32)
    picture = draw_layer(activations, channel=None, title="conv2d")
    pixels = np.asarray(picture)
    wide = np.asarray(draw_layer(activations, channel=None, title="a long layer name " * 12))
    for page in (pixels, wide):
        for border in (page[:12], page[-12:], page[:, :12], page[:, -12:]):
            assert (border == 255).all()
    bar = viridis()[np.linspace(255, 0, 280).round().astype(int)][:, None]
    assert occurs(picture, np.repeat(bar, 16, axis=1))
    other = np.asarray(draw_layer(activations, channel=None, title="conv2d_1"))
    assert (other[:60] != pixels[:60]).any() and (other[60:] == pixels[60:]).all()


def test_the_heading_and_the_scale_say_the_range() -> None:
    values = np.array([-1.25, 3.5, 0], np.float32)
    picture = draw_layer(values, channel=None, title="dense")
    for text, size, ink in (("3 values   ·   -1.25 to 3.5", 15, FAINT_INK), ("3.5", 13, INK), ("-1.25", 13, INK)):
        label = Image.new("RGB", (300, 30), "white")
        ImageDraw.Draw(label).text((5, 5), text, ink, ImageFont.load_default(size))
        dark = np.argwhere((np.asarray(label) != 255).any(axis=2))
        (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0) + 1
        assert occurs(picture, np.asarray(label)[top:bottom, left:right]), text


def test_channels_that_are_not_there_are_refused() -> None:
    maps, values = np.zeros((4, 4, 3), np.float32), np.zeros(5, np.float32)
    for channel in (-1, 3):
        with pytest.raises(UsageError, match="channels 0 to 2"):
            draw_layer(maps, channel=channel, title="conv2d")
    with pytest.raises(UsageError, match="no channels"):
        draw_layer(values, channel=0, title="dense")
    with pytest.raises(InputError, match="not finite"):
        draw_layer(np.full((2, 2, 1), np.nan, np.float32), channel=None, title="conv2d")


def test_features_writes_a_picture_a_layer(tiny_onnx: Path, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "frog.png")
    out = tmp_path / "deep" / "out"
    paths = features(tiny_onnx, tmp_path / "frog.png", out, layers=None, channel=None)
    names = ["conv2d", "max_pooling2d", "channels_last", "flatten", "dense", "block/again"]
    assert list(paths) == names
    assert [path.name for path in paths.values()] == [f"{name.replace('/', '_')}.png" for name in names]
    assert {path.name for path in out.iterdir()} == {path.name for path in paths.values()} | {"input.png"}
    for layer, values in Predictor(tiny_onnx).features(PIXELS).items():
        expected = np.asarray(draw_layer(values, channel=None, title=layer))
        np.testing.assert_array_equal(np.asarray(Image.open(paths[layer])), expected)


def test_the_input_is_shown_as_the_model_sees_it(tiny_onnx: Path, tmp_path: Path) -> None:
    from edgecnn.resizing import resize

    features(tiny_onnx, PIXELS, tmp_path / "out", layers=["dense"], channel=None)
    shown = np.asarray(Image.open(tmp_path / "out" / "input.png"))
    assert shown.shape == (480, 480, 3)
    np.testing.assert_array_equal(shown[30::60, 30::60], resize(PIXELS, 8, 8))


def test_layers_never_share_a_picture(tiny_onnx: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny_onnx)
    prop = next(prop for prop in model.metadata_props if prop.key == CONTRACT_KEY)
    contract = json.loads(prop.value)
    layers = contract["export"]["layers"]
    contract["export"]["layers"] = {"input": layers["conv2d"], "a/b": layers["conv2d"], "a_b": layers["dense"]}
    prop.value = json.dumps(contract)
    tiny_onnx.write_bytes(model.SerializeToString())
    paths = features(tiny_onnx, PIXELS, tmp_path / "out", layers=None, channel=None)
    assert [path.name for path in paths.values()] == ["input_.png", "a_b.png", "a_b_.png"]
    assert np.asarray(Image.open(tmp_path / "out" / "input.png")).shape == (480, 480, 3)


def test_one_channel_of_the_layers_that_have_channels(tiny_onnx: Path, tmp_path: Path) -> None:
    paths = features(tiny_onnx, PIXELS, tmp_path / "out", layers=None, channel=2)
    assert list(paths) == ["conv2d", "max_pooling2d", "channels_last", "block/again"]
    assert paths["conv2d"] == tmp_path / "out" / "conv2d-channel2.png" and paths["conv2d"].is_file()


@pytest.mark.parametrize(
    ("layers", "channel"), [(["conv2d", "nope"], None), (["conv2d"], 4), (["conv2d", "dense"], 0), (None, 99)]
)
def test_nothing_is_written_when_something_is_wrong(
    tiny_onnx: Path, tmp_path: Path, layers: list[str] | None, channel: int | None
) -> None:
    with pytest.raises(UsageError):
        features(tiny_onnx, PIXELS, tmp_path / "out", layers=layers, channel=channel)
    assert not (tmp_path / "out").exists()
