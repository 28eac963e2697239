"""The process that converts: it may die, and it ends with the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgecnn.errors import InputError
from edgecnn.export.conversion_worker import Converter
from edgecnn.export.format import ExportOptions, Format
from edgecnn.files import TEMPORARY, sha256_of
from edgecnn.plugins import pick

if TYPE_CHECKING:
    from edgecnn.run_directory import Run

pytest.importorskip("tensorflow")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("number", "words"), [(signal.SIGSEGV, ""), (signal.SIGKILL, "; the machine's memory may")])
def test_after_a_death_the_next_format_is_converted(
    run: Run, tmp_path: Path, number: signal.Signals, words: str
) -> None:
    with Converter(run, ExportOptions()) as converter:
        assert converter._process is not None
        os.kill(converter._process.pid, number)
        with pytest.raises(InputError) as caught:
            converter.convert(pick(Format, "tflite_int8"), tmp_path / "int8.tflite")
        assert str(caught.value).startswith(f"the converter died (signal {number.name}) while converting{words}")
        artifact = converter.convert(pick(Format, "tflite_float32"), tmp_path / "float.tflite")
        assert artifact.sha256 == sha256_of(tmp_path / "float.tflite")
        assert artifact == next(
            type(known)(**{**vars(known), "seconds": artifact.seconds})
            for known in run.artifacts().artifacts
            if known.format == "tflite_float32"
        )
    assert not list(run.root.rglob(f"{TEMPORARY}*"))


def _is_alive(process: int) -> bool:
    """Whether a process of this machine runs; one that has ended may wait long to be buried."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
def test_it_ends_when_the_process_that_started_it_is_killed(run: Run) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from edgecnn.export.conversion_worker import Converter\n"
        "from edgecnn.export.format import ExportOptions\n"
        "from edgecnn.run_directory import Run\n"
        f"with Converter(Run(Path({str(run.root)!r})), ExportOptions()) as converter:\n"
        "    print(converter._process.pid, flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert _is_alive(worker)
    parent.kill()
    parent.communicate()
    while _is_alive(worker):
        time.sleep(0.01)
