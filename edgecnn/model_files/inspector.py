"""What a reader of a file kind is: one module in edgecnn/model_files/inspectors with one constant, `PLUGIN`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgecnn.plugins import discover

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgecnn.records import Inspection


@dataclass(frozen=True)
class Inspector:
    """A reader of one kind of model file, of any origin.

    `read` gives what the file says of itself, and the bytes of the contract in it, None where there is none; what the
    contract lacks, and the file's size and hash, are the stage's to add. It raises InputError for a damaged file.
    """

    PACKAGE: ClassVar[str] = "edgecnn.model_files.inspectors"  # where its plug-ins lie

    name: str
    summary: str  # what it reads, for a sentence: "an .onnx file"
    packages: tuple[str, ...]  # import names of what it needs
    read: Callable[[Path], tuple[Inspection, bytes | None]]
    recognizes: Callable[[Path, bytes], bool]  # a path and, of a file, its first 8 bytes: whether it is of this kind
    carries_contract: bool = True  # whether the kind has a place for one


def inspector_of(path: Path, head: bytes) -> Inspector | None:
    """The reader that takes a folder or a file with these first 8 bytes; None where none does."""
    return next((one for one in discover(Inspector).values() if one.recognizes(path, head)), None)


def head_of(path: Path) -> bytes:
    """The first 8 bytes of a file, nothing of a folder."""
    if path.is_dir():
        return b""
    with path.open("rb") as stream:
        return stream.read(8)
