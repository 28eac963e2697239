"""CIFAR-10 from its Python batches: a folder, their .tar.gz, Keras' cache, or the download."""

from __future__ import annotations

import gzip
import hashlib
import os
import queue
import tarfile
import threading
import zlib
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from edgecnn.console import log, progress
from edgecnn.data.dataset import Dataset, labelled_images
from edgecnn.data.pickled_batches import unpickled
from edgecnn.errors import DataUnavailable, InputError, reason_of
from edgecnn.files import TEMPORARY, staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    import numpy.typing as npt

    from edgecnn.data.dataset import LabelledImages

FOLDER = "cifar-10-batches-py"
TRAIN_FILES = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST_FILE = "test_batch"
META_FILE = "batches.meta"
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
SHA256 = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"  # as Keras checks it
SIZE_MB = 170  # of the archive
SILENCE_SECONDS = 10.0  # a download that brings no byte for this long is given up
BLOCK = 1 << 16
MOST_BATCH_BYTES = 1 << 26  # of a file in the archive; a batch has 31 MB
MOST_ARCHIVE_BYTES = 1 << 28  # unpacked; CIFAR-10 has 186 MB
LARGEST = 1 << 63  # of an int64
ENVIRONMENT = "EDGECNN_DATA"
KERAS_ARCHIVE = "cifar-10-batches-py-target_archive"  # the name Keras gives its own download
IN_KERAS_CACHE = (f"cifar-10-batches-py-target/{FOLDER}", FOLDER, KERAS_ARCHIVE, f"{FOLDER}.tar.gz")


def accepts(path: Path) -> bool:
    """Whether a path is a folder of batches or an archive of one."""
    return _batches_folder(path) is not None or (path.is_file() and path.name.endswith((".tar.gz", ".tgz")))


def load(path: Path | None) -> LabelledImages:
    """CIFAR-10 from `path`, or from wherever it is available.

    Looks at the path in EDGECNN_DATA, then in Keras' cache, then downloads into that cache. Raises InputError
    for batches that cannot be used and DataUnavailable when there is no copy and no network.
    """
    spec = "cifar10" if path is None else str(path)
    place = path or find() or _download()
    folder = _batches_folder(place)
    if folder is not None:
        return _read(lambda name: _read_file(folder / name), spec)
    return _read_archive(place, spec)


def find() -> Path | None:
    """The copy on this machine; raises InputError where EDGECNN_DATA names none."""
    return _from_environment() or _from_keras_cache()


def _batches_folder(path: Path) -> Path | None:
    """The folder itself, or the one named as the archive unpacks it inside."""
    return next((p for p in (path, path / FOLDER) if (p / TEST_FILE).is_file() or (p / TRAIN_FILES[0]).is_file()), None)


def _from_environment() -> Path | None:
    value = os.environ.get(ENVIRONMENT)
    if not value:
        return None
    if not accepts(Path(value)):
        raise InputError(
            f"{ENVIRONMENT} is {value}, where there is no {FOLDER} folder and no .tar.gz of it; correct or unset it."
        )
    return Path(value)


def _keras_datasets() -> Path:
    try:
        return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "datasets"
    except RuntimeError:  # this user has no home
        raise DataUnavailable("there is no home directory to keep CIFAR-10 in") from None


def _from_keras_cache() -> Path | None:
    places = (_keras_datasets() / name for name in IN_KERAS_CACHE)
    return next((place for place in places if place.is_file() or _batches_folder(place)), None)


def _read_file(path: Path) -> bytes:
    if not path.is_file():
        raise InputError(f"{path} is missing; a {FOLDER} folder holds {', '.join(TRAIN_FILES)} and {TEST_FILE}.")
    return path.read_bytes()


def _read_archive(path: Path, spec: str) -> LabelledImages:
    """Read the batches inside the archive without unpacking it to disk."""
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            members = {Path(member.name).name: member for member in _bounded(archive, path)}
            files = {}
            for name in (*TRAIN_FILES, TEST_FILE, META_FILE):
                member = archive.extractfile(members[name])
                if member is None:
                    raise KeyError(name)
                files[name] = member.read()
            while stream.read(BLOCK):  # to the end, where the checksum is
                if stream.tell() > MOST_ARCHIVE_BYTES:
                    raise _too_large(path)
    except KeyError as error:
        raise InputError(f"{path} has no {error.args[0]} inside; it is not the CIFAR-10 archive.") from None
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise InputError(f"{path} is damaged or not a .tar.gz ({reason_of(error)}); fetch it again.") from None
    return _read(files.__getitem__, spec)


def _bounded(archive: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    """The files of an archive; raises InputError before one is unpacked that is larger than CIFAR-10 has any."""
    for member in archive:
        if member.offset_data + member.size > MOST_ARCHIVE_BYTES:
            raise _too_large(path)
        if member.isfile():
            if member.size > MOST_BATCH_BYTES or member.issparse():
                raise _too_large(path)
            yield member


def _too_large(path: Path) -> InputError:
    return InputError(f"{path} holds more than CIFAR-10's batches do when it is unpacked; fetch it again.")


def _read(read: Callable[[str], bytes], spec: str) -> LabelledImages:
    import numpy as np

    meta = _unpickle(read(META_FILE), META_FILE)
    names = meta.get(b"label_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes) for name in names):
        raise InputError(f"{META_FILE} holds no label names; it is not CIFAR-10's.")
    train = [_batch(read(name), name) for name in TRAIN_FILES]
    test_images, test_labels = _batch(read(TEST_FILE), TEST_FILE)
    return labelled_images(
        name="cifar10",
        spec=spec,
        labels=tuple(name.decode(errors="replace") for name in names),
        train=(np.concatenate([images for images, _ in train]), np.concatenate([labels for _, labels in train])),
        test=(test_images, test_labels),
    )


def _batch(data: bytes, name: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """uint8 [N, 32, 32, 3] and int64 [N]; a batch keeps each image as 1024 red, 1024 green, 1024 blue bytes."""
    import numpy as np

    record = _unpickle(data, name)
    pixels, labels = record.get(b"data"), record.get(b"labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2 or pixels.shape[1] != 3072:
        raise InputError(f"{name} holds no uint8 array of 3,072 columns under 'data'; it is not a CIFAR-10 batch.")
    if (
        not isinstance(labels, list)
        or len(labels) != len(pixels)
        or not all(isinstance(n, int) and abs(n) < 1 << 63 for n in labels)
    ):
        raise InputError(f"{name} does not hold one whole number for each image under 'labels'.")
    images = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), np.asarray(labels, np.int64)


def _unpickle(data: bytes, name: str) -> dict[bytes, object]:
    try:
        record = unpickled(data)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except Exception as error:  # a damaged pickle fails in as many ways as there are opcodes
        raise InputError(
            f"{name} is damaged or not a CIFAR-10 batch ({type(error).__name__}); fetch it again."
        ) from None
    if not isinstance(record, dict):
        raise InputError(f"{name} is not a CIFAR-10 batch: it holds a {type(record).__name__} instead of a dictionary.")
    return record


def _download() -> Path:
    """Fetch the archive into Keras' cache, with progress and checksum."""
    target = _keras_datasets() / KERAS_ARCHIVE
    if failure := _attempt(URL, target):
        raise failure
    return target


@cache
def _attempt(url: str, target: Path) -> DataUnavailable | None:
    """Download once in a process: what failed for one stage of a run would only delay the next. Why it failed."""
    log(f"CIFAR-10 is not on this machine: downloading it from {url} ({SIZE_MB} MB)")
    try:
        _download_to(target)
    except DataUnavailable as failure:
        return failure
    except OSError as error:
        return DataUnavailable(f"CIFAR-10 cannot be kept in {target.parent} ({error.strerror})")
    return None


def _download_to(target: Path) -> None:
    for leftover in target.parent.glob(f"{TEMPORARY}*"):  # of a download that was killed
        leftover.unlink()
    with staged(target) as draft:
        digest = hashlib.sha256()
        with draft.open("wb") as stream:
            _fetch(URL, stream, digest.update)
        if digest.hexdigest() != SHA256:
            raise DataUnavailable("the checksum of the CIFAR-10 download is wrong")


def _fetch(url: str, stream: IO[bytes], seen: Callable[[bytes], None]) -> None:
    """Copy a URL's body to a stream; DataUnavailable after SILENCE_SECONDS without a byte.

    A thread reads, since neither name resolution nor a proxy's handshake can be timed out from here.
    """
    import urllib.request

    blocks: queue.Queue[bytes | Exception | int] = queue.Queue(maxsize=64)

    def read() -> None:
        try:
            with urllib.request.urlopen(url, timeout=SILENCE_SECONDS) as response:
                blocks.put(int(response.headers.get("Content-Length") or 0))
                while block := response.read1(BLOCK):
                    blocks.put(block)
            blocks.put(b"")
        except Exception as error:  # handed to the caller, who turns it into a sentence
            blocks.put(error)

    threading.Thread(target=read, daemon=True).start()
    total = _next(blocks)
    if isinstance(total, bytes):
        raise DataUnavailable("the CIFAR-10 download is empty")
    done = 0
    with progress("downloading CIFAR-10", total or 1) as advance:
        while block := _next(blocks):
            if isinstance(block, int):
                continue
            stream.write(block)
            seen(block)
            done += len(block)
            advance(done)


def _next(blocks: queue.Queue[bytes | Exception | int]) -> bytes | int:
    try:
        item = blocks.get(timeout=SILENCE_SECONDS)
    except queue.Empty:
        raise DataUnavailable(f"CIFAR-10 did not arrive: no byte for {SILENCE_SECONDS:.0f} s") from None
    if isinstance(item, Exception):
        reason = getattr(item, "reason", item)  # urllib wraps the system's own error
        raise DataUnavailable(f"CIFAR-10 cannot be downloaded ({getattr(reason, 'strerror', None) or reason})")
    return item


PLUGIN = Dataset(
    name="cifar10",
    summary="CIFAR-10: EDGECNN_DATA, Keras' cache or the download; or a folder of its batches or their .tar.gz",
    accepts=accepts,
    load=lambda path, size: load(path),
    load_by_name=lambda size: load(None),
    find=find,
)
