"""The predictor against ONNX Runtime used directly, and against a model extended with the onnx package."""

from __future__ import annotations

import dataclasses
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn import pretrained, records
from edgecnn.errors import InputError, MachineError, UsageError
from edgecnn.inference.predictor import Predictor
from edgecnn.preprocessing.decode import Source
from edgecnn.records.contract import CONTRACT_KEY
from edgecnn.runtimes.onnxruntime import open_session

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

PIXELS = np.random.default_rng(3).integers(0, 256, (8, 8, 3), dtype=np.uint8)
LAYER_SHAPES = {
    "conv2d": (6, 6, 4), "max_pooling2d": (3, 3, 4), "channels_last": (3, 3, 4), "flatten": (36,), "dense": (5,),
    "block/again": (6, 6, 4), "dense_1": (3,),
}  # fmt: skip


def run_directly(model: bytes, outputs: list[str]) -> list[np.ndarray[Any, Any]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session.run(outputs, {"image": PIXELS[None]})  # type: ignore[no-any-return]


def changed(path: Path, name: str, **metadata: str | None) -> Path:
    """A copy of the model with metadata replaced, or removed for None."""
    model = onnx.load(path)
    kept = {p.key: p.value for p in model.metadata_props} | {f"edgecnn.{key}": v for key, v in metadata.items()}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: value for key, value in kept.items() if value is not None})
    copy = path.with_name(name)
    copy.write_bytes(model.SerializeToString())
    return copy


def test_predict_is_the_softmax_of_the_logits(tiny_onnx: Path) -> None:
    logits = run_directly(tiny_onnx.read_bytes(), ["logits"])[0][0].astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum()
    prediction = Predictor(tiny_onnx).predict(PIXELS)
    assert prediction.probabilities.dtype == np.float32
    np.testing.assert_allclose(prediction.probabilities, expected, rtol=1e-6)
    assert prediction.label == ("cat", "dog", "frog")[int(logits.argmax())]
    assert prediction.probability == prediction.probabilities.max()
    assert prediction.scores.tobytes() == run_directly(tiny_onnx.read_bytes(), ["logits"])[0][0].tobytes()


def test_probabilities_are_taken_as_they_are(tiny_onnx: Path, tiny_contract: records.Contract) -> None:
    contract = records.encode(dataclasses.replace(tiny_contract, output_meaning="probabilities")).decode()
    prediction = Predictor(changed(tiny_onnx, "p.onnx", contract=contract)).predict(PIXELS)
    np.testing.assert_array_equal(prediction.probabilities, run_directly(tiny_onnx.read_bytes(), ["logits"])[0][0])


def test_softmax_does_not_overflow(tiny_onnx: Path) -> None:
    model = onnx.load(tiny_onnx)
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "logits_b")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([1e4, -1e4, 0], np.float32), "logits_b"))
    tiny_onnx.write_bytes(model.SerializeToString())
    np.testing.assert_array_equal(Predictor(tiny_onnx).predict(PIXELS).probabilities, [1, 0, 0])


def test_every_kind_of_source_gives_the_same(tiny_onnx: Path, tmp_path: Path) -> None:
    predictor = Predictor(str(tiny_onnx), threads=2)
    image = Image.fromarray(PIXELS)
    image.save(tmp_path / "a.png")
    stream = BytesIO()
    image.save(stream, "PNG")
    expected = predictor.predict(PIXELS).probabilities
    sources: list[Source] = [tmp_path / "a.png", str(tmp_path / "a.png"), stream.getvalue(), image]
    for source in sources:
        np.testing.assert_array_equal(predictor.predict(source).probabilities, expected)


def test_many_images_are_read_when_their_turn_comes(tiny_onnx: Path, tmp_path: Path) -> None:
    predictor = Predictor(tiny_onnx)
    expected = predictor.predict(PIXELS).probabilities
    images: list[Source] = [PIXELS, tmp_path / "missing.png"]
    answers = predictor.predict(images)
    np.testing.assert_array_equal(next(answers).probabilities, expected)
    with pytest.raises(InputError, match=r"missing\.png"):
        next(answers)
    assert list(answers) == []
    assert len(list(predictor.predict(PIXELS for _ in range(3)))) == 3
    assert list(predictor.predict(())) == []


def test_after_a_bad_image_the_rest_goes_on(tiny_onnx: Path) -> None:
    predictor = Predictor(tiny_onnx)
    for images in ([b"no image", PIXELS, b"", PIXELS], iter([b"no image", PIXELS, b"", PIXELS])):
        answers = predictor.predict(images)
        for _ in range(2):
            with pytest.raises(InputError):
                next(answers)
            assert next(answers).scores.tobytes() == predictor.predict(PIXELS).scores.tobytes()
        with pytest.raises(StopIteration):
            next(answers)


def test_of_an_iterator_each_image_is_answered_before_the_next_is_taken(tiny_onnx: Path) -> None:
    taken = 0

    def camera() -> Iterator[np.ndarray[Any, Any]]:
        nonlocal taken
        while True:
            taken += 1
            yield PIXELS

    answers = Predictor(tiny_onnx).predict(camera())
    for expected in (1, 2, 3):
        next(answers)
        assert taken == expected


def test_a_batch_answers_as_single_images_do_to_the_bit(tiny_onnx: Path) -> None:
    images = list(np.random.default_rng(4).integers(0, 256, (150, 8, 8, 3), dtype=np.uint8))
    predictor = Predictor(tiny_onnx)
    for image, answer in zip(images, predictor.predict(images), strict=True):
        alone = predictor.predict(image)
        assert answer.scores.tobytes() == alone.scores.tobytes()
        assert answer.probabilities.tobytes() == alone.probabilities.tobytes()
        assert answer.top(3) == alone.top(3) and answer.label == alone.label


def test_features_are_the_tensors_of_the_layers(tiny_onnx: Path) -> None:
    predictor = Predictor(tiny_onnx)
    names = ["relu", "pool", "nhwc", "flat", "hidden_relu"]
    model = onnx.load(tiny_onnx)
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    tensors = dict(zip(names, run_directly(model.SerializeToString(), names), strict=True))
    tensors["logits"] = run_directly(tiny_onnx.read_bytes(), ["logits"])[0]
    found = predictor.features(PIXELS, list(LAYER_SHAPES))
    assert {name: values.shape for name, values in found.items()} == LAYER_SHAPES
    assert list(found) == list(LAYER_SHAPES)
    for name, values in found.items():
        expected = tensors[predictor.layers[name].tensor][0]
        if predictor.layers[name].layout == "NCHW":
            expected = np.moveaxis(expected, 0, 2)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(found["channels_last"], found["max_pooling2d"])


def test_features_takes_names_in_any_order_and_the_first_six_by_default(tiny_onnx: Path) -> None:
    predictor = Predictor(tiny_onnx)
    assert list(predictor.features(PIXELS)) == list(LAYER_SHAPES)[:6]
    assert list(predictor.features(PIXELS, ["dense_1", "conv2d", "dense_1"])) == ["dense_1", "conv2d"]
    assert predictor.features(PIXELS, []) == {}
    with pytest.raises(UsageError, match="did you mean conv2d"):
        predictor.features(PIXELS, ["conv2"])


def test_further_outputs_leave_the_prediction_as_it_is_to_the_bit(tiny_onnx: Path) -> None:
    predictor = Predictor(tiny_onnx)
    before = predictor.predict(PIXELS).probabilities.tobytes()
    (logits,) = run_directly(tiny_onnx.read_bytes(), ["logits"])
    assert predictor.features(PIXELS, ["dense_1", "conv2d"])["dense_1"].tobytes() == logits[0].tobytes()
    assert predictor.predict(PIXELS).probabilities.tobytes() == before


def test_no_tensor_becomes_an_output_twice(tiny_onnx: Path) -> None:
    outputs = [output.name for output in Predictor(tiny_onnx)._model.session_with_layers().get_outputs()]
    assert outputs == ["logits", "relu", "pool", "nhwc", "flat", "hidden_relu"]


def test_shapes_are_those_of_the_maps(tiny_onnx: Path) -> None:
    assert Predictor(tiny_onnx).shapes == LAYER_SHAPES


def test_an_absorbed_layer_is_named_with_what_absorbed_it(tiny_onnx: Path, tiny_contract: records.Contract) -> None:
    facts = dataclasses.replace(
        records.Export(
            format="", versions={}, layers={}, fused_into={}, calibration=None, excluded_from_quantization=()
        ),
        layers={"conv2d": records.LayerTensor(tensor="relu", layout="NCHW")},
        fused_into={"batch_normalization": "conv2d"},
    )
    contract = records.encode(dataclasses.replace(tiny_contract, export=facts)).decode()
    predictor = Predictor(changed(tiny_onnx, "absorbing.onnx", contract=contract))
    assert predictor.fused_into == {"batch_normalization": "conv2d"}
    with pytest.raises(UsageError, match=r"batch_normalization has no maps .* fused into conv2d"):
        predictor.features(PIXELS, ["batch_normalization"])


def test_a_run_directory_stands_for_its_onnx_file(tiny_onnx: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "exports").mkdir(parents=True)
    with pytest.raises(InputError, match="edgecnn export"):
        Predictor(run)
    shutil.copy(tiny_onnx, run / "exports" / "onnx_float32.onnx")
    assert Predictor(run).predict(PIXELS).label == Predictor(tiny_onnx).predict(PIXELS).label


def test_a_format_is_chosen_of_a_run(tiny_onnx: Path, tmp_path: Path) -> None:
    exports = tmp_path / "run" / "exports"
    exports.mkdir(parents=True)
    with pytest.raises(InputError, match="edgecnn export"):
        Predictor(tmp_path / "run", format="onnx_int8")
    for name in ("onnx_float16", "onnx_float32", "onnx_int8"):
        shutil.copy(tiny_onnx, exports / f"{name}.onnx")
    for name in ("onnx_int8", "int8"):
        assert Predictor(tmp_path / "run", format=name)._model.path == exports / "onnx_int8.onnx"
    with pytest.raises(UsageError, match=r"there are .*onnx_int8"):
        Predictor(tmp_path / "run", format="tflite_int8")
    for name in ("float", "int"):
        with pytest.raises(UsageError, match="No ONNX export is called"):
            Predictor(tmp_path / "run", format=name)
    with pytest.raises(UsageError, match="single file"):
        Predictor(tiny_onnx, format="onnx_int8")


def test_a_published_run_is_found_by_name(tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = tmp_path / "package", tmp_path / "checkout"
    monkeypatch.setattr(pretrained, "PLACES", places)
    monkeypatch.setattr(pretrained, "NAMES", ("mine", "other", "unfinished"))
    with pytest.raises(InputError, match="has no pretrained runs"):
        Predictor("mine")
    for run in (places[0] / "mine", places[1] / "mine", places[1] / "other", places[1] / "quickstart"):
        (run / "exports").mkdir(parents=True)
        (run / "contract.json").touch()
    (places[1] / "unfinished").mkdir()
    shutil.copy(tiny_onnx, places[0] / "mine" / "exports" / "onnx_float32.onnx")
    assert Predictor("mine").predict(PIXELS).label in ("cat", "dog", "frog")
    assert pretrained.find_run("mine") == places[0] / "mine"
    assert pretrained.find_run("other") == places[1] / "other"
    with pytest.raises(InputError, match=r"\(mine, other\)"):
        Predictor("nothing.onnx")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert pretrained.find_run("mine") == places[0] / "mine", "a name never means a folder"
    for written in ("./mine", Path("mine")):
        assert pretrained.find_run(written) == Path("mine")
    with pytest.raises(InputError, match="did you mean other"):
        pretrained.find_run("othr")


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        Predictor(path)
    message = str(caught.value)
    assert str(path) in message and message.endswith(".") and "\n" not in message
    return message


def test_a_broken_file_is_refused(tiny_onnx: Path, tmp_path: Path) -> None:
    data = tiny_onnx.read_bytes()
    broken = tmp_path / "broken.onnx"
    for content in (b"", b"garbage\n" * 99, data[: len(data) // 2], data[:-1]):
        broken.write_bytes(content)
        assert "damaged" in refused(broken)
    for size in range(1, len(data), 61):
        broken.write_bytes(data[:size])
        refused(broken)


def test_a_contract_that_cannot_be_read_is_refused(tiny_onnx: Path) -> None:
    assert "cannot be read" in refused(changed(tiny_onnx, "odd.onnx", contract='{"schema": 2}'))
    older = refused(changed(tiny_onnx, "older.onnx", contract='{"schema": 1}'))
    assert older.endswith("was written by an older edgecnn (schema 1, this one reads 2): export it again.")
    assert "newer edgecnn" in refused(changed(tiny_onnx, "newer.onnx", contract='{"schema": 99}'))


def test_a_contract_of_another_model_is_refused(tiny_onnx: Path, tiny_contract: records.Contract) -> None:
    image = dataclasses.replace(tiny_contract.input, name="picture")
    for other in (
        dataclasses.replace(tiny_contract, labels=("cat", "dog")),
        dataclasses.replace(tiny_contract, input=image),
        dataclasses.replace(tiny_contract, output=dataclasses.replace(tiny_contract.output, name="scores")),
    ):
        assert "do not fit" in refused(changed(tiny_onnx, "other.onnx", contract=records.encode(other).decode()))


def test_a_predictor_needs_a_thread(tiny_onnx: Path) -> None:
    with pytest.raises(UsageError, match="1 thread"):
        Predictor(tiny_onnx, threads=0)
    with pytest.raises(UsageError, match="provider"):
        Predictor(tiny_onnx, providers=[])


def test_placement_is_told_and_proven(tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placement = Predictor(tiny_onnx, providers=[("CPUExecutionProvider", {})]).placement
    assert placement.device == "cpu" and placement.compute_nodes == {"CPUExecutionProvider": 4}
    with pytest.raises(MachineError, match=r"no CUDAExecutionProvider"):
        Predictor(tiny_onnx, providers=["CUDAExecutionProvider"])
    # A build that lists a provider which finds no device serves the CPU, and says nothing.
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["WebGpuExecutionProvider"])
    monkeypatch.setattr(
        "edgecnn.inference.ort_model.open_session", lambda model, threads, _, weights: open_session(model, threads)
    )
    with pytest.raises(MachineError, match=r"4 compute nodes on CPUExecutionProvider"):
        Predictor(tiny_onnx, providers=["WebGpuExecutionProvider"])

    def fails(model: bytes, threads: int, providers: Any = (), weights: Any = None) -> Any:
        if providers:
            raise RuntimeError("/a.cc:1 void f() ok was false. No supported adapters.")
        return open_session(model, threads)

    monkeypatch.setattr("edgecnn.inference.ort_model.open_session", fails)
    with pytest.raises(MachineError, match=r"^WebGpuExecutionProvider cannot .* \(No supported adapters\)\.$"):
        Predictor(tiny_onnx, providers=["WebGpuExecutionProvider"])
    tiny_onnx.write_bytes(b"no model")
    with pytest.raises(InputError, match="damaged"):
        Predictor(tiny_onnx, providers=["WebGpuExecutionProvider"])


def test_several_threads_may_use_it(tiny_onnx: Path) -> None:
    images = list(np.random.default_rng(5).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8))
    predictor = Predictor(tiny_onnx)
    expected = [(predictor.predict(i).scores.tobytes(), predictor.features(i)["dense"].tobytes()) for i in images]
    shared = Predictor(tiny_onnx)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda i: (shared.predict(i).scores.tobytes(), shared.features(i)["dense"].tobytes()), images)
        assert list(found) == expected


def test_it_pickles_with_the_files_content(tiny_onnx: Path) -> None:
    predictor = Predictor(tiny_onnx, threads=2)
    predictor.features(PIXELS)
    content = pickle.dumps(predictor)
    expected = predictor.predict(PIXELS).scores.tobytes()
    tiny_onnx.unlink()
    again = pickle.loads(content)
    assert again.predict(PIXELS).scores.tobytes() == expected
    assert again.features(PIXELS, ["dense_1"])["dense_1"].tobytes() == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("threads", [1, 2])
def test_it_works_in_a_forked_process(tiny_onnx: Path, threads: int) -> None:
    code = f"""
import os, numpy, edgecnn
p = edgecnn.Predictor({str(tiny_onnx)!r}, threads={threads})
x = numpy.full((8, 8, 3), 7, numpy.uint8)
before, maps = p.predict(x).scores, p.features(x)
spare = edgecnn.Predictor({str(tiny_onnx)!r}, threads={threads})
if not os.fork():
    del spare
    same = (p.predict(x).scores == before).all() and (p.features(x)["dense"] == maps["dense"]).all()
    p.close()
    os._exit(0 if same else 1)
print(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "0\n", done.stderr


def test_it_closes(tiny_onnx: Path) -> None:
    with Predictor(tiny_onnx) as predictor:
        predictor.features(PIXELS)
    for use in (predictor.predict, predictor.features):
        with pytest.raises(UsageError, match="closed"):
            use(PIXELS)
    predictor.close()


def test_the_metadata_keys_are_those_of_the_file_format(tiny_onnx: Path) -> None:
    keys = {prop.key for prop in onnx.load(tiny_onnx).metadata_props}
    assert keys == {CONTRACT_KEY}


def loaded_by(code: str) -> set[str]:
    """The modules a fresh Python has loaded after running the code."""
    script = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_a_prediction_loads_neither_tensorflow_nor_onnx(tiny_onnx: Path) -> None:
    modules = loaded_by(
        f"import numpy, edgecnn\np = edgecnn.Predictor({str(tiny_onnx)!r})\nx = numpy.zeros((9, 9, 3), 'uint8')\n"
        "p.predict(x).label\np.features(x)"
    )
    assert "onnxruntime" in modules and not {"tensorflow", "keras", "onnx", "matplotlib"} & modules


def test_imports_are_light() -> None:
    heavy = {"numpy", "onnxruntime", "PIL", "msgspec", "tensorflow"}
    assert (
        not loaded_by("import edgecnn.inference.predictor, edgecnn.preprocessing.decode, edgecnn.stages.features")
        & heavy
    )
    assert "edgecnn.inference.predictor" not in loaded_by("import edgecnn; edgecnn.__version__")


def test_the_public_surface() -> None:
    import edgecnn

    assert sorted(edgecnn.__all__) == ["Predictor", "__version__"]
    assert edgecnn.Predictor is Predictor
    with pytest.raises(AttributeError, match="Nothing"):
        edgecnn.Nothing  # noqa: B018
