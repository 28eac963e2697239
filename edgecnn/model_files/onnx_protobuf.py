"""An .onnx file's bytes without the onnx package: one more output, and what its nodes are.

A file is a ModelProto of protocol buffers: a sequence of fields, each a key (number * 8 + kind) and a value.
https://protobuf.dev/programming-guides/encoding and https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

GRAPH, NODE, OUTPUT, NAME = 7, 1, 12, 1  # of a ModelProto, of a GraphProto twice, of a ValueInfoProto
METADATA, KEY, VALUE = 14, 1, 2  # of a ModelProto, of a StringStringEntryProto twice
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_INTS = 1, 8
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5

# Operators whose image-like inputs and outputs are [N, C, H, W] by ONNX's definition.
CHANNELS_FIRST = (
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool",
    "BatchNormalization", "InstanceNormalization", "LRN", "DepthToSpace", "SpaceToDepth",
)  # fmt: skip
TRANSPOSES: dict[tuple[int, ...], str] = {
    (0, 2, 3, 1): "NHWC",
    (0, 3, 1, 2): "NCHW",
}  # permutation -> what it makes of the other layout


@dataclass(frozen=True)
class Node:
    """A node of the main graph; `order` is a Transpose's permutation."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    order: tuple[int, ...]


def with_outputs(model: bytes, tensors: Iterable[str]) -> bytes:
    """The bytes of an ONNX model that gives these tensors as further outputs; nothing else about it changes.

    Protocol buffers merge when they are concatenated: a repeated field grows, a message in a field merges with
    the one before. So a ModelProto that holds only graph { output { name } } adds an output.
    https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    return model + b"".join(_field(GRAPH, _field(OUTPUT, _field(NAME, name.encode()))) for name in tensors)


def metadata(model: bytes, key: str) -> bytes:
    """An entry of the model's metadata, empty where there is none."""
    entries = (dict(_fields(entry)) for entry in _contents(memoryview(model), METADATA))
    return next((bytes(entry[VALUE]) for entry in entries if bytes(entry[KEY]) == key.encode()), b"")


def _field(number: int, content: bytes) -> bytes:
    """A field of a length and that many bytes; the number is at most 15."""
    head, rest = bytes([number << 3 | LENGTH]), len(content)
    while rest >= 0x80:
        head += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return head + bytes([rest]) + content


def nodes(model: bytes) -> list[Node]:
    """The nodes of the main graph, in order, of a file that ONNX Runtime could read."""
    return [_node(content) for graph in _contents(memoryview(model), GRAPH) for content in _contents(graph, NODE)]


def _node(content: memoryview) -> Node:
    operator = "".join(_texts(content, NODE_OPERATOR))
    order: tuple[int, ...] = ()
    for attribute in _contents(content, NODE_ATTRIBUTE) if operator == "Transpose" else ():
        if _texts(attribute, ATTRIBUTE_NAME) == ["perm"]:
            order = tuple(_integers(attribute, ATTRIBUTE_INTS))
    return Node(operator, tuple(_texts(content, NODE_INPUT)), tuple(_texts(content, NODE_OUTPUT)), order)


def _texts(message: memoryview, number: int) -> list[str]:
    return [bytes(content).decode() for content in _contents(message, number)]


def _contents(message: memoryview, number: int) -> Iterator[memoryview]:
    """The contents of the fields of that number that are of a length."""
    return (value for found, value in _fields(message) if found == number and isinstance(value, memoryview))


def _integers(message: memoryview, number: int) -> Iterator[int]:
    """The values of a repeated integer, one a field or packed into one."""
    for found, value in _fields(message):
        if found == number and isinstance(value, int):
            yield value
        elif found == number and isinstance(value, memoryview):
            place = 0
            while place < len(value):
                integer, place = _varint(value, place)
                yield integer


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == VARINT:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == LENGTH:
            size, place = _varint(message, place)
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError(f"a field of kind {kind}")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first, and where the next value stands."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def layouts(graph: Iterable[Node]) -> Mapping[str, str]:
    """Tensor -> "NCHW" or "NHWC", for every node output: what its values would be if they were images.

    A convolution takes and gives [N, C, H, W]; a transpose changes it; all else leaves it as it is.
    """
    found: dict[str, str] = {}
    for node in graph:
        given = next((found[name] for name in node.inputs if name in found), "NCHW")
        if node.operator in CHANNELS_FIRST:
            given = "NCHW"
        made = TRANSPOSES.get(node.order, given) if node.operator == "Transpose" else given
        found.update(dict.fromkeys(node.outputs, made))
    return found
