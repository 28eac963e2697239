"""Files and folders: written whole or not at all, hashed, measured.

Nothing is ever written in place: a file or folder is made beside its place under a `.tmp-` name, flushed to
the disk, and renamed. So a process killed at any moment leaves old or new files, never half of one.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from edgecnn.errors import InputError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zipfile import ZipFile

    import numpy.typing as npt

TEMPORARY = ".tmp-"
MOST_UNPACKED, MOST_RATIO = 1 << 28, 16  # what an archive may unpack to: so many bytes, or so many times its own size


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder over the relative names and contents of its files in order."""
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
    else:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_dir():
        return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
    return path.stat().st_size


def _sync(path: Path, *, deep: bool = True) -> None:
    """Flush a file, or a folder's entries and all that is in it, to the disk."""
    for place in [*path.rglob("*"), path] if deep and path.is_dir() else [path]:
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def delete(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield a path next to `target` to write a file or a folder at; on success it replaces the target.

    The yielded name ends as the target's does, since Keras and others look at the suffix.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{TEMPORARY}{os.getpid()}-{target.name}")
    delete(draft)
    try:
        yield draft
        _sync(draft)
        if target.is_dir() and draft.is_file():
            raise MachineError(f"{target} cannot be written: a folder stands in its place; move it away.")
        if target.is_dir():  # a folder cannot be renamed over another: move the old one out of the way first
            old = target.with_name(f"{TEMPORARY}{os.getpid()}-old-{target.name}")
            target.rename(old)
            try:
                draft.rename(target)
            except OSError:
                old.rename(target)
                raise
            delete(old)
        else:
            draft.replace(target)
        _sync(target.parent, deep=False)
    finally:
        delete(draft)


def save_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write a .npy file; numpy itself, where the disk is full, raises an error that does not say so."""
    import numpy as np

    content = BytesIO()
    np.save(content, array)
    path.write_bytes(content.getbuffer())


def most_unpacked(path: Path) -> int:
    """How many bytes a file may declare that it unpacks to."""
    return max(MOST_UNPACKED, MOST_RATIO * path.stat().st_size)


def check_unpacked(path: Path, archive: ZipFile) -> None:
    """Raise InputError for an archive that would unpack to far more than it is."""
    declared, most = sum(part.file_size for part in archive.infolist()), most_unpacked(path)
    if declared > most:
        raise InputError(f"{path} would unpack to {declared:,} bytes, and {most:,} are taken from a file of its size.")


def load_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an .npz file; what they declare is looked at before one is allocated.

    Raises InputError for more than the file can hold, FileNotFoundError, and whatever zip, zlib and numpy's parser
    raise of a damaged file.
    """
    from zipfile import ZipFile

    import numpy as np

    found = {}
    with ZipFile(path) as archive:
        check_unpacked(path, archive)
        for part in archive.infolist():
            with archive.open(part) as stream:
                _check_array(stream, part.file_size)
            with archive.open(part) as stream:
                found[part.filename.removesuffix(".npy")] = np.lib.format.read_array(stream, allow_pickle=False)
    return found


def _check_array(stream: IO[bytes], size: int) -> None:
    """Raise ValueError unless a part of an .npz file holds what its header declares."""
    import numpy as np

    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(stream)
    if version not in headers:
        raise ValueError(f"an array in version {version} of the format")
    shape, _, dtype = headers[version](stream)
    if dtype.hasobject or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > size:
        raise ValueError(f"{dtype} {list(shape)} in {size:,} bytes")
