"""The header of a generated C model: its macros, and the contract in its last comment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.errors import InputError
from edgecnn.records.contract import CONTRACT_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

FUNCTION = re.compile(r"^int (\w+)_run\(const uint8_t \*image, int8_t \*(\w+), void \*arena\);", re.MULTILINE)
MACRO = re.compile(r"^#define (\w+) \(?([-+.\de]+)f?\)?$", re.MULTILINE)
CONTRACT = re.compile(rf"/\* {re.escape(CONTRACT_KEY)}:\n(.*?)\*/", re.DOTALL)
TARGET = re.compile(r'^#define \w+_TARGET "([\w-]+)"$', re.MULTILINE)
NEEDED = {
    "ARENA_BYTES", "COMPUTE_LAYERS", "IMAGE_BYTES", "IMAGE_CHANNELS", "IMAGE_HEIGHT", "IMAGE_WIDTH",
    "LABEL_COUNT",
    "OUTPUT_SCALE", "OUTPUT_ZERO_POINT",
}  # fmt: skip


@dataclass(frozen=True)
class CHeader:
    """`name` begins the functions; `numbers` are the macros that are numbers, without the name before them."""

    name: str
    output: str  # the name of the output
    text: str
    source: Path  # the model's .c file
    numbers: Mapping[str, float]
    contract: bytes | None  # as JSON
    target: str  # what it is written for, one of codegen's

    def dequantized(self, outputs: npt.NDArray[np.int8]) -> npt.NDArray[np.float32]:
        """The values of int8 outputs of any shape."""
        import numpy as np

        zero_point, scale = (np.float32(self.numbers[f"OUTPUT_{name}"]) for name in ("ZERO_POINT", "SCALE"))
        values: npt.NDArray[np.float32] = (outputs.astype(np.float32) - zero_point) * scale
        return values


def header_in(folder: Path) -> Path | None:
    """The header of the generated model in a folder; None where there is none."""
    headers = (path for path in sorted(folder.glob("*.h")) if path.is_file())
    return next((path for path in headers if FUNCTION.search(_text(path))), None)


def read(folder: Path) -> CHeader:
    """The generated model in a folder; raises InputError where there is none, or it is not whole."""
    path = header_in(folder)
    if path is None:
        raise InputError(f"{folder} holds no generated C model; export it again.")
    text = _text(path)
    function = FUNCTION.search(text)
    assert function is not None
    name, output = function.groups()
    numbers = {macro.removeprefix(f"{name.upper()}_"): float(value) for macro, value in MACRO.findall(text)}
    if NEEDED - numbers.keys() or not path.with_suffix(".c").is_file():
        raise InputError(f"{path} is not the whole header of a generated model; export it again.")
    contract = CONTRACT.search(text)
    target = TARGET.search(text)
    return CHeader(
        name=name,
        output=output,
        text=text,
        source=path.with_suffix(".c"),
        numbers=numbers,
        contract=contract[1].encode() if contract else None,
        target=target[1] if target else "portable",
    )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
