"""`edgecnn import`: foreign models become runs that answer as they did, or are refused by a sentence."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.data.evaluation import evaluation_of
from edgecnn.data.samples import digests, samples_of
from edgecnn.errors import InputError, UsageError
from edgecnn.preprocessing.decode import prepare
from edgecnn.run_directory import Run
from edgecnn.stages import train
from edgecnn.stages.import_model import ImportOptions, _compare, adopt, read_labels
from edgecnn.stages.report import report
from tests import schemas

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

LABELS = ("dark", "gray", "light")
SIDES = (24, 20)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


@pytest.fixture(scope="module")
def keras() -> Any:
    pytest.importorskip("tensorflow")
    from edgecnn.tensorflow_setup import configure_tensorflow

    configure_tensorflow()
    import keras

    return keras


def _data(path: Path, **changes: Any) -> str:
    """Images whose brightness is their class, in colors and another size than any model here takes."""
    random = np.random.default_rng(3)
    arrays: dict[str, Any] = {"labels": np.array(LABELS)}
    for split, count in (("train", 150), ("test", 60)):
        y = np.arange(count) % 3
        x = (
            random.integers(0, 60, (count, 30, 40, 3))
            + 90 * y[:, None, None, None]
            + random.integers(0, 15, (count, 1, 1, 3))
        )
        arrays |= {f"x_{split}": x.astype(np.uint8), f"y_{split}": y}
    arrays = {name: value for name, value in (arrays | changes).items() if value is not None}
    np.savez(path / "data.npz", **arrays)
    return str(path / "data.npz")


def _options(
    folder: Path, model: Any, *, kind: str = "keras", labels: tuple[str, ...] = LABELS, **more: Any
) -> ImportOptions:
    model.save(folder / f"model.{kind}")
    (folder / "labels.txt").write_text("\n".join(labels) + "\n\n")
    return ImportOptions(model=folder / f"model.{kind}", labels=folder / "labels.txt", data=_data(folder), **more)


def _adopt(folder: Path, options: ImportOptions) -> Run:
    run = Run(folder / "run")
    with run.lock():
        adopt(run, options)
    return run


def _answers(keras: Any, run: Run, pixels: np.ndarray) -> np.ndarray:
    model = keras.saving.load_model(run.path(run_directory.MODEL))
    return np.asarray(model(pixels.astype(np.float32) / np.float32(255), training=False))


def _brightness(keras: Any, shape: tuple[int, int, int], *, scale: float = 1.0, name: str | None = None) -> Any:
    """Tells the three classes apart when pixels come as [0, 1] * scale."""
    model = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="ones"),
            keras.layers.Dense(3),
        ],
        name=name,
    )
    low, middle, high = (scale * shape[2] * (35 + 90 * i) / 255 for i in range(3))
    slopes = np.array([[low, middle, high]])
    model.layers[-1].set_weights([slopes, -(slopes[0] ** 2) / 2])
    return model


def _two_branches(keras: Any) -> Any:
    """Gray, depthwise and separable, residual, batch normalization; random but settled weights."""
    layers = keras.layers
    keras.utils.set_random_seed(5)
    image = keras.Input((*SIDES, 1), name="picture")
    x = layers.RandomFlip("horizontal")(image)
    left = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=4, name="depthwise")(x)
    left = layers.BatchNormalization(name="norm")(left)
    right = layers.SeparableConv2D(4, 3, padding="same", name="separable")(x)
    x = layers.ReLU(name="image")(layers.Add(name="sum")([left, right]) * 2.0)
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D(name="pool")(x), training=True)
    model = keras.Model(image, layers.Dense(3, name="scores")(x), name="two branches")
    model.get_layer("norm").set_weights([np.array([1.1, 0.9, 1, 2]), np.ones(4), np.full(4, 0.2), np.full(4, 1.5)])
    return model


def test_a_grey_two_branch_model(keras: Any, tmp_path: Path) -> None:
    model = _two_branches(keras)
    run = _adopt(tmp_path, _options(tmp_path, model, input_range="-1..1"))
    contract, training = run.contract(), run.training()
    assert (contract.input.shape, contract.color_space) == ((None, *SIDES, 1), "grayscale")
    assert (contract.output.name, contract.output_meaning) == ("logits", "logits")
    assert (training.architecture, training.recipe, training.seed) == ("two_branches", "imported", 1)
    assert contract.model == "two_branches-npz"
    assert training.origin.command == "import"
    assert training.history == ()
    names = [layer.name for layer in keras.saving.load_model(run.path(run_directory.MODEL)).layers]
    assert names[:2] == ["image", "input_scaling"]
    assert {"depthwise", "norm", "separable", "sum", "image_1", "pool", "scores"} <= set(names)
    assert not any("dropout" in name or "flip" in name for name in names)
    pixels = samples_of(run, contract).images
    wanted = np.asarray(model(pixels.astype(np.float32) / 127.5 - 1, training=False))
    np.testing.assert_allclose(_answers(keras, run, pixels), wanted, atol=1e-4)
    with np.load(tmp_path / "data.npz") as data:
        np.testing.assert_array_equal(pixels[3], prepare(data["x_test"][3], contract))


def test_nested_models_become_one_flat_graph(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    shared = layers.Conv2D(3, 3, padding="same", name="conv")
    inner_image = keras.Input((*SIDES, 3))
    inner = keras.Model(inner_image, layers.ReLU(name="relu")(shared(shared(inner_image))), name="body")
    again = keras.Sequential(
        [keras.Input((*SIDES, 3)), layers.Conv2D(4, 1, name="conv"), layers.Rescaling(2.0)], name="neck"
    )
    model = keras.Sequential(
        [keras.Input((*SIDES, 3)), inner, again, layers.GlobalAveragePooling2D(), layers.Dense(3, activation="softmax")]
    )
    run = _adopt(tmp_path, _options(tmp_path, model, input_range="0..1"))
    contract = run.contract()
    assert contract.output_meaning == contract.output.name == "probabilities"
    assert run.training().architecture == "imported"
    rebuilt = keras.saving.load_model(run.path(run_directory.MODEL))
    names = [layer.name for layer in rebuilt.layers]
    assert names[:6] == ["image", "conv", "body_conv", "relu", "neck_conv", names[5]]
    maps = keras.Model(rebuilt.inputs, [layer.output for layer in rebuilt.layers])
    pixels = samples_of(run, contract).images
    every = maps(pixels.astype(np.float32) / 255)
    np.testing.assert_allclose(every[-1], model(pixels.astype(np.float32) / 255, training=False), atol=1e-6)


def test_one_output_in_a_list(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    image = keras.Input((*SIDES, 3))
    model = keras.Model([image], [layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(image))])
    run = _adopt(tmp_path, _options(tmp_path, model, input_range="0..1"))
    pixels = samples_of(run, run.contract()).images.astype(np.float32) / 255
    rebuilt = keras.saving.load_model(run.path(run_directory.MODEL))
    np.testing.assert_allclose(rebuilt(pixels), model(pixels), atol=1e-6)


def _sigmoid(keras: Any, units: int, **how: Any) -> Any:
    """Bright images get high scores; `how` the sigmoid stands in the model."""
    layers = keras.layers
    head = {
        "fused": [layers.Dense(units, activation="sigmoid", name="head")],
        "apart": [layers.Dense(units, name="head"), layers.Activation("sigmoid")],
        "nested": [keras.Sequential([layers.Dense(units, activation="sigmoid", name="head")]), layers.Dropout(0.5)],
    }[how.get("head", "fused")]
    model = keras.Sequential([keras.Input((*SIDES, 3)), layers.GlobalAveragePooling2D(name="pool"), *head])
    dense = next(layer for layer in model._flatten_layers() if layer.name == "head")
    slope = np.linspace(8, 24, units) if units > 1 else np.array([30.0])
    middle = (
        np.linspace(0.35, 0.65, units) if units > 1 else np.array([0.76])
    )  # which light images pass as [0, 1] alone
    dense.set_weights([np.tile(slope / 3, (3, 1)), -slope * middle])
    return model


@pytest.mark.parametrize("head", ["fused", "apart", "nested"])
def test_a_sigmoid_for_each_label_gives_scores(keras: Any, head: str, tmp_path: Path) -> None:
    model = _sigmoid(keras, 3, head=head)
    run = _adopt(tmp_path, _options(tmp_path, model, input_range="0..1"))
    contract = run.contract()
    assert contract.output_meaning == contract.output.name == "scores"
    pixels = samples_of(run, contract).images
    wanted = np.asarray(model(pixels.astype(np.float32) / 255, training=False))
    assert abs(wanted.sum(axis=1) - 1).max() > 0.1
    np.testing.assert_allclose(_answers(keras, run, pixels), wanted, atol=1e-6)


@pytest.mark.parametrize("head", ["fused", "apart", "nested"])
def test_a_single_sigmoid_is_of_two_classes(keras: Any, head: str, tmp_path: Path) -> None:
    model = _sigmoid(keras, 1, head=head)
    options = _options(tmp_path, model, labels=("dark", "light"))
    y = {f"y_{split}": np.arange(count) % 3 for split, count in (("train", 150), ("test", 60))}
    with np.load(options.data) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for split in ("train", "test"):
        two = y[f"y_{split}"] != 1  # without the gray ones
        arrays |= {f"x_{split}": arrays[f"x_{split}"][two], f"y_{split}": y[f"y_{split}"][two] // 2}
    np.savez(tmp_path / "data.npz", **(arrays | {"labels": np.array(["dark", "light"])}))
    run = _adopt(tmp_path, options)
    contract, training = run.contract(), run.training()
    assert (contract.output_meaning, contract.output.shape, contract.labels) == (
        "probabilities", (None, 2), ("dark", "light"),
    )  # fmt: skip
    assert training.origin.inputs["input_range"] == "0..1", "found by the accuracy of both classes"
    assert training.accuracy.share == 1.0
    pixels = samples_of(run, contract).images
    p = np.asarray(model(pixels.astype(np.float32) / 255, training=False))
    np.testing.assert_allclose(_answers(keras, run, pixels), np.concatenate([1 - p, p], axis=1), atol=1e-6)


def test_scores_from_import_to_report(keras: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exported, judged label by label, predicted as they are, and the page says what it counts."""
    from PIL import Image

    from edgecnn.inference.predictor import Predictor
    from edgecnn.stages.export import export
    from edgecnn.stages.parity import ParityOptions, parity

    model = _sigmoid(keras, 3)
    dense = model.layers[-1]
    dense.set_weights([np.array([[-20, 0.01, 20]] * 3) / 3, np.array([5.0, 0.1, -12])])  # dark, always a bit, light
    run = _adopt(tmp_path, _options(tmp_path, model, input_range="0..1"))
    with run.lock():
        export(run, ("onnx_float32", "tflite_int8"))
        record = parity(run, ParityOptions(tolerances={"": 30.0}))
    outputs = np.asarray(model(samples_of(run, run.contract()).images.astype(np.float32) / 255))
    held, truth = outputs > 0.5, np.arange(60) % 3
    right = held == (np.arange(3) == truth[:, None])
    reference, macro = record.reference_accuracy, record.reference_macro_accuracy
    assert reference is not None and macro is not None
    assert (reference.correct, reference.total) == (right.all(axis=1).sum(), 60)
    assert (macro.correct, macro.total) == (right.sum(), 180)
    (float_row,) = [row for row in record.rows if row.format == "onnx_float32"]
    assert float_row.agreement == 1 and float_row.macro_accuracy == macro
    Image.fromarray(samples_of(run, run.contract()).images[0]).save(tmp_path / "dark.png")
    capsys.readouterr()
    assert command(["predict", str(run.root), str(tmp_path / "dark.png"), "--json"]) == 0
    printed = capsys.readouterr().out
    schemas.check(printed, "command-predict.json")
    told = {answer["label"]: answer["score"] for answer in json.loads(printed)["predictions"]}
    assert told == pytest.approx(dict(zip(LABELS, outputs[0].tolist(), strict=True)), abs=1e-5)
    assert command(["predict", str(run.root), str(tmp_path / "dark.png")]) == 0
    assert f"gray {outputs[0][1]:.3f}" in capsys.readouterr().out
    answer = Predictor(run.root).predict(tmp_path / "dark.png")
    assert answer.independent and answer.probabilities is answer.scores
    page = report(run).read_text()
    assert "independent scores: a label applies above 0.5" in page
    assert f"Macro accuracy, the mean over labels: keras {macro.share:.2%}" in page


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_mean_and_std_follow_the_range(keras: Any, kind: str, tmp_path: Path) -> None:
    model = _brightness(keras, (*SIDES, 3))
    run = _adopt(tmp_path, _options(tmp_path, model, kind=kind, input_range="0..1", mean=MEAN, std=STD))
    pixels = samples_of(run, run.contract()).images
    wanted = np.asarray(model((pixels.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)))
    np.testing.assert_allclose(_answers(keras, run, pixels), wanted, atol=1e-4)


@pytest.mark.parametrize(("scale", "found"), [(255.0, "0..255"), (1.0, "0..1")])
def test_the_range_is_found_by_accuracy(
    keras: Any, scale: float, found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _adopt(tmp_path, _options(tmp_path, _brightness(keras, (*SIDES, 3), scale=scale)))
    assert f"Input range {found}: of 150 training images" in capsys.readouterr().err
    assert run.training().origin.inputs["input_range"] == found
    assert run.training().accuracy.share > 0.9


def test_a_range_that_cannot_be_told_has_to_be_given(keras: Any, tmp_path: Path) -> None:
    model = _brightness(keras, (*SIDES, 3))
    model.layers[-1].set_weights([np.zeros((1, 3)), np.zeros(3)])
    with pytest.raises(UsageError, match="give --input-range"):
        _adopt(tmp_path, _options(tmp_path, model))
    assert not (tmp_path / "run").exists()


def test_classes_in_another_order_and_without_names(keras: Any, tmp_path: Path) -> None:
    options = _options(tmp_path, _brightness(keras, (*SIDES, 3)), input_range="0..1")
    y = {split: np.arange(count) % 3 for split, count in (("train", 150), ("test", 60))}
    permuted = {f"y_{split}": np.array([1, 2, 0])[labels] for split, labels in y.items()}
    _data(tmp_path, labels=np.array(["light", "dark", "gray"]), **permuted)
    run = _adopt(tmp_path, options)
    training, contract = run.training(), run.contract()
    assert training.accuracy.share > 0.9
    assert contract.labels == training.data.labels == LABELS
    evaluation = evaluation_of(contract, training.data, None)
    np.testing.assert_array_equal(evaluation.labels, y["test"])
    assert "not the copy" not in evaluation.words
    _data(tmp_path, labels=None)
    np.testing.assert_array_equal(evaluation_of(contract, training.data, None).labels, y["test"])
    _data(tmp_path, labels=np.array(["dark", "gray", "lite"]))
    with pytest.raises(InputError, match="it lacks light; it has besides lite"):
        evaluation_of(contract, training.data, None)


def test_what_an_import_leaves_and_that_a_run_goes_on_from_it(keras: Any, tmp_path: Path) -> None:
    options = _options(tmp_path, _brightness(keras, (*SIDES, 3), name="bright"), input_range="0..1")
    run = _adopt(tmp_path, options)
    training, contract = run.training(), run.contract()
    assert set(training.origin.outputs) == {
        run_directory.MODEL, run_directory.CONTRACT, run_directory.SAMPLES, "class_accuracy.png", "confusion.png",
    }  # fmt: skip
    assert training.accuracy.total == sum(map(sum, training.confusion_matrix)) == 60
    assert len(training.class_accuracy) == 3
    assert contract.model_sha256 == run.hash_of(run_directory.MODEL)
    assert len(contract.calibration_sha256) == 64
    assert train.is_current(run, train.TrainOptions(data="nowhere"))
    run.path(run_directory.MODEL).write_bytes(b"")
    with pytest.raises(InputError, match="edgecnn import"):
        run.model_path(contract)


def test_the_same_model_gives_the_same_file(keras: Any, tmp_path: Path) -> None:
    options = _options(tmp_path, _brightness(keras, (*SIDES, 3)), input_range="0..1")
    first = _adopt(tmp_path, options).hash_of(run_directory.MODEL)
    assert _adopt(tmp_path, options).hash_of(run_directory.MODEL) == first


def test_the_report_of_an_import(keras: Any, tmp_path: Path) -> None:
    from edgecnn.records import SCHEMA, Artifacts

    run = _adopt(tmp_path, _options(tmp_path, _brightness(keras, (*SIDES, 3)), input_range="0..1"))
    origin = run.origin("export", {run_directory.CONTRACT: run.hash_of(run_directory.CONTRACT)}, [])
    run.save(run_directory.ARTIFACTS, Artifacts(schema=SCHEMA, origin=origin, data=run.contract().data, artifacts=()))
    page = report(run).read_text()
    assert "is missing; <code>edgecnn import" not in page
    assert "curves.png" not in page
    assert "batches of" not in page


def test_samples_are_apart_from_each_other_and_from_the_test_images(keras: Any, tmp_path: Path) -> None:
    options = _options(tmp_path, _brightness(keras, (*SIDES, 3)), input_range="0..1")
    with np.load(options.data) as archive:
        arrays = dict(archive)
    arrays["x_train"] = np.concatenate([arrays["x_train"], arrays["x_test"]])
    arrays["y_train"] = np.concatenate([arrays["y_train"], arrays["y_test"]])
    np.savez(options.data, **arrays)
    run = _adopt(tmp_path, options)
    samples = samples_of(run, run.contract())
    assert len(samples.test_digests) == 60
    kept = {name: set(digests(getattr(samples, name)).tolist()) for name in ("calibration", "selection", "images")}
    test = set(samples.test_digests.tolist())
    assert kept["images"] <= test
    assert not (kept["calibration"] | kept["selection"]) & test
    assert len(samples.calibration) == len(samples.selection_labels) == 150, "small classes serve twice"


def _refused(folder: Path, options: ImportOptions, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        _adopt(folder, options)
    assert "\n" not in str(caught.value)
    assert not (folder / "run").exists(), "nothing half-written"


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_lambda_and_custom_layers_are_refused_by_name(keras: Any, kind: str, tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("mine")
    class Odd(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, x: Any) -> Any:
            return x

    try:
        for layer, words in (
            (keras.layers.Lambda(lambda x: x, name="sneaky"), "Lambda layer 'sneaky'"),
            (Odd(name="odd_one"), "layer 'odd_one' is of the class (mine>)?Odd"),
        ):
            inner = keras.Sequential([keras.Input((*SIDES, 3)), layer, keras.layers.GlobalAveragePooling2D()])
            model = keras.Sequential([keras.Input((*SIDES, 3)), inner, keras.layers.Dense(3)])
            _refused(tmp_path, _options(tmp_path, model, kind=kind), words)
    finally:
        keras.saving.get_custom_objects().clear()


def _shaped(keras: Any, shape: tuple[int | None, ...], units: int = 3) -> Any:
    image = keras.Input(shape)
    x = keras.layers.GlobalAveragePooling2D()(image) if len(shape) == 3 else image
    return keras.Model(image, keras.layers.Dense(units)(x))


def test_models_that_are_no_classifiers_of_images(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    image = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(image)
    first = layers.Conv2D(2, 1, data_format="channels_first")(keras.Input((3, 8, 8)))
    other = keras.Input((8, 8, 3))
    for model, words in (
        (_shaped(keras, (None, None, 3)), "images of any size"),
        (_shaped(keras, (8, 8, 4)), r"takes \[None, 8, 8, 4\]"),
        (_shaped(keras, (12,)), "a classifier of images takes"),
        (_shaped(keras, (8, 8, 3), 1), "as of a regression"),
        (keras.Model({"picture": image}, layers.Dense(3)(x)), "has its input in a dict, under 'picture'"),
        (keras.Model(image, {"classes": layers.Dense(3)(x)}), "has its output in a dict, under 'classes'"),
        (keras.Model(image, layers.Dense(3, name="my scores")(x)), "a layer of the name 'my scores'"),
        (keras.Model(image, layers.Conv2D(3, 1)(image)), r"gives \[None, 8, 8, 3\]"),
        (keras.Model(image, [layers.Dense(3)(x), layers.Dense(3)(x)]), "1 inputs and 2 outputs"),
        (keras.Model([image, other], layers.Dense(3)(layers.Flatten()(image - other))), "2 inputs and 1 outputs"),
        (keras.Model(first._keras_history.operation.input, layers.Dense(3)(layers.Flatten()(first))), "channels first"),
        (_shaped(keras, (8, 8, 3), 4), "names 3 classes and .* outputs 4"),
    ):
        _refused(tmp_path, replace(_options(tmp_path, model), input_range="0..1"), words)


def test_files_that_are_no_models(keras: Any, tmp_path: Path) -> None:
    options = _options(tmp_path, _shaped(keras, (8, 8, 3)), input_range="0..1")
    whole = options.model.read_bytes()
    _shaped(keras, (8, 8, 3)).save(tmp_path / "whole.h5")
    h5 = (tmp_path / "whole.h5").read_bytes()
    _shaped(keras, (8, 8, 3)).save_weights(tmp_path / "only.weights.h5")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "config": {}, "module": "keras"}))
    (tmp_path / "saved_model").mkdir()
    contents = {
        "cut.keras": whole[:900], "none.keras": b"", "text.keras": b"hello", "cut.h5": h5[:900], "text.h5": b"hello",
        "model.onnx": b"hello",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name, words in (
        ("absent.keras", "There is no model"), ("saved_model", "is a folder"), ("model.onnx", r"not a \.keras or \.h5"),
        ("cut.keras", "is damaged or not a Keras model"), ("none.keras", "is damaged"), ("text.keras", "is damaged"),
        ("cut.h5", "is damaged"), ("text.h5", "is damaged"), ("only.weights.h5", "holds weights|is damaged"),
        ("empty.keras", "cannot be loaded by Keras"),
    ):  # fmt: skip
        _refused(tmp_path, replace(options, model=tmp_path / name), words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\n\nb\n", "line 2 is empty"),
        (b"a\nb\na", "line 3 repeats the label 'a'"),
        ("Käse".encode("latin-1"), "not UTF-8"),
        (b"", "line 1 is empty"),
    ],
)
def test_labels_that_cannot_be_used(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_labels(tmp_path / "labels.txt")
    with pytest.raises(InputError, match="no file of labels"):
        read_labels(tmp_path / "other.txt")


def test_labels_of_windows(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes("\ufeffKäse\r\nbread roll\r\n\r\n".encode())
    assert read_labels(tmp_path / "labels.txt") == ("Käse", "bread roll")


def test_the_command(keras: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = _options(tmp_path, _brightness(keras, (*SIDES, 3)))
    words = ["import", str(options.model), "--labels", str(options.labels), "--data", options.data]
    words += ["--out", str(tmp_path / "run")]
    assert command([*words, "--input-range", "-1..1", "--mean", "-1", "--std", "2"]) == 0, "which is 0..1 again"
    assert "Test accuracy 100.00% on 60 images" in capsys.readouterr().out
    for more, code in (
        (["--mean", "0.5"], 2), (["--mean", "0.5,0.5", "--std", "1,1"], 2), (["--mean", "a", "--std", "1"], 2),
        (["--mean", "0", "--std", "0"], 2), (["--input-range", "0..2"], 2), (["--mean", "nan", "--std", "1"], 2),
    ):  # fmt: skip
        assert command([*words, *more]) == code, more
    options.model.unlink()
    assert command(words) == 4
    assert "There is no model" in capsys.readouterr().err


def _adapted(keras: Any, scale: float) -> Any:
    """`Normalization` over a conv and a pool, with statistics of its own, as the models of keras.applications have."""
    layers = keras.layers
    keras.utils.set_random_seed(6)
    norm = layers.Normalization(name="statistics")
    norm.adapt(np.random.default_rng(2).uniform(0, scale, (20, *SIDES, 3)).astype(np.float32))
    inner = keras.Sequential([keras.Input((*SIDES, 3)), norm, layers.Conv2D(4, 3, name="conv")], name="body")
    return keras.Sequential([keras.Input((*SIDES, 3)), inner, layers.GlobalAveragePooling2D(), layers.Dense(3)])


@pytest.mark.parametrize(("scale", "input_range"), [(255.0, "0..255"), (1.0, "0..1")])
def test_adapted_statistics_come_along(keras: Any, scale: float, input_range: str, tmp_path: Path) -> None:
    model = _adapted(keras, scale)
    run = _adopt(tmp_path, _options(tmp_path, model, input_range=input_range))
    pixels = samples_of(run, run.contract()).images
    wanted = np.asarray(model(pixels.astype(np.float32) * np.float32(scale / 255), training=False))
    np.testing.assert_allclose(_answers(keras, run, pixels), wanted, atol=1e-4 * np.abs(wanted).max())


def test_a_rebuilt_model_may_differ_by_a_share_of_its_outputs(keras: Any) -> None:
    images = np.random.default_rng(1).integers(0, 256, (4, *SIDES, 3), dtype=np.uint8)
    for size in (1e-3, 1.0, 1e3):
        model, other = (_brightness(keras, (*SIDES, 3)) for _ in range(2))
        weights = [value * size for value in model.layers[-1].get_weights()]
        model.layers[-1].set_weights(weights)
        for share, is_refused in ((1e-5, False), (1e-3, True)):
            other.layers[-1].set_weights([value * (1 + share) for value in weights])
            if is_refused:
                with pytest.raises(InputError, match="gives other outputs than before"):
                    _compare(model, other, images, [1.0], [0.0])
            else:
                _compare(model, other, images, [1.0], [0.0])
