"""TFLite's own metadata: labels and normalization as Android Studio, the TFLite Task Library and MediaPipe read them.

A flatbuffer of the schema `metadata_schema.fbs` of TFLite Support (identifier M001), in the metadata buffer
TFLITE_METADATA, and the labels as a file of a ZIP archive that follows the model's flatbuffer. No package that installs
with TensorFlow writes it, so the few tables in use are written here, by the numbers of their fields.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgecnn.records import Contract

NAME, IDENTIFIER = "TFLITE_METADATA", b"M001"
PARSER = "1.0.0"  # the first version of the schema, which has all that is used here
LABELS = "labels.txt"
# Numbers of the schema's unions and enumerations.
FEATURE_PROPERTIES, IMAGE_PROPERTIES = 1, 2
COLOR_SPACES = {"RGB": 1, "grayscale": 2}
NORMALIZATION_OPTIONS = 1
TENSOR_AXIS_LABELS = 2


def metadata(contract: Contract, scale: float | None, zero_point: int) -> bytes:
    """The flatbuffer for a model whose uint8 input has this scale and zero point; scale None: no quantization.

    Normalization makes the real value of the input's tensor from a pixel: (pixel - mean) / std. A quantized input is
    quantized after it, by its own scale. So a raw pixel arrives as it is with mean 0 and standard deviation 1 where
    the input is not quantized, and where it is, with the zero point and one over the scale, 0 and 255 in our files.
    """
    from flatbuffers import Builder

    builder = Builder(1024)
    mean, std = (0.0, 1.0) if scale is None else (float(zero_point), round(1 / scale, 3))
    normalization = _table(builder, {0: _floats(builder, [mean]), 1: _floats(builder, [std])})
    unit = _table(builder, {1: normalization}, {0: NORMALIZATION_OPTIONS})
    properties = _table(builder, {}, {0: COLOR_SPACES[contract.color_space]})
    low, high = contract.value_range
    image = _tensor(
        builder,
        contract.input.name,
        f"An image of raw {contract.color_space} pixels from {low} to {high}.",
        _table(builder, {1: properties}, {0: IMAGE_PROPERTIES}),
        {4: _tables(builder, [unit])},
    )
    labels = {0: builder.CreateString(LABELS), 1: builder.CreateString("The labels of the classes, one per line.")}
    output = _tensor(
        builder,
        contract.output.name,
        f"The {contract.output_meaning} of the classes.",
        _table(builder, {1: _table(builder, {})}, {0: FEATURE_PROPERTIES}),
        {6: _tables(builder, [_table(builder, labels, {2: TENSOR_AXIS_LABELS})])},
    )
    graph = _table(builder, {2: _tables(builder, [image]), 3: _tables(builder, [output])})
    model = {0: builder.CreateString(contract.model), 1: builder.CreateString("An image classifier by edgecnn.")}
    root = _table(builder, {**model, 3: _tables(builder, [graph]), 7: builder.CreateString(PARSER)})
    builder.Finish(root, file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def with_labels(model: bytes, contract: Contract) -> bytes:
    """A .tflite file's bytes and behind them the archive of the labels, which interpreters do not look at.

    The same bytes each time: without the time, and not compressed, as Android maps them.
    """
    content = BytesIO(model)
    info = zipfile.ZipInfo(LABELS)
    info.create_system = 3  # whatever the system: Unix
    info.external_attr = 0o644 << 16
    text = "\n".join(" ".join(label.splitlines()) for label in contract.labels)
    with zipfile.ZipFile(content, "a") as archive:
        archive.writestr(info, text.encode())
    return content.getvalue()


def _tensor(builder: Any, name: str, description: str, content: int, others: dict[int, int]) -> int:
    texts = {0: builder.CreateString(name), 1: builder.CreateString(description)}
    return _table(builder, {**texts, 3: content, **others})


def _table(builder: Any, offsets: dict[int, int], numbers: dict[int, int] | None = None) -> int:
    """A table of fields by number: of tables, texts and vectors that are written already, and of single bytes."""
    numbers = numbers or {}
    builder.StartObject(max((*offsets, *numbers), default=-1) + 1)
    for field, offset in offsets.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    for field, number in numbers.items():
        builder.PrependUint8Slot(field, number, 0)
    return int(builder.EndObject())


def _tables(builder: Any, tables: Sequence[int]) -> int:
    return _vector(builder, tables, builder.PrependUOffsetTRelative)


def _floats(builder: Any, values: Sequence[float]) -> int:
    return _vector(builder, values, builder.PrependFloat32)


def _vector(builder: Any, values: Sequence[Any], prepend: Callable[[Any], None]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        prepend(value)
    return int(builder.EndVector())
