"""Further outputs for an ONNX model, without the onnx package."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def with_outputs(model: bytes, tensors: Iterable[str]) -> bytes:
    """The bytes of an ONNX model that gives these tensors as further outputs; nothing else about it changes.

    Protocol buffers merge when they are concatenated: a repeated field grows, a message in a field merges with
    the one before. So a ModelProto that holds only graph (7) { output (12) { name (1) } } adds an output, and the
    onnx package is not needed. https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    return model + b"".join(_field(7, _field(12, _field(1, name.encode()))) for name in tensors)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protocol buffers field; the number is at most 15."""
    head, rest = bytes([number << 3 | 2]), len(content)
    while rest >= 0x80:
        head += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return head + bytes([rest]) + content
