"""TFLite's standard metadata, read by the rules of flatbuffers and ZIP, not by what wrote it."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgecnn.export.tflite_metadata import IDENTIFIER, LABELS, NAME, metadata, with_labels
from edgecnn.model_files.tflite_graph import parse
from edgecnn.records.contract import CONTRACT_KEY

if TYPE_CHECKING:
    from edgecnn.records import Contract
    from edgecnn.run_directory import Run

SUBGRAPHS, INPUTS, OUTPUTS, CONTENT, UNITS, FILES, PARSER = 3, 2, 3, 3, 4, 6, 7  # numbers of fields in the schema


class Table:
    """A table in a flatbuffer: see flatbuffers' description of its binary format."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content, self.at = content, at

    @classmethod
    def root(cls, content: bytes) -> Table:
        assert content[4:8] == IDENTIFIER
        return cls(content, struct.unpack_from("<I", content)[0])

    def _field(self, number: int) -> int:
        vtable = self.at - struct.unpack_from("<i", self.content, self.at)[0]
        assert 4 + 2 * number < struct.unpack_from("<H", self.content, vtable)[0], f"there is no field {number}"
        offset = struct.unpack_from("<H", self.content, vtable + 4 + 2 * number)[0]
        assert offset, f"field {number} is left out"
        return int(self.at + offset)

    def _target(self, number: int) -> int:
        place = self._field(number)
        return int(place + struct.unpack_from("<I", self.content, place)[0])

    def byte(self, number: int) -> int:
        return self.content[self._field(number)]

    def table(self, number: int) -> Table:
        return Table(self.content, self._target(number))

    def text(self, number: int) -> str:
        place = self._target(number)
        size = struct.unpack_from("<I", self.content, place)[0]
        return self.content[place + 4 : place + 4 + size].decode()

    def vector(self, number: int, kind: str) -> list[Any]:
        place = self._target(number)
        size = struct.unpack_from("<I", self.content, place)[0]
        return list(struct.unpack_from(f"<{size}{kind}", self.content, place + 4))

    def only(self, number: int) -> Table:
        """The one table of a vector of tables."""
        (offset,) = self.vector(number, "I")
        return Table(self.content, self._target(number) + 4 + offset)


def normalization(graph: Table) -> tuple[float, float]:
    unit = graph.only(INPUTS).only(UNITS)
    assert unit.byte(0) == 1, "NormalizationOptions"
    (mean,), (std,) = unit.table(1).vector(0, "f"), unit.table(1).vector(1, "f")
    return mean, std


@pytest.mark.parametrize(("colors", "number"), [("RGB", 1), ("grayscale", 2)])
def test_it_describes_the_contract(tiny_contract: Contract, colors: str, number: int) -> None:
    content = metadata(replace(tiny_contract, color_space=colors), None, 0)
    assert content == metadata(replace(tiny_contract, color_space=colors), None, 0)
    model = Table.root(content)
    graph = model.only(SUBGRAPHS)
    image, output = graph.only(INPUTS), graph.only(OUTPUTS)
    assert (model.text(0), model.text(PARSER)) == ("tiny", "1.0.0")
    assert (image.text(0), output.text(0)) == ("image", "logits")
    assert f"raw {colors} pixels from 0 to 255" in image.text(1)
    assert (image.table(CONTENT).byte(0), image.table(CONTENT).table(1).byte(0)) == (2, number), "ImageProperties"
    assert output.table(CONTENT).byte(0) == 1, "FeatureProperties"
    labels = output.only(FILES)
    assert (labels.text(0), labels.byte(2)) == (LABELS, 2), "TENSOR_AXIS_LABELS"


@pytest.mark.parametrize(("scale", "zero_point"), [(None, 0), (1 / 255, 0), (0.5, 7)])
def test_raw_pixels_arrive_as_they_are(tiny_contract: Contract, scale: float | None, zero_point: int) -> None:
    """Normalized and then quantized by the input's own scale, as tools that read the metadata do."""
    pixels = np.arange(256, dtype=np.float32)
    mean, std = normalization(Table.root(metadata(tiny_contract, scale, zero_point)).only(SUBGRAPHS))
    real = (pixels - np.float32(mean)) / np.float32(std)
    arrived = real if scale is None else np.round(real / np.float32(scale)) + zero_point
    np.testing.assert_array_equal(arrived, pixels)


def test_labels_follow_the_model_in_an_archive(tiny_contract: Contract) -> None:
    contract = replace(tiny_contract, labels=("Katze", "grüner\nFrosch", ""))
    found = with_labels(b"model" * 100, contract)
    assert found.startswith(b"model" * 100) and found == with_labels(b"model" * 100, contract)
    with zipfile.ZipFile(BytesIO(found)) as archive:
        assert archive.namelist() == [LABELS] and archive.testzip() is None
        assert archive.getinfo(LABELS).compress_type == zipfile.ZIP_STORED
        assert archive.read(LABELS).decode().split("\n") == ["Katze", "grüner Frosch", ""]


@pytest.mark.parametrize("name", ["tflite_float32", "tflite_float16", "tflite_dynamic", "tflite_int8"])
def test_exports_carry_it(run: Run, name: str) -> None:
    content = run.path(f"exports/{name}.tflite").read_bytes()
    parts = parse(content).metadata
    assert parts.keys() >= {CONTRACT_KEY, NAME}
    assert normalization(Table.root(parts[NAME]).only(SUBGRAPHS)) == (0.0, 255.0 if name == "tflite_int8" else 1.0)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.read(LABELS).decode().split("\n") == list(run.contract().labels)


def test_a_microcontroller_s_file_does_without(run: Run) -> None:
    content = run.path("exports/tflite_int8_micro.tflite").read_bytes()
    assert NAME not in parse(content).metadata and not zipfile.is_zipfile(BytesIO(content))
