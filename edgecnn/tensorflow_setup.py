"""TensorFlow made ready for use: quiet, and with the threads it is given."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from edgecnn.errors import EdgecnnError

if TYPE_CHECKING:
    from collections.abc import Iterator


def configure_tensorflow(threads: int | None = None) -> None:
    """Silence TensorFlow's start-up lines and set its threads (None leaves them); call before its first use."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet(), _uncollected("tensorflow"):
        import tensorflow as tf
    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)


@contextmanager
def _uncollected(module: str) -> Iterator[None]:
    """Look for no garbage while the module is imported for the first time, nor ever among what is there then.

    TensorFlow's modules are a million objects that stay; to look through them again and again takes a second.
    """
    if module in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what native code prints to stdout and stderr; show it only when the block fails.

    TensorFlow's converters write dozens of lines past Python's own streams.
    """
    with tempfile.TemporaryFile() as held:
        saved = {fd: os.dup(fd) for fd in (1, 2)}
        try:
            for fd in saved:
                os.dup2(held.fileno(), fd)
            yield
        except EdgecnnError:
            raise
        except Exception as error:
            held.seek(0)
            error.add_note(held.read().decode(errors="replace")[-4000:])
            raise
        finally:
            for fd, copy in saved.items():
                os.dup2(copy, fd)
                os.close(copy)
