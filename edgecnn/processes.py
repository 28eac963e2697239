"""This process and those it starts: how they end, and where their temporary files lie.

Signals end a program as Ctrl-C does, and within seconds whatever it is at. Its children end with it, even when it is
killed. Temporary files lie in a folder of its own, which the next program removes where this one could not.

As a program of its own this file becomes another that ends with its parent. It imports the standard library only.
"""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from types import FrameType

SIGNALLED = 128  # to the exit code of a process that a signal ends, its number is added
GRACE_SECONDS = 1.5  # for a program to end by itself after a signal
LOOK_SECONDS = 0.5
PR_SET_PDEATHSIG = 1  # of Linux's prctl
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_received: list[int] = []  # signals that are to end this process, in order
_place: list[str] = []  # this process's folder, where it has one


def end_on_signals() -> None:
    """From now on SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt, and end the process where that does not.

    What is ignored, as SIGHUP below nohup, stays so. Call it from the main thread.
    """
    listening, telling = os.pipe()
    os.set_blocking(telling, False)
    signal.set_wakeup_fd(telling, warn_on_full_buffer=False)
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    told = os.dup(2)  # what stderr is now: libraries' own lines are kept from it at times
    threading.Thread(target=_end_anyway, args=(listening, told), daemon=True).start()


def _interrupt(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt


def _end_anyway(listening: int, told: int) -> None:
    """End the process some time after a signal: native code may keep it from its own handler."""
    number = 0
    while number not in ENDING:  # others, as that of a child's end, wake it too
        number = os.read(listening, 1)[0]
    time.sleep(GRACE_SECONDS)
    end_now(f"{ending(number)}.", SIGNALLED + number, told)


def end_now(words: str, code: int, told: int = 2) -> None:
    """Say why, and end the process from any thread, whatever the others are at."""
    with suppress(OSError):
        os.write(told, f"{words}\n".encode(errors="backslashreplace"))
    _remove_place()
    os._exit(code)


def received_signal() -> int | None:
    """The first signal that is to end this process, None where there was none."""
    return _received[0] if _received else None


def ending(number: int) -> str:
    """What ended a process, in words."""
    return "Interrupted" if number == signal.SIGINT else f"Ended by {signal.Signals(number).name}"


def end_with_parent() -> None:
    """From now on this process is killed when its parent ends, however that ends, within a second."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


def bound(command: Sequence[str]) -> list[str]:
    """The command of a program so that it ends with this process from its first moment on, as far as this system can
    do it."""
    if sys.platform != "linux":
        return list(command)
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


def spawn(command: Sequence[str], **settings: Any) -> subprocess.Popen[Any]:
    """Start one of our own programs in a group of its own: Ctrl-C is for its parent to take. It calls
    :func:`end_with_parent`, for where :func:`bound` does nothing.

    To Linux the parent is the thread that starts it, so one does that lasts as long as the process. Raises
    FileNotFoundError where there is no such program.
    """
    if not shutil.which(command[0]):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
    return _starter(os.getpid()).submit(lambda: subprocess.Popen(bound(command), process_group=0, **settings)).result()


@cache
def _starter(pid: int) -> ThreadPoolExecutor:
    """One thread, of this very process: a fork has none of its parent's."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(1)


def claim_temporary_place() -> None:
    """Give this process and its children a folder of their own for temporary files, and remove those that processes
    which were killed have left. Where that cannot be, they lie where they always do."""
    with suppress(ImportError, OSError):  # no locks here, or none of this file system's
        import fcntl

        root = Path(tempfile.gettempdir()) / f"edgecnn-{os.getuid()}"
        root.mkdir(mode=0o700, exist_ok=True)
        status = root.lstat()
        if status.st_uid != os.getuid() or status.st_mode & 0o077:  # somebody else's
            return
        with _locked(root, fcntl.LOCK_EX):
            for folder in root.iterdir():
                with suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
                    shutil.rmtree(folder, ignore_errors=True)
            place = tempfile.mkdtemp(prefix="", dir=root)
            fcntl.flock(os.open(place, os.O_RDONLY), fcntl.LOCK_EX)  # until the process ends
        _place.append(place)
        atexit.register(_remove_place)
        os.environ["TMPDIR"] = tempfile.tempdir = place


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    """Hold a folder's lock; raises OSError where another does and `how` says not to wait."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)


def _remove_place() -> None:
    for place in _place:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    end_with_parent()
    parent, *command = sys.argv[1:]
    try:
        if os.getppid() == int(parent):  # it might have ended before
            os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")
