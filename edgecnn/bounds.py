"""What a model may take of memory and time while it is loaded, read or run, by the size of its file.

A few hundred bytes can ask for a tensor of 2^33 values, which runtimes allocate as soon as they load the file. No look
at its graph finds all of them, so the system bounds this process's memory meanwhile (RLIMIT_DATA, on Linux). That
concerns every thread, so it is done in the programs of this package alone, which call :func:`enforce`: in another
program a model takes what there is.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError
from edgecnn.processes import end_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy.typing as npt

LEAST_BYTES = 3 << 28  # for any model; with what is there already it stays below a GiB
PER_FILE_BYTE = 8  # weights as they are read, as they are unpacked, and as kernels want them
PER_INPUT_BYTE = 1024  # for what lies between the layers
STACK_BYTES = 8 << 20  # of each thread that a runtime starts, of which little is used
LOAD_SECONDS, BYTES_PER_SECOND = 15.0, 1 << 20  # of CPU, to load a file: these, and a second for so many bytes of it
LOOK_SECONDS = 0.5
# How the runtimes say that they got no memory.
REFUSED = re.compile(
    r"bad_alloc|[Ff]ailed to allocate|OOM when allocating|[Oo]ut of memory|exceeds the supported maximum"
)

_enforced: list[bool] = []
_NOTHING: AbstractContextManager[None] = nullcontext()


def enforce() -> None:
    """From now on the bounds hold in this process."""
    _enforced.append(True)


def loading(path: Path, size: int) -> AbstractContextManager[None]:
    """While a model whose file has this many bytes is loaded. Raises InputError where it takes more; a file that takes
    too long ends the process."""
    return _timed(path, size) if _enforced else _NOTHING


def running(path: Path, size: int, inputs: Iterable[npt.NDArray[Any]] = ()) -> AbstractContextManager[None]:
    """While a model is read, or computes these inputs. Raises InputError where it takes more."""
    if not _enforced:
        return _NOTHING
    in_all = sum(value.nbytes for value in inputs)
    return _limited(path, LEAST_BYTES + PER_FILE_BYTE * size + PER_INPUT_BYTE * in_all)


@contextmanager
def _timed(path: Path, size: int) -> Iterator[None]:
    most = LOAD_SECONDS + size / BYTES_PER_SECOND
    words = (
        f"Error: {path} takes more than {most:.0f} s of CPU time to load, more than a model of its size may; export a "
        "simpler one."
    )
    end, done = time.process_time() + most, threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            if time.process_time() > end:
                end_now(words, InputError.exit_code)

    threading.Thread(target=watch, daemon=True).start()
    try:
        with running(path, size):
            yield
    finally:
        done.set()


@contextmanager
def _limited(path: Path, most: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource

    earlier, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = _data_bytes() + most + STACK_BYTES * 2 * (os.cpu_count() or 1)
    if any(bound != resource.RLIM_INFINITY and bound < limit for bound in (earlier, hard)):
        yield  # a stricter one is there
        return
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    except Exception as error:
        if _is_refusal(error):
            raise InputError(
                f"{path} asks for more than {most >> 20:,} MiB of memory, which is more than a model of its size may "
                "take; make its tensors smaller."
            ) from None
        raise
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (earlier, hard))


def _is_refusal(error: Exception) -> bool:
    """Whether memory is what it lacked; LiteRT then raises an error without a word."""
    words = str(error)
    return isinstance(error, MemoryError) or bool(REFUSED.search(words)) or (type(error) is RuntimeError and not words)


def _data_bytes() -> int:
    """What the system holds against RLIMIT_DATA."""
    with open("/proc/self/statm", encoding="ascii") as fields:
        return int(fields.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
