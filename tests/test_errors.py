"""Exit codes and sentences."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from edgecnn import errors
from edgecnn.cli import _run as command
from edgecnn.errors import InputError
from edgecnn.pretrained import pretrained_runs
from edgecnn.records import Contract, decode
from edgecnn.run_directory import Run
from edgecnn.stages.report import report


def test_exit_codes_are_the_documented_ones() -> None:
    codes = {
        errors.GateFailed: 1, errors.UsageError: 2, errors.MachineError: 3, errors.DataUnavailable: 3,
        errors.InputError: 4, errors.UnsupportedSchema: 4, errors.NoSuchData: 4,
    }  # fmt: skip
    assert {kind: kind.exit_code for kind in codes} == codes


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    known = ["tflite_int8", "tflite_float32", "onnx_float32"]
    assert "did you mean tflite_int8" in str(errors.unknown_name("format", "tflite_int", known))
    assert "there are onnx_float32" in str(errors.unknown_name("format", "zzz", known))
    assert "there is only tflite-micro." in str(errors.unknown_name("bundle", "arduino", ["tflite-micro"]))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("CUDAExecutionProvider", ["cuda"]),
        ("CUDA", ["cuda"]),
        ("Tensor", ["TensorRT"]),
        ("cdua", ["cuda"]),
        ("mobilenet", []),
        ("", []),
    ],
)
def test_the_nearest_names(name: str, near: list[str]) -> None:
    assert errors.nearest(name, ["cpu", "cuda", "TensorRT", "resnet8"]) == near


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EACCES, "not writable"), (errno.EROFS, "not writable")]
)
def test_os_errors_become_sentences(number: int, words: str) -> None:
    error = errors.from_os_error(OSError(number, "text", "/some/where"))
    assert error is not None
    assert error.exit_code == 3
    assert words in str(error)
    assert "/some/where" in str(error)


def test_other_os_errors_stay_what_they_are() -> None:
    assert errors.from_os_error(OSError(errno.EPIPE, "text")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="how many files are open differs from system to system")
@pytest.mark.parametrize("words", [["predict", "tiny.onnx", "red.png"], ["inspect", "tiny.onnx"]])
def test_too_many_open_files_are_told_with_their_limit(words: list[str], tiny_onnx: Path) -> None:
    import resource

    Image.new("RGB", (8, 8), "red").save(tiny_onnx.parent / "red.png")
    env = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # which wants files, too
    refused = 0
    for limit in range(6, 64):
        done = subprocess.run(
            [sys.executable, "-m", "edgecnn", *words], cwd=tiny_onnx.parent, capture_output=True, text=True, env=env,
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),  # type: ignore[misc]
        )  # fmt: skip
        if done.returncode == 0:
            break
        refused += 1
        assert done.returncode == 3, done.stderr
        assert done.stderr.splitlines()[-1] == (
            f"Error: Too many files are open for this process's limit of {limit}; raise it (`ulimit -n`) and run the "
            "same command again."
        )
    assert done.returncode == 0 and refused


MLIR = """Could not translate MLIR.<unknown>:0: error: loc(fused["Igamma:", "x"]): 'tf.Igamma' op is neither
<unknown>:0: error: failed while converting: 'main':
Some ops in the model are custom ops, See instructions to implement custom ops: https://www.tensorflow.org/lite
Custom ops: Igamma
Details:
"""
GRAPH = """Graph execution error:

Detected at node model/lstm/while defined at (most recent call last):
<stack traces unavailable>
Retval[31] has already been set.
\t [[{{node model/lstm/while}}]] [Op:__inference_pruned_1842]"""


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StopIteration(), "StopIteration without a message"),
        (KeyError(""), "KeyError without a message"),
        (KeyError("gru/while/add"), "KeyError: 'gru/while/add'"),
        (UnicodeDecodeError("utf-8", b"\x82", 0, 1, "invalid start byte"), "UnicodeDecodeError: 'utf-8' codec can't "),
        (ValueError(" \n"), "ValueError without a message"),
        (ValueError("one. \ntwo"), "one"),
        (ValueError("only this:"), "only this"),
        (
            ValueError("W0000 00:00:1795655322.172591    9519 op_kernel.cc:1858] a kernel is missing"),
            "a kernel is miss",
        ),
        (
            RuntimeError(
                "/onnxruntime_src/onnxruntime/python/onnxruntime_pybind_state.cc:729 void "
                "onnxruntime::python::RegisterTensorRTPluginsAsCustomOps(PySessionOptions&, const "
                "onnxruntime::ProviderOptions&) Please install TensorRT libraries as mentioned."
            ),
            "Please install TensorRT libraries as mentioned",
        ),
        (ValueError("2026-11-26 01:02:03.456789: E tensorflow/core/a.cc:12] a kernel is missing"), "a kernel is miss"),
        (ValueError("\x1b[1mbold\x1b[0m and \x07"), "bold and \x07"),
        (RuntimeError(MLIR), "TFLite has no operator for Igamma"),
        (RuntimeError(MLIR.splitlines()[0]), "'tf.Igamma' op is neither"),
        (RuntimeError(GRAPH), "Retval[31] has already been set"),
    ],
)
def test_the_reason_is_the_line_that_says_what_is_wrong(error: Exception, reason: str) -> None:
    assert errors.reason_of(error).startswith(reason)


def test_a_reason_is_never_longer_than_a_few_lines() -> None:
    assert len(errors.reason_of(ValueError("x" * 10_000))) < 310


def test_keras_gives_its_reason_below_its_announcement() -> None:
    pytest.importorskip("tensorflow")
    import keras

    class Wrong(keras.layers.Layer):
        def call(self, x: object) -> object:
            return keras.ops.matmul(x, keras.ops.zeros((7, 2)))

    with pytest.raises(ValueError, match="Exception encountered when calling") as inferred:
        Wrong()(keras.Input((4,)))
    assert errors.reason_of(inferred.value).startswith("Dimensions must be equal, but are 4 and 7")
    with pytest.raises(Exception, match=r"calling Wrong\.call") as called:
        Wrong()(keras.ops.zeros((2, 4)))
    assert errors.reason_of(called.value) == "Matrix size-incompatible: In[0]: [2,4], In[1]: [7,2]"


@pytest.mark.parametrize(("text", "words"), [('ssh "', "No closing quotation"), ("", "is empty"), ("  ", "is empty")])
def test_an_ssh_command_that_is_none(
    text: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGECNN_SSH", text)
    assert command(["bench", "cifar10-cnn", "--remote", "ssh://user@host", "--format", "onnx_int8"]) == 2
    assert words in capsys.readouterr().err


def test_json_that_is_nested_too_deep_is_one_sentence() -> None:
    for text in (b'{"schema": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", b'{"a":' * 100_000 + b"1" + b"}" * 100_000):
        with pytest.raises(InputError, match=r"nested too deep|cannot be read"):
            decode(text, Contract, "contract.json")


def test_a_report_of_numbers_that_nothing_measures_is_refused(tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(pretrained_runs()["cifar10-cnn"], tmp_path / "run")))
    content = json.loads(run.path("latency.json").read_bytes())
    page = run.path("report.html").read_bytes()
    for number in (-1.0, 0.0, 1e308):
        content["rows"][1]["p50_ms"] = number
        run.path("latency.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match=r"cannot be read \(a latency that no clock gives - at .*rows\[1\]"):
            report(run)
    assert run.path("report.html").read_bytes() == page
