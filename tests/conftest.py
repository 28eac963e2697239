"""What several tests share."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from filelock import FileLock

from edgecnn import records
from edgecnn.preprocessing import decode
from edgecnn.run_directory import Run
from tests import schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TINY_LABELS = ("cat", "dog", "frog")
TINY_GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (uint8[N, 8, 8, 3] image) => (float[N, 3] logits) {
    floats = Cast <to = 1> (image)
    scaled = Mul (floats, scale)
    nchw = Transpose <perm = [0, 3, 1, 2]> (scaled)
    conv = Conv <kernel_shape = [3, 3]> (nchw, conv_w, conv_b)
    relu = Relu (conv)
    pool = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (relu)
    nhwc = Transpose <perm = [0, 2, 3, 1]> (pool)
    flat = Flatten (nhwc)
    hidden = Gemm (flat, hidden_w, hidden_b)
    hidden_relu = Relu (hidden)
    logits = Gemm (hidden_relu, logits_w, logits_b)
}
"""
TINY_LAYERS = {
    "conv2d": records.LayerTensor(tensor="relu", layout="NCHW"),
    "max_pooling2d": records.LayerTensor(tensor="pool", layout="NCHW"),
    "channels_last": records.LayerTensor(tensor="nhwc", layout="NHWC"),
    "flatten": records.LayerTensor(tensor="flat", layout="N"),
    "dense": records.LayerTensor(tensor="hidden_relu", layout="N"),
    "block/again": records.LayerTensor(tensor="relu", layout="NCHW"),
    "dense_1": records.LayerTensor(tensor="logits", layout="N"),
}


def pytest_configure() -> None:
    """What the environment of an automaton sets and the processes that tests start must not inherit."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each of them would compile the package again
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # Ctrl-C does nothing to jobs that run in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # below nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the golden run, which takes a training and all converters, is slow; what is slow goes first."""
    for item in items:
        if "golden_run" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
    # No process is left with a long one at the end.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True, scope="session")
def _every_record_fits_its_schema() -> Iterator[None]:
    """Check each record that this process writes or prints as JSON."""
    encode = msgspec.json.encode

    def checked(record: object) -> bytes:
        data = encode(record)
        if name := schemas.schema_of_record().get(type(record).__name__):
            schemas.check(data, name)
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(msgspec.json, "encode", checked)
        yield


@pytest.fixture
def tiny_contract() -> records.Contract:
    """The contract of the tiny model: 8 x 8 RGB, three labels."""
    data = records.DataSource(
        name="synthetic", spec="synthetic", sha256="0" * 64, labels=TINY_LABELS, train_count=1, test_count=1
    )
    return records.Contract(
        schema=records.SCHEMA, model="tiny", model_sha256="0" * 64, layout="NHWC", color_space="RGB",
        value_range=(0, 255),
        input=records.TensorSpec(name="image", dtype="uint8", shape=(None, 8, 8, 3)), resize=decode.RESIZE_RULE,
        output=records.TensorSpec(name="logits", dtype="float32", shape=(None, 3)), output_meaning="logits",
        labels=TINY_LABELS, data=data,
    )  # fmt: skip


@pytest.fixture
def tiny_onnx(tmp_path: Path, tiny_contract: records.Contract) -> Path:
    """An .onnx file as `edgecnn export` makes them: convolution, pooling, two dense layers, metadata."""
    onnx = pytest.importorskip("onnx")
    model = onnx.parser.parse_model(TINY_GRAPH)
    random = np.random.default_rng(7)
    shapes = {
        "conv_w": (4, 3, 3, 3), "conv_b": (4,), "hidden_w": (36, 5), "hidden_b": (5,), "logits_w": (5, 3),
        "logits_b": (3,),
    }  # fmt: skip
    weights = {name: random.normal(0, 0.5, shape) for name, shape in shapes.items()} | {"scale": np.array(1 / 255)}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()
    )
    facts = records.Export(
        format="onnx_float32",
        versions={},
        layers=TINY_LAYERS,
        fused_into={},
        calibration=None,
        excluded_from_quantization=(),
    )
    inside = replace(tiny_contract, export=facts)
    onnx.helper.set_model_props(model, {"edgecnn.contract": records.encode(inside).decode()})
    path = tmp_path / "tiny.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A file or folder that `make(path)` writes, once a session however many processes run tests."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    place = root / name
    with FileLock(root / f"{name}.lock"):
        if not place.exists():
            draft = root / f"draft-{name}"
            make(draft)
            draft.rename(place)
    return place


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set that trains in seconds: drawn images of three classes in an .npz."""
    return made_once(tmp_path_factory, "small.npz", _save_small_data)


def _save_small_data(path: Path) -> None:
    from edgecnn.data.datasets.synthetic import LABELS, draw

    arrays: dict[str, np.ndarray] = {"labels": np.array(LABELS[:3])}
    for split, count in (("train", 1500), ("test", 700)):
        images, labels = draw(count, seed=1, split=split)
        arrays[f"x_{split}"], arrays[f"y_{split}"] = images[labels < 3], labels[labels < 3]
    with path.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def golden_run(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained for eight epochs and exported to every default format; copy it before changing it."""
    pytest.importorskip("tensorflow")

    def make(path: Path) -> None:
        from edgecnn.stages.export import export
        from edgecnn.stages.train import TrainOptions, train

        run = Run(path)
        with run.lock():
            train(run, TrainOptions(data=str(small_data), epochs=8))
            export(run)

    return made_once(tmp_path_factory, "golden", make)


@pytest.fixture(scope="session")
def every_format_run(golden_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden run with exports of the formats too that are made when named only; copy it before changing it."""

    def make(path: Path) -> None:
        from edgecnn.export.format import Format, default_formats
        from edgecnn.plugins import discover
        from edgecnn.stages.export import export

        run = Run(shutil.copytree(golden_run, path))
        with run.lock():
            export(run, sorted(set(discover(Format)) - set(default_formats())))

    return made_once(tmp_path_factory, "every-format", make)


@pytest.fixture
def run(golden_run: Path, tmp_path: Path) -> Run:
    """A copy of the golden run, to be changed at will."""
    return Run(shutil.copytree(golden_run, tmp_path / "run"))
