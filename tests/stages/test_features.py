"""Feature maps of a model: pictures, arrays and comparisons; nothing written when something is wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgecnn.cli import _run as command
from edgecnn.errors import UsageError
from edgecnn.inference.predictor import Predictor
from edgecnn.records import Export
from edgecnn.records.contract import CONTRACT_KEY
from edgecnn.run_directory import Run
from edgecnn.stages.features import compare, features, save
from edgecnn.visualization.feature_maps import draw_comparison, draw_layer

RANDOM = np.random.default_rng(2)
PIXELS = RANDOM.integers(0, 256, (10, 12, 3), dtype=np.uint8)


def test_features_writes_a_picture_a_layer(tiny_onnx: Path, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "frog.png")
    out = tmp_path / "deep" / "out"
    paths = features(Predictor(tiny_onnx), tmp_path / "frog.png", out, layers=(), channel=None)
    names = ["conv2d", "max_pooling2d", "channels_last", "flatten", "dense", "block/again"]
    assert list(paths) == names
    assert [path.name for path in paths.values()] == [f"{name.replace('/', '_')}.png" for name in names]
    assert {path.name for path in out.iterdir()} == {path.name for path in paths.values()} | {"input.png"}
    for layer, values in Predictor(tiny_onnx).features(PIXELS).items():
        expected = np.asarray(draw_layer(values, channel=None, title=layer))
        np.testing.assert_array_equal(np.asarray(Image.open(paths[layer])), expected)


def test_the_input_is_shown_as_the_model_sees_it(tiny_onnx: Path, tmp_path: Path) -> None:
    from edgecnn.preprocessing.resize import resize

    features(Predictor(tiny_onnx), PIXELS, tmp_path / "out", layers=["dense"], channel=None)
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
    paths = features(Predictor(tiny_onnx), PIXELS, tmp_path / "out", layers=(), channel=None)
    assert [path.name for path in paths.values()] == ["input_.png", "a_b.png", "a_b_.png"]
    assert np.asarray(Image.open(tmp_path / "out" / "input.png")).shape == (480, 480, 3)


def test_one_channel_of_the_layers_that_have_channels(tiny_onnx: Path, tmp_path: Path) -> None:
    paths = features(Predictor(tiny_onnx), PIXELS, tmp_path / "out", layers=(), channel=2)
    assert list(paths) == ["conv2d", "max_pooling2d", "channels_last", "block/again"]
    assert paths["conv2d"] == tmp_path / "out" / "conv2d-channel2.png" and paths["conv2d"].is_file()


@pytest.mark.parametrize(
    ("layers", "channel"), [(["conv2d", "nope"], None), (["conv2d"], 4), (["conv2d", "dense"], 0), ([], 99)]
)
def test_nothing_is_written_when_something_is_wrong(
    tiny_onnx: Path, tmp_path: Path, layers: list[str], channel: int | None
) -> None:
    with pytest.raises(UsageError):
        save({"tiny": Predictor(tiny_onnx)}, PIXELS, tmp_path / "out", layers=layers, channel=channel)
    with pytest.raises(UsageError):
        features(Predictor(tiny_onnx), PIXELS, tmp_path / "out", layers=layers, channel=channel)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", ["", "foreign"])
def test_sequences_and_attention_are_drawn(tmp_path: Path, run: Run, suffix: str) -> None:
    """Layers [T, C] of an export, and of the same file without its contract."""
    from edgecnn.export.format import ExportSource
    from edgecnn.export.formats.onnx_float32 import PLUGIN
    from edgecnn.tensorflow_setup import configure_tensorflow

    configure_tensorflow()
    import keras

    layers, image = keras.layers, keras.Input((32, 32, 3), name="image")
    x = layers.Reshape((64, 48), name="tokens")(image)
    x = layers.Conv1D(8, 3, activation="relu", name="convolved")(x)
    x = layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = layers.Dense(3, name="scores")(layers.GlobalAveragePooling1D(name="pool")(x))
    images = RANDOM.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    source = ExportSource(keras.Model(image, x), run.contract(), images, images[:0], np.zeros(0, np.int64))
    exported, path = PLUGIN.export(source), tmp_path / "sequence.onnx"
    facts = Export(
        format="onnx_float32",
        versions={},
        layers=dict(exported.layers),
        fused_into={},
        calibration=None,
        excluded_from_quantization=(),
    )
    exported.write(replace(source.contract, export=facts), path)
    shapes = Predictor(path).shapes
    assert (shapes["tokens"], shapes["convolved"], shapes["attention"]) == ((64, 48), (62, 8), (62, 8))
    if suffix:
        onnx = pytest.importorskip("onnx")
        model = onnx.load(path)
        del model.metadata_props[:]
        path.write_bytes(model.SerializeToString())
        predictor = Predictor(path)
        assert (62, 8) in {values.shape for values in predictor.features(images[0], list(predictor.layers)).values()}
        return
    paths = features(Predictor(path), images[0], tmp_path / "out", layers=["all"], channel=None)
    assert set(paths) == {"tokens", "convolved", "attention", "pool", "scores"}
    wanted = keras.Model(image, source.model.get_layer("attention").output)(images[:1].astype(np.float32) / 255)
    given = Predictor(path).features(images[0], ["attention"])["attention"]
    np.testing.assert_allclose(given, np.asarray(wanted)[0], atol=1e-5)


def test_all_layers(tiny_onnx: Path, tmp_path: Path) -> None:
    predictor = Predictor(tiny_onnx)
    paths = features(predictor, PIXELS, tmp_path / "out", layers=["all"], channel=None)
    assert list(paths) == list(predictor.layers)
    assert "dense" not in features(predictor, PIXELS, tmp_path / "one", layers=["all"], channel=0)


def test_arrays_are_the_predictors_maps(tiny_onnx: Path, tmp_path: Path) -> None:
    predictor = Predictor(tiny_onnx)
    maps = predictor.features(PIXELS, list(predictor.layers))
    with np.load(save({"tiny": predictor}, PIXELS, tmp_path, layers=["all"], channel=None)) as saved:
        assert set(saved) == {"input", *maps}
        assert saved["input"].shape == (8, 8, 3) and saved["input"].dtype == np.uint8
        for layer, values in maps.items():
            assert saved[layer].dtype == np.float32
            np.testing.assert_array_equal(saved[layer], values)
    with np.load(save({"tiny": predictor}, PIXELS, tmp_path, layers=["conv2d"], channel=1)) as saved:
        np.testing.assert_array_equal(saved["conv2d"], maps["conv2d"][:, :, 1])


def test_two_files_side_by_side(tiny_onnx: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(tiny_onnx)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "conv_b")
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.01), "conv_b"))
    other = tmp_path / "other.onnx"
    other.write_bytes(model.SerializeToString())
    pair = {"tiny": Predictor(tiny_onnx), "other": Predictor(other)}
    paths = compare(pair, PIXELS, tmp_path / "out", layers=[], channel=None)
    assert [path.name for path in paths.values()][:2] == ["conv2d-compared.png", "max_pooling2d-compared.png"]
    with np.load(save(pair, PIXELS, tmp_path, layers=["conv2d"], channel=None)) as saved:
        assert set(saved) == {"input", "tiny/conv2d", "other/conv2d"}
        expected = draw_comparison(
            saved["tiny/conv2d"], saved["other/conv2d"], ("tiny", "other"), channel=None, title="conv2d"
        )
    np.testing.assert_array_equal(np.asarray(Image.open(paths["conv2d"])), np.asarray(expected))


def test_the_command_line(tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "frog.png")
    base = ["features", str(tiny_onnx), str(tmp_path / "frog.png"), "--out", str(tmp_path / "out")]
    assert command([*base, "--layer", "conv2d", "--channel", "3"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'conv2d-channel3.png'}\n"
    assert command([*base, "--layer", "all", "--channel", "all", "--output", "npz"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out' / 'features.npz'}\n"
    shutil.copy(tiny_onnx, tmp_path / "same.onnx")
    assert command([*base, "--layer", "conv2d", "--compare", str(tiny_onnx), str(tmp_path / "same.onnx")]) == 0
    assert "conv2d-compared.png" in capsys.readouterr().out
    assert command(["features", str(tiny_onnx), "--list"]) == 0
    assert "6 x 6 x 4" in capsys.readouterr().out
    for wrong, words in (
        (["--channel", "-1"], "counted from 0"),
        (["--compare", str(tiny_onnx), str(tiny_onnx)], "different names"),
        (["--compare", "float", "int8"], "single file"),
        (["--compare", "a", "b", "--format", "c"], "leave out"),
        (["--format", "int8"], "single file"),
    ):
        assert command([*base, *wrong]) == 2
        told = capsys.readouterr()
        assert words in told.err and told.out == ""
