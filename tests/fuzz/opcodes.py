"""Random streams of pickle opcodes for the reader of CIFAR-10's batches: each is refused or gives plain values."""

from __future__ import annotations

import pickletools
import random
import struct
from contextlib import suppress
from typing import Any

import numpy as np

from edgecnn.data.pickled_batches import unpickled
from edgecnn.errors import InputError

REFUSALS = (InputError, ValueError, LookupError, TypeError, AttributeError, OverflowError, StopIteration)
PLAIN = (type(None), bool, int, float, bytes, str, tuple, list, dict)
GLOBALS = (
    b"numpy\nndarray\n", b"numpy\ndtype\n", b"numpy.core.multiarray\n_reconstruct\n", b"os\nsystem\n",
    b"builtins\neval\n", b"numpy\nload\n",
)  # fmt: skip
# The opcodes that the reader carries out, which come up more often than all others.
KNOWN = [
    code for code in pickletools.opcodes
    if code.name in {
        "NONE", "NEWTRUE", "BININT", "BININT1", "BININT2", "LONG1", "SHORT_BINBYTES", "BINBYTES", "SHORT_BINUNICODE",
        "SHORT_BINSTRING", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "TUPLE", "MARK",
        "BINPUT", "BINGET", "MEMOIZE", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "GLOBAL", "STACK_GLOBAL", "REDUCE",
        "BUILD", "PROTO", "FRAME", "STOP",
    }
]  # fmt: skip


def stream(chance: random.Random) -> bytes:
    """Opcodes with arguments as they take them, and a stop at the end."""
    parts = []
    for _ in range(chance.randrange(1, 24)):
        code = chance.choice(KNOWN if chance.random() < 0.9 else pickletools.opcodes)
        parts.append(code.code.encode("latin-1") + _argument(code.name, code.arg, chance))
    return b"".join([*parts, b"."])


def _argument(name: str, kind: Any, chance: random.Random) -> bytes:
    if kind is None:
        return b""
    if name in ("GLOBAL", "INST"):
        return chance.choice(GLOBALS)
    if kind.n > 0:
        return chance.randbytes(kind.n) if kind.n != 1 else bytes([chance.randrange(4)])
    content = chance.choice((b"", b"u1", b"data", b"labels", b"ndarray", b"numpy", chance.randbytes(6)))
    if kind.n == pickletools.UP_TO_NEWLINE:
        return content.replace(b"\n", b"") + b"\n"
    width = {pickletools.TAKEN_FROM_ARGUMENT1: "<B", pickletools.TAKEN_FROM_ARGUMENT8U: "<Q"}.get(kind.n, "<I")
    return struct.pack(width, len(content)) + content


def tried(count: int, first: int = 0) -> int:
    """How many of these streams were refused or gave plain values and arrays of bytes; all of them, or it raises."""
    for number in range(first, first + count):
        with suppress(*REFUSALS):
            _check(unpickled(stream(random.Random(number))))
    return count


def _check(value: object) -> None:
    """Raise AssertionError for what is neither."""
    items = value.values() if isinstance(value, dict) else [value]
    for item in items:
        if isinstance(item, np.ndarray):
            assert item.dtype == np.uint8
        else:
            assert isinstance(item, PLAIN) or type(item).__module__ == unpickled.__module__, type(item)
