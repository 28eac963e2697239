"""The reader of CIFAR-10's pickles: what it reads, and what it refuses without touching memory that is not its own."""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.data.pickled_batches import unpickled
from edgecnn.errors import InputError
from tests.fuzz.opcodes import tried

if TYPE_CHECKING:
    from pathlib import Path

PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 6)
RECORD = {b"data": PIXELS, b"labels": [3, 300, 70_000], b"batch_label": b"one", b"filenames": [b"a.png", b"b.png"]}
# As Python 2 writes the same, by protocol 2.
OLD = (
    b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05"
    b"(K\x01K\x02K\x06\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK"
    b"\x00tb\x89U\x0c\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0btbU\x06labelsq\x08]q\t(K\x03K\x04eu."
)
# An array of void, of whose type a later state says that it holds objects: freeing it follows its bytes as addresses.
HOSTILE = (
    b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    b"(K\x01K\x02\x85cnumpy\ndtype\nq\x06U\x02V8K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNK\x08K\x01K\x00tb\x89"
    b"U\x10AAAAAAAAAAAAAAAAtb"
    b"U\x01xh\x07(K\x03U\x01|NU\x01a\x85}U\x01ah\x06U\x02O8K\x00K\x01\x87RK\x00\x86sK\x08K\x01K\x3ftbu."
)


@pytest.mark.parametrize("protocol", [3, 4])
def test_a_batch_is_read_as_python_reads_it(protocol: int) -> None:
    found = unpickled(pickle.dumps(RECORD, protocol=protocol))
    assert isinstance(found, dict)
    np.testing.assert_array_equal(found.pop(b"data"), PIXELS)
    assert found == {key: value for key, value in RECORD.items() if key != b"data"}


def test_a_batch_of_python_2_too() -> None:
    found = unpickled(OLD)
    assert isinstance(found, dict)
    assert found[b"labels"] == [3, 4]
    np.testing.assert_array_equal(found[b"data"], PIXELS)


def test_bytes_are_never_followed_as_addresses() -> None:
    """In a process of its own: with Python's unpickler it ends by a signal when the array is freed."""
    code = f"from edgecnn.data.pickled_batches import unpickled; unpickled({HOSTILE!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "an array of another type than uint8" in done.stderr


@pytest.mark.parametrize(
    "value",
    [np.zeros(3), np.array([None]), np.zeros(2, "u2"), np.zeros(2, [("a", "u1")]), {1, 2}, 1.5, complex(1, 2), print],
    ids=str,
)
def test_what_a_batch_does_not_need_is_refused(value: object) -> None:
    with pytest.raises((InputError, TypeError, ValueError)):
        unpickled(pickle.dumps({b"data": value}, protocol=4))


def test_numbers_for_the_memo_take_no_memory(tmp_path: Path) -> None:
    """Nine bytes with which Python's unpickler takes two gigabytes; here under an address space of one."""
    code = (
        "import resource; from edgecnn.data.pickled_batches import unpickled; import numpy\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "print(unpickled(b'\\x80\\x02Nr\\x00\\x00\\x00\\x08.'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "None\n"), done.stderr


@pytest.mark.parametrize("seed", range(20))
def test_damage_is_an_error_and_nothing_else(seed: int) -> None:
    random, content = np.random.default_rng(seed), bytearray(pickle.dumps(RECORD, protocol=3))
    for _ in range(40):
        damaged = content.copy()
        for _ in range(int(random.integers(1, 4))):
            damaged[int(random.integers(len(damaged)))] = int(random.integers(256))
        with suppress(InputError, ValueError, LookupError, TypeError, AttributeError, OverflowError, StopIteration):
            unpickled(bytes(damaged))


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n)R"
UINT8 = b"cnumpy\ndtype\nU\x02u1\x85R"
STATE = b"(K\x01K\x02K\x01\x86" + UINT8 + b"\x89U\x02abtb"  # version, shape (2, 1), type, in rows, two bytes


def test_items_one_by_one_and_an_array_by_hand() -> None:
    assert unpickled(b"\x80\x02]K\x01aNa.") == [1, None]
    assert unpickled(b"\x80\x02}U\x01aK\x01sU\x01b]s.") == {b"a": 1, b"b": []}
    found = unpickled(b"\x80\x02}U\x01a" + ARRAY + STATE + b"s.")
    assert isinstance(found, dict)
    np.testing.assert_array_equal(found[b"a"], np.array([[97], [98]], np.uint8))


@pytest.mark.parametrize(
    ("stream", "kind", "words"),
    [
        (b"K\x01K\x02a.", TypeError, "items for neither a list nor a dictionary"),
        (b"K\x01)R.", TypeError, "a call of no function"),
        (b"cnumpy\nndarray\n)R.", InputError, "or calls ndarray"),
        (b"cos\nsystem\n.", InputError, r"needs os\.system: a pickle that could run code"),
        (b"G\0\0\0\0\0\0\0\0.", InputError, "uses BINFLOAT: a pickle that could run code"),
        (b"]" + STATE + b".", TypeError, "a state of no array of bytes"),
        (ARRAY + STATE.replace(UINT8, b"N") + b".", TypeError, "a state of no array of bytes"),
        (ARRAY + STATE.replace(b"\x89", b"\x88") + b".", TypeError, "a state of no array of bytes"),
        (ARRAY + STATE.replace(b"U\x02ab", b"]") + b".", TypeError, "a state of no array of bytes"),
        (ARRAY + STATE.replace(b"K\x02K", b"K\x03K") + b".", ValueError, "shape and bytes differ"),
        (ARRAY + STATE.replace(b"K\x02K\x01\x86", b"K\x01K\x02K\x01\x87") + b".", ValueError, "shape and bytes differ"),
        (ARRAY + STATE.replace(b"K\x02K\x01\x86", b"J\xfe\xff\xff\xffJ\xff\xff\xff\xff\x86") + b".", ValueError,
         "shape and bytes differ"),
    ],
)  # fmt: skip
def test_each_thing_that_a_batch_cannot_hold_is_told(stream: bytes, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        unpickled(b"\x80\x02" + stream)


STREAMS = 3_000  # `tools/fuzz --streams N` tries more


def test_random_streams_of_opcodes_are_refused_or_read() -> None:
    assert tried(STREAMS) == STREAMS
