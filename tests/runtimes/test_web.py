"""ONNX Runtime Web in Chromium as a runtime: the outputs of ONNX Runtime in Python, and times of loops in the page."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.data.samples import synthetic_images
from edgecnn.errors import InputError, MachineError
from edgecnn.execution.client import ModelWorker
from edgecnn.pretrained import pretrained_runs
from edgecnn.run_directory import Run
from edgecnn.runtimes import onnxruntime
from edgecnn.runtimes.chromium import VARIABLE, find_chromium
from edgecnn.runtimes.web import PLUGIN, WebSession, load
from edgecnn.stages import doctor
from edgecnn.stages.bench import BenchOptions, bench
from edgecnn.stages.parity import ParityOptions, parity
from tests.web_tools import require_browser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgecnn.arrays import Pixels

RUN = Run(pretrained_runs()["cifar10-cnn"])
TOLERANCE = {"onnx_float32": 1e-4, "onnx_int8": 0.0}


@pytest.fixture(autouse=True)
def _browser() -> None:
    require_browser()


@pytest.fixture(scope="module")
def images() -> Pixels:
    return synthetic_images(40, RUN.contract())


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run that may be written to."""
    yield Run(Path(shutil.copytree(RUN.root, tmp_path / "run")))


@pytest.mark.parametrize("format", TOLERANCE)
def test_outputs_and_layers_are_python_s(format: str, images: Pixels) -> None:
    path = RUN.path(f"exports/{format}.onnx")
    export = next(one for one in RUN.artifacts().artifacts if one.format == format)
    tensors = tuple(place.tensor for place in export.layers.values() if place.tensor != "logits")
    expected = onnxruntime.load(path, 1, "cpu", tensors, exact_int8=True).run(images)
    session = WebSession(path, 1, "wasm", tensors)
    found = session.run(images)
    session.close()
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], values, rtol=0, atol=TOLERANCE[format], err_msg=name)
    assert session.placement.device.startswith("Chromium ") and "onnxruntime-web 1." in session.placement.device
    assert set(session.placement.compute_nodes) == {"wasm"}


def test_loops_are_timed_in_the_page(images: Pixels) -> None:
    session = WebSession(RUN.path("exports/onnx_float32.onnx"), 1, "wasm", ())
    samples = session.time([images[:1], images[1:2]], 2, 7, 1)
    session.close()
    assert len(samples) == 7 and all(isinstance(sample, int) and sample > 0 for sample in samples)


def test_a_worker_s_memory_includes_the_browser_s() -> None:
    with ModelWorker("web", RUN.path("exports/onnx_float32.onnx"), threads=1, provider="wasm") as worker:
        browser = worker.ask("memory")["peak_bytes"]
    with ModelWorker("onnxruntime", RUN.path("exports/onnx_float32.onnx"), threads=1) as worker:
        assert browser > 3 * worker.ask("memory")["peak_bytes"]


@pytest.mark.slow
def test_parity_judges_the_browser_and_skips_what_it_lacks(every_format_run: Path, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(every_format_run, tmp_path / "run")))
    record = parity(run, ParityOptions(formats=("onnx_float32", "onnx_int8"), runtimes=("web",)))
    rows = {(row.format, row.provider): row for row in record.rows}
    for format in TOLERANCE:
        assert rows[format, "wasm"].verdict != "fail"
    if ("onnx_float32", "webgpu") not in rows:
        assert "WebGPU " in record.skipped["onnx_float32 on web (webgpu)"]


def test_bench_has_rows_of_the_browser(run: Run) -> None:
    options = BenchOptions(formats=("onnx_float32",), runtimes=("web", "onnxruntime"), providers=("cpu", "wasm"),
                           threads=(1,), time_budget=8)  # fmt: skip
    record = bench(run, options)
    rows = {row.runtime: row for row in record.rows}
    assert rows["web"].placement.device.startswith("Chromium ")
    assert rows["web"].busy_cores == 0
    assert 0 < rows["web"].p50_ms < rows["web"].load_ms


def test_what_is_missing_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = RUN.path("exports/onnx_float32.onnx")
    (tmp_path / "broken.onnx").write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"^Chromium [\d.]+: "):
        load(tmp_path / "broken.onnx", 1, "wasm", ())
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(MachineError, match=rf"none, which {VARIABLE} names, is no program; install Debian's package"):
        find_chromium()
    (tmp_path / "none").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "none").chmod(0o755)
    with pytest.raises(MachineError, match="none does not start: "):
        load(path, 1, "wasm", ())
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="Chromium is not installed; install Debian's package chromium, or name a"):
        find_chromium()


def _chromiums() -> set[str]:
    """Processes of headless browsers, by number."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if b"--headless" in words:
            found.add(place.name)
    return found


@pytest.mark.skipif(not Path("/proc/self/cmdline").is_file(), reason="looks for processes in /proc")
def test_a_browser_ends_with_its_worker_however_that_ends() -> None:
    before = _chromiums()
    with ModelWorker("web", RUN.path("exports/onnx_float32.onnx"), threads=1, provider="wasm") as worker:
        assert len(_chromiums() - before) > 1
        own = _children(os.getpid()) - before
        for process in own:
            if b"edgecnn.execution.server" in Path(f"/proc/{process}/cmdline").read_bytes():
                os.kill(int(process), signal.SIGKILL)
        with pytest.raises(MachineError, match="died"):
            worker.ask("facts")
    deadline = time.monotonic() + 30
    while (left := _chromiums() - before) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == set()


def _children(process: int) -> set[str]:
    """The processes that any of its threads has started."""
    return {
        one for place in Path(f"/proc/{process}/task").iterdir() for one in (place / "children").read_text().split()
    }


def test_doctor_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    check = doctor._try(PLUGIN, "wasm", {"onnx": RUN.path("exports/onnx_float32.onnx")}, tmp_path)
    assert check.state == "missing" and "is fetched when it is first used" in check.detail
    assert not (tmp_path / "none").exists()
