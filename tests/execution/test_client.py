"""A session in another process."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import InputError, MachineError
from edgecnn.execution import hosts
from edgecnn.execution.client import ModelWorker
from edgecnn.execution.process import Process


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.npy"
    np.save(path, np.random.default_rng(1).integers(0, 256, (70, 8, 8, 3), np.uint8))
    return path


def test_it_answers_as_the_runtime_does_in_this_process(tiny_onnx: Path, images: Path, tmp_path: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(tiny_onnx), providers=["CPUExecutionProvider"])
    expected = np.concatenate([session.run(None, {"image": part})[0] for part in np.split(np.load(images), [64])])
    answers = tmp_path / "answers.npy"
    with ModelWorker("onnxruntime", tiny_onnx, threads=1) as worker:
        assert worker.loaded["load_ms"] > 0
        assert worker.loaded["placement"]["compute_nodes"] == {"CPUExecutionProvider": 4}
        worker.ask("run", images=str(images), outputs=str(answers))
        assert worker.ask("memory")["peak_bytes"] > 10_000_000
    np.testing.assert_array_equal(np.load(answers), expected)


def test_it_shows_what_lies_inside(tiny_onnx: Path, images: Path, tmp_path: Path) -> None:
    answers = tmp_path / "predictions.npz"
    with ModelWorker("onnxruntime", tiny_onnx, threads=1, extra_outputs=["relu"]) as worker:
        worker.ask("observe", images=str(images), outputs=str(answers))
        with np.load(answers) as archive:
            assert [archive[name].shape for name in archive.files] == [(70, 3), (70, 4, 6, 6)]
        worker.load([])
        worker.ask("observe", images=str(images), outputs=str(answers))
        with np.load(answers) as archive:
            assert len(archive.files) == 1


def test_a_provider_that_is_not_there_is_this_machines_affair(tiny_onnx: Path) -> None:
    with pytest.raises(MachineError, match="has no CUDAExecutionProvider"):
        ModelWorker("onnxruntime", tiny_onnx, threads=1, provider="cuda")


def test_it_times_single_calls(tiny_onnx: Path, images: Path) -> None:
    with ModelWorker("onnxruntime", tiny_onnx, threads=1) as worker:
        samples = worker.ask("time", images=str(images), batch=1, skip=3, calls=20)["samples_ns"]
    assert len(samples) == 20
    assert all(0 < sample < 1e9 for sample in samples)


def test_a_damaged_file_is_bad_input(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x08\x08garbage")
    with pytest.raises(InputError, match=r"onnxruntime cannot load .*broken\.onnx"):
        ModelWorker("onnxruntime", broken, threads=1)


def test_a_worker_that_dies_says_so(tiny_onnx: Path) -> None:
    with ModelWorker("onnxruntime", tiny_onnx, threads=1) as worker:
        os.kill(worker._channel.process.pid, signal.SIGKILL)
        with pytest.raises(MachineError, match=r"died \(exit code -9\)"):
            worker.ask("memory")


NOISE = {  # what a program in the place of a Python does, and what is said of it
    "exec echo garbage": "is not a Python interpreter",
    "exit 0": "is not a Python interpreter",
    "exec yes": "is not a Python interpreter",
    "exec head -c 100000000000 /dev/zero": "is not a Python interpreter",
    "exec sleep 1000": "is not a Python interpreter",
    "echo edgecnn-python 3 1; exec sleep 1000": "is Python 3.1; a worker needs 3.11 or newer",
    "echo edgecnn-python 3 12; exec yes": "prints other text than a worker's answers",
    "echo edgecnn-python 3 12; exec head -c 100000000000 /dev/zero": "prints other text than a worker's answers",
    "echo edgecnn-python 3 12; while true; do echo '{no json'; done": "gives answers that cannot be read",
}


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
@pytest.mark.parametrize("script", NOISE)
def test_a_python_that_is_none_is_one_sentence(
    script: str, tiny_onnx: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "ASK_SECONDS", 2.0)
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with (
        pytest.raises(MachineError, match=NOISE[script]),
        hosts.host_of("", str(python)) as host,
        ModelWorker("onnxruntime", tiny_onnx, threads=1, host=host) as worker,
    ):
        worker.ask("memory")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < 300 << 10  # KiB


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
def test_a_python_with_a_banner_works(tiny_onnx: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\necho Welcome, 3 12\necho\nPYTHONPATH={_packages()}:$PYTHONPATH exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    with (
        hosts.host_of("", str(python)) as host,
        ModelWorker("onnxruntime", tiny_onnx, threads=1, host=host) as worker,
    ):
        assert worker.loaded["load_ms"] > 0


def _packages() -> str:
    """Where this Python's packages lie: a script is no virtual environment's own link."""
    return str(Path(np.__file__).parent.parent)


def test_no_process_is_left_behind(tiny_onnx: Path) -> None:
    with ModelWorker("onnxruntime", tiny_onnx, threads=1) as worker:
        process = worker._channel.process
    assert process.returncode == 0


def test_a_worker_that_cannot_start_leaves_no_file_open() -> None:
    gc.collect()  # what earlier tests left
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        with pytest.raises(FileNotFoundError):
            Process(["/nowhere/python"], "")
        gc.collect()
    assert [str(one.message) for one in seen] == []


def test_litert_names_what_lies_inside_rightly(golden_run: Path) -> None:
    from edgecnn.plugins import pick
    from edgecnn.runtimes.runtime import Runtime

    path = golden_run / "exports" / "tflite_float32.tflite"
    session = pick(Runtime, "litert").load(path, 1, "xnnpack", ("conv2d_1", "conv2d"))
    outputs = session.run(np.zeros((1, 32, 32, 3), np.uint8))
    assert {name: values.shape for name, values in outputs.items()} == {
        "logits": (1, 3), "conv2d_1": (1, 13, 13, 64), "conv2d": (1, 30, 30, 32),
    }  # fmt: skip
    assert next(iter(outputs)) == "logits"
