"""A reader of CIFAR-10's pickles that makes nothing but plain values and arrays of bytes.

Python's unpickler calls what a pickle names, and lets it set the state of what it made: a numpy.dtype whose state
claims to hold objects makes numpy follow addresses that stand in the file. Here opcodes are read by the standard
library's `pickletools` and carried out on a stack of our own, where a class is a name, and an array is made from its
shape and its bytes. Nothing is larger than the pickle.
"""

from __future__ import annotations

import math
import pickletools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
LITERALS = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BINUNICODE",
    "SHORT_BINUNICODE",
}  # fmt: skip
OLD_STRINGS = {"BINSTRING", "SHORT_BINSTRING"}  # of Python 2: bytes
IGNORED = {"PROTO", "FRAME", "STOP"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
MODULES = {"numpy", "numpy.core.multiarray", "numpy._core.multiarray"}
BYTES = {"u1", "|u1", b"u1", b"|u1"}  # as a pickle writes the type uint8


@dataclass
class _Name:
    """A class or function that the pickle names."""

    module: str
    name: str


@dataclass
class _Dtype:
    """The type uint8."""


@dataclass
class _Array:
    """An array: empty until its state is known."""

    values: npt.NDArray[np.uint8] | None = None


def unpickled(data: bytes) -> object:
    """The value: None, bool, int, bytes, str, tuple, list, dict, uint8 array; arrays only as a dict's values.

    Raises InputError for a pickle that names anything else, and whatever comes of it where it is damaged: ValueError,
    IndexError, KeyError, TypeError, AttributeError, StopIteration.
    """
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(data):
        machine.do(opcode.name, argument)
    value = machine.stack.pop()
    if isinstance(value, dict):
        value = {key: item.values if isinstance(item, _Array) else item for key, item in value.items()}
    return value


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._marked: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def do(self, name: str, argument: Any) -> None:
        """Carry out an opcode; raises InputError for one that CIFAR-10's batches do not need."""
        if name in IGNORED:
            return
        if name in LITERALS:
            self.stack.append(argument)
        elif name in OLD_STRINGS:
            self.stack.append(argument.encode("latin-1"))
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in EMPTY:
            self.stack.append(EMPTY[name]())
        elif name in TUPLES:
            self.stack[-TUPLES[name] :] = [tuple(self.stack[-TUPLES[name] :])]
        elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._memo[len(self._memo) if argument is None else argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self._memo[argument])
        else:
            self._build(name, argument)

    def _build(self, name: str, argument: Any) -> None:
        if name == "MARK":
            self._marked.append(self.stack)
            self.stack = []
        elif name == "TUPLE":
            self._close(tuple(self.stack))
        elif name in ("APPENDS", "SETITEMS"):
            items = self.stack
            self.stack = self._marked.pop()
            self._add(self.stack[-1], items)
        elif name in ("APPEND", "SETITEM"):
            count = 1 if name == "APPEND" else 2
            items, self.stack[-count:] = self.stack[-count:], []
            self._add(self.stack[-1], items)
        elif name == "GLOBAL":
            module, _, attribute = argument.partition(" ")
            self.stack.append(self._named(module, attribute))
        elif name == "STACK_GLOBAL":
            attribute, module = self.stack.pop(), self.stack.pop()
            self.stack.append(self._named(module, attribute))
        elif name == "REDUCE":
            arguments, function = self.stack.pop(), self.stack.pop()
            self.stack.append(_called(function, arguments))
        elif name == "BUILD":
            state = self.stack.pop()
            _set_state(self.stack[-1], state)
        else:
            raise InputError(f"The batch uses {name}: a pickle that could run code is not read.")

    def _close(self, value: Any) -> None:
        self.stack = self._marked.pop()
        self.stack.append(value)

    def _add(self, target: Any, items: list[Any]) -> None:
        if isinstance(target, dict):
            target.update(zip(items[::2], items[1::2], strict=True))
        elif isinstance(target, list):
            target.extend(items)
        else:
            raise TypeError("items for neither a list nor a dictionary")

    def _named(self, module: str, name: str) -> _Name:
        if module not in MODULES or name not in ("ndarray", "dtype", "_reconstruct"):
            raise InputError(f"The batch needs {module}.{name}: a pickle that could run code is not read.")
        return _Name(module, name)


def _called(function: Any, arguments: Any) -> _Dtype | _Array:
    if not isinstance(function, _Name):
        raise TypeError("a call of no function")
    if function.name == "_reconstruct":
        return _Array()
    if function.name == "dtype" and arguments[0] in BYTES:
        return _Dtype()
    raise InputError(f"The batch holds an array of another type than uint8, or calls {function.name}.")


def _set_state(target: Any, state: Any) -> None:
    """An array's shape and bytes; a type's state, which says nothing that its name does not, is not looked at."""
    import numpy as np

    if isinstance(target, _Dtype):
        return
    _, shape, dtype, in_columns, content = state
    if not isinstance(target, _Array) or not isinstance(dtype, _Dtype) or in_columns or not isinstance(content, bytes):
        raise TypeError("a state of no array of bytes")
    if len(shape) > 2 or min(shape, default=0) < 0 or math.prod(shape) != len(content):
        raise ValueError("an array whose shape and bytes differ")
    target.values = np.frombuffer(content, np.uint8).reshape(shape)
