"""Processes that read image files, since decoding small ones is mostly Python: threads would wait for each other.

A socket leads to each. A message is two lengths, as many bytes of JSON, and as many bytes of pixels:

    <- {}                                             once it can work
    -> {"paths": ["a.jpg", ...], "shape": [H, W, C]}
    <- {"1": "b.jpg is empty (0 bytes); ..."}         place -> why not; with uint8 pixels of all others, in order

A process ends when its socket does. Nothing of the program that starts them is forked or run again, so it may have
threads and needs no `__main__` guard. They import numpy and Pillow.
"""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any

from edgecnn.errors import InputError, MachineError, UsageError
from edgecnn.preprocessing.batches import Batch, prepare_batch
from edgecnn.processes import end_with_parent, spawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from socket import socket

    from edgecnn.preprocessing.batches import Shape
    from edgecnn.preprocessing.decode import Source

LENGTHS = Struct("<II")
FEW = 8  # images that this process reads at a time where it would have to wait
QUEUE = 2  # batches requested from a process at a time, so that it never waits for the next
AHEAD = 8  # batches a process that may be read before they are used
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}  # numpy then loads in half the time, and a resize needs no more
STOP_SECONDS = 0.5


class Readers:
    """So many processes, this one among them. The others start at once, and are ready a tenth of a second later.

    Use as a context manager, from one thread at a time. Raises UsageError for a number that makes no sense,
    MachineError where the system cannot do it.
    """

    def __init__(self, processes: int) -> None:
        import socket

        if processes < 1:
            raise UsageError(f"Images are read by 1 process or more, not {processes}.")
        if sys.platform == "win32":
            raise MachineError("On Windows images are read by 1 process; use processes=1.")
        pairs = [socket.socketpair() for _ in range(processes - 1)]
        theirs = [their for _, their in pairs]
        # Elsewhere than on Linux system libraries that numpy uses are not made for forks.
        groups = [theirs] if theirs and sys.platform == "linux" else [[their] for their in theirs]
        self._processes = [_start(group) for group in groups]
        for their in theirs:
            their.close()
        self._readers = [_Reader(own) for own, _ in pairs]

    def prepared(self, images: Iterable[Source], shape: Shape, size: int) -> Iterator[Batch]:
        """The images in order, in batches of at most `size`; those that are no paths are read by this process, as are
        others whenever it would have to wait.

        Memory stays bounded: at most `AHEAD` batches a process are under way or waiting for their turn. Raises
        MachineError when a process dies.
        """
        rest = iter(images)
        done: dict[int, Batch] = {}  # read, and not yet given
        asked = given = 0
        most = AHEAD * (len(self._readers) + 1)
        try:
            while True:
                while asked - given < most and (reader := self._free()) and (sources := list(islice(rest, size))):
                    if all(isinstance(source, (str, Path)) for source in sources):
                        reader.ask(asked, [str(source) for source in sources], shape)
                    else:
                        done[asked] = prepare_batch(sources, shape)
                    asked += 1
                self._listen(done, shape, wait=False)
                if given in done:
                    yield done.pop(given)
                    given += 1
                elif asked - given < most and (sources := list(islice(rest, min(size, FEW)))):
                    done[asked] = prepare_batch(sources, shape)  # rather than to wait
                    asked += 1
                elif asked > given:
                    self._listen(done, shape, wait=True)
                else:
                    return
        finally:
            for reader in self._readers:
                with suppress(MachineError):  # of one that has died nothing comes
                    while reader.waiting:
                        reader.hear(shape)  # for nobody, so that the next answer is the next request's

    def _free(self) -> _Reader | None:
        """The reader with the least to do, None where each has enough."""
        free = [reader for reader in self._readers if reader.is_ready and len(reader.waiting) < QUEUE]
        return min(free, key=lambda reader: len(reader.waiting), default=None)

    def _listen(self, done: dict[int, Batch], shape: Shape, *, wait: bool) -> None:
        """Take what the readers have to say, after waiting for the first where that is wanted."""
        import select

        for reader in select.select(self._readers, [], [], None if wait else 0)[0]:
            done.update(reader.hear(shape))

    def close(self) -> None:
        """End the processes."""
        import signal
        import subprocess

        for reader in self._readers:
            reader.close()
        for process in self._processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:  # at work on a large image
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Reader:
    """The far's end of a socket."""

    def __init__(self, own: socket) -> None:
        self._socket = own
        self.is_ready = False
        self.waiting: deque[int] = deque()  # the numbers of requests not yet answered

    def ask(self, number: int, paths: list[str], shape: Shape) -> None:
        """Send a request. It is far smaller than what a socket buffers, so this does not wait."""
        with _death_told():
            _send(self._socket, {"paths": paths, "shape": shape})
        self.waiting.append(number)

    def hear(self, shape: Shape) -> dict[int, Batch]:
        """The number and the answer of the request that waits longest; nothing at the first call, a greeting."""
        import numpy as np

        with _death_told():
            refused, content = _receive(self._socket)
        if not self.is_ready:
            self.is_ready = True
            return {}
        pixels = np.frombuffer(content, np.uint8).reshape(-1, *shape)
        return {self.waiting.popleft(): Batch(pixels, {int(at): InputError(why) for at, why in refused.items()})}

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()


@contextmanager
def _death_told() -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError):
        raise MachineError("A process that reads images has died; use fewer, or check the memory.") from None


def _send(own: socket, message: object, content: memoryview | bytes = b"") -> None:
    text = json.dumps(message).encode()
    own.sendall(LENGTHS.pack(len(text), len(content)) + text)
    own.sendall(content)


def _receive(own: socket) -> tuple[Any, bytearray]:
    """A message; raises EOFError where the other end has gone."""
    text, content = (bytearray(length) for length in LENGTHS.unpack(_fill(own, bytearray(LENGTHS.size))))
    return json.loads(_fill(own, text)), _fill(own, content)


def _fill(own: socket, place: bytearray) -> bytearray:
    rest = memoryview(place)
    while rest:
        received = own.recv_into(rest)
        if not received:
            raise EOFError
        rest = rest[received:]
    return place


def _start(sockets: list[socket]) -> Any:
    """A process that serves these sockets."""
    import subprocess

    from edgecnn.environment import import_path

    numbers = [own.fileno() for own in sockets]
    return spawn(
        [
            sys.executable,
            "-P",
            "-m",
            "edgecnn.preprocessing.reader_pool",
            *map(str, numbers),
        ],  # -P: nothing of the current directory
        pass_fds=numbers,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": import_path(), **ONE_THREAD},
    )


def main(numbers: list[int]) -> None:
    """The servers of these sockets: a process each, forked from this one when it has loaded what they need."""
    end_with_parent()
    import numpy  # noqa: F401
    from PIL import JpegImagePlugin, PngImagePlugin  # noqa: F401

    mine = numbers[-1]
    for number in numbers[:-1]:
        if not os.fork():
            end_with_parent()
            mine = number
            break
    for number in numbers:
        if number != mine:
            os.close(number)  # so that the death of a process closes its socket
    with suppress(OSError, EOFError):  # the far has gone
        _serve(mine)
    if mine == numbers[-1]:
        for _ in numbers[:-1]:
            os.wait()
    os._exit(0)  # nothing is left to clean up


def _serve(number: int) -> None:
    import socket

    with socket.socket(fileno=number) as own:
        _send(own, {})
        while True:
            request, _ = _receive(own)
            batch = prepare_batch(request["paths"], request["shape"])
            _send(own, {place: str(why) for place, why in batch.refused.items()}, batch.pixels.reshape(-1).data)


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]])
