"""Images read by processes of their own: the same answers in the same order, and bounded work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecnn.errors import InputError, MachineError, UsageError
from edgecnn.inference.predictor import Predictor
from edgecnn.preprocessing.batches import prepared
from edgecnn.preprocessing.decode import Source
from edgecnn.preprocessing.reader_pool import AHEAD, Readers

SHAPE = (8, 8, 3)
RANDOM = np.random.default_rng(6)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="on Windows images are read by one process")


@pytest.fixture
def folder(tmp_path: Path) -> list[Path]:
    """Sixty images of several sizes, a few of which cannot be read."""
    paths = [tmp_path / f"{i:02}.png" for i in range(60)]
    for i, path in enumerate(paths):
        Image.fromarray(RANDOM.integers(0, 256, (5 + i, 40 - i // 2, 3), dtype=np.uint8)).save(path)
    paths[0].write_bytes(b"")
    paths[7].write_text("no image")
    paths[59].unlink()
    return paths


def wait_until_ready(readers: Readers) -> None:
    end = time.monotonic() + 30
    while not all(reader.is_ready for reader in readers._readers):
        readers._listen({}, SHAPE, wait=True)
        assert time.monotonic() < end


def flat(batches: Iterator[Any]) -> list[bytes | str]:
    """Every image's pixels, or why there are none."""
    found: list[bytes | str] = []
    for batch in batches:
        rows = iter(batch.pixels)
        found += [str(batch.refused[i]) if i in batch.refused else next(rows).tobytes() for i in range(len(batch))]
    return found


@pytest.mark.parametrize("processes", [2, 3, 5])
def test_they_read_what_this_process_would_in_the_same_order(folder: list[Path], processes: int) -> None:
    expected = flat(prepared(folder, SHAPE, 7))
    assert len(expected) == 60 and sum(isinstance(image, str) for image in expected) == 3
    with Readers(processes) as readers:
        assert flat(readers.prepared(folder, SHAPE, 7)) == expected  # while they start
        wait_until_ready(readers)
        assert flat(readers.prepared(folder, SHAPE, 7)) == expected
        assert flat(readers.prepared([], SHAPE, 7)) == []


def test_images_that_are_no_paths_keep_their_places(folder: list[Path]) -> None:
    mixed: list[Source] = [*folder[:9], RANDOM.integers(0, 256, (9, 9, 3), dtype=np.uint8), folder[8].read_bytes()]
    with Readers(2) as readers:
        wait_until_ready(readers)
        assert flat(readers.prepared(iter(mixed), SHAPE, 2)) == flat(prepared(mixed, SHAPE, 2))


def test_no_more_is_taken_than_can_be_held(folder: list[Path]) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield folder[1]

    with Readers(3) as readers:
        wait_until_ready(readers)
        batches = readers.prepared(endless(), SHAPE, 3)
        for given in range(1, 40):
            next(batches)
            assert taken <= (given + AHEAD * 3) * 3
        batches.close()
        assert flat(readers.prepared(folder[:9], SHAPE, 3)) == flat(prepared(folder[:9], SHAPE, 3)), "none is mixed up"


def test_the_predictor_uses_them(tiny_onnx: Path, folder: list[Path]) -> None:
    predictor = Predictor(tiny_onnx)
    good = [path for i, path in enumerate(folder) if i not in (0, 7, 59)]
    expected = [predictor.predict(path).scores.tobytes() for path in good]
    assert [answer.scores.tobytes() for answer in predictor.predict(good, processes=2)] == expected
    with Readers(2) as readers:
        wait_until_ready(readers)
        assert [answer.scores.tobytes() for answer in predictor.predict(good, processes=readers)] == expected
        answers = predictor.predict(folder, processes=readers)
        with pytest.raises(InputError, match=r"00\.png"):
            next(answers)
        assert next(answers).scores.tobytes() == expected[0]
    with pytest.raises(UsageError, match="1 process"):
        list(predictor.predict(good, processes=0))


def test_a_process_that_dies_is_a_sentence(folder: list[Path]) -> None:
    with Readers(3) as readers:
        wait_until_ready(readers)
        os.killpg(readers._processes[0].pid, signal.SIGKILL)
        with pytest.raises(MachineError, match="has died"):
            flat(readers.prepared(folder, SHAPE, 7))


def test_nothing_is_left_running(tiny_onnx: Path, folder: list[Path]) -> None:
    readers = Readers(3)
    wait_until_ready(readers)
    readers.close()
    assert all(process.returncode == 0 for process in readers._processes)
    before = threading.active_count()
    answers = Predictor(tiny_onnx).predict([folder[1]] * 2000, processes=2)
    next(answers)
    answers.close()
    assert threading.active_count() == before


def test_a_program_without_a_main_guard_may_use_them(tiny_onnx: Path, folder: list[Path], tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import edgecnn\np = edgecnn.Predictor({str(tiny_onnx)!r})\n"
        f"print(len(list(p.predict([{str(folder[1])!r}] * 900, processes=2))))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("900\n", "")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_they_end_when_their_program_is_killed(folder: list[Path]) -> None:
    code = (
        "import time\nfrom edgecnn.preprocessing.reader_pool import Readers\nr = Readers(3)\n"
        "print(r._processes[0].pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        leader = int(program.stdout.readline())
        time.sleep(0.5)
        program.kill()
    end = time.monotonic() + 10
    while Path(f"/proc/{leader}").exists() and "Z" not in Path(f"/proc/{leader}/stat").read_text().split(")")[1]:
        assert time.monotonic() < end, "a reader outlives its program"
        time.sleep(0.05)
