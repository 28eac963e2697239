"""CPUs that QEMU emulates: what runs there, what is found there, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import filelock
import numpy as np
import pytest

from edgecnn import run_directory
from edgecnn.cli import _run as command
from edgecnn.errors import MachineError, UsageError
from edgecnn.execution import emulation
from edgecnn.execution.client import ModelWorker
from edgecnn.execution.emulation import CPUS, Cpu, not_ready, pick_cpu, qemu, statuses
from edgecnn.execution.hosts import Emulated
from edgecnn.execution.targets import Target
from edgecnn.parity.outputs import InferenceOptions, _outputs
from edgecnn.plugins import pick
from edgecnn.pretrained import find_run
from edgecnn.records import Artifact, Parity, TensorSpec, decode
from edgecnn.run_directory import Run
from edgecnn.runtimes.runtime import Runtime
from edgecnn.stages.compare import compare
from edgecnn.stages.parity import ParityOptions, is_current, parity
from edgecnn.stages.report import report

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

HASWELL = CPUS["haswell"]
INT8, FLOAT = "onnx_int8 on onnxruntime (cpu)", "onnx_float32 on onnxruntime (cpu)"
OPTIONS = ParityOptions(formats=("onnx_float32", "onnx_int8", "tflite_int8"), tolerances={"": 8.0}, cpus=("haswell",))
# uint8 pixels times int8 weights: 255 * 127 + 255 * 127 is more than the 16 bits that kernels without VNNI add in.
OVERFLOWING = """
<ir_version: 8, opset_import: ["" : 17]>
g (uint8[N, 8, 8, 3] image) => (float[N, 3] logits)
<uint8 input_zero = {0}, float input_scale = {1}, int8 weight_zero = {0}, float weight_scale = {0.01}>
{
    pixels = DequantizeLinear (image, input_scale, input_zero)
    flat = Flatten (pixels)
    values = QuantizeLinear (flat, input_scale, input_zero)
    features = DequantizeLinear (values, input_scale, input_zero)
    weights = DequantizeLinear (kernel, weight_scale, weight_zero)
    sums = MatMul (features, weights)
    quantized = QuantizeLinear (sums, sums_scale, sums_zero)
    logits = DequantizeLinear (quantized, sums_scale, sums_zero)
}
"""


def _needs(name: str) -> pytest.MarkDecorator:
    reason = not_ready(CPUS[name])
    return pytest.mark.skipif(bool(reason), reason=f"{name} cannot be emulated here: {reason}")


def _answers(
    model: Path, pixels: np.ndarray, cpu: Cpu | None, folder: Path, runtime: str = "onnxruntime"
) -> np.ndarray:
    """What a worker answers, on an emulated CPU or here."""
    images, answers = folder / "images.npy", folder / f"{cpu.name if cpu else 'here'}.npy"
    np.save(images, pixels)
    host = Emulated(cpu) if cpu else None
    try:
        with ModelWorker(runtime, model, threads=1, provider="cpu", host=host) as worker:
            worker.run(images, answers)
    finally:
        if host:
            host.close()
    return np.load(answers)


@pytest.mark.parametrize("name", CPUS)
def test_a_cpu_answers_as_this_machine_does(name: str, tiny_onnx: Path, tmp_path: Path) -> None:
    if reason := not_ready(CPUS[name]):
        pytest.skip(f"{name} cannot be emulated here: {reason}")
    pixels = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 3), np.uint8)
    here, there = (_answers(tiny_onnx, pixels, cpu, tmp_path) for cpu in (None, CPUS[name]))
    np.testing.assert_allclose(there, here, atol=1e-4)


@pytest.mark.parametrize("name", CPUS)
def test_the_worker_really_runs_on_that_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own instructions say so: NumPy detects what the CPU has."""
    if reason := not_ready(CPUS[name]):
        pytest.skip(f"{name} cannot be emulated here: {reason}")
    code = (
        "import json, platform; from numpy._core._multiarray_umath import __cpu_features__ as f; "
        "print(json.dumps([platform.machine(), *(k for k in f if f[k])]))"
    )
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")  # as set for this machine; on others it must not be obeyed
    host = Emulated(CPUS[name])
    try:
        path = os.pathsep.join([host._search_path, os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [*host.command, "-c", code],
            env={name: value for name, value in os.environ.items() if name not in host.without} | {"PYTHONPATH": path},
            capture_output=True,
            text=True,
        )
    finally:
        host.close()
    assert done.stderr == "", "QEMU warns of nothing"
    machine, *features = json.loads(done.stdout)
    assert machine == CPUS[name].architecture
    has = {"x86-64": "SSE42", "haswell": "AVX2", "cortex-a53": "NEON", "cortex-a76": "ASIMDDP"}[name]
    lacks = {"x86-64": "AVX2", "haswell": "AVX512F", "cortex-a53": "ASIMDDP", "cortex-a76": "SVE"}[name]
    assert has in features and lacks not in features


@pytest.fixture
def overflowing(tmp_path: Path) -> Path:
    """A file that is right on the CPU of its maker, wrong on another."""
    onnx = pytest.importorskip("onnx")
    model = onnx.parser.parse_model(OVERFLOWING)
    kernel = np.full((192, 3), 127, np.int8) * np.array([1, 1, -1], np.int8)
    for name, values in (("kernel", kernel), ("sums_scale", np.float32(2000)), ("sums_zero", np.int8(0))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values), name))
    path = tmp_path / "overflows.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@_needs("haswell")
def test_sums_that_overflow_without_vnni_are_seen(overflowing: Path, tmp_path: Path) -> None:
    import onnxruntime

    path = overflowing
    pixels = np.full((2, 8, 8, 3), 255, np.uint8)
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    exact = session.run(None, {"image": pixels})[0]
    there = _answers(path, pixels, HASWELL, tmp_path)
    assert np.abs(exact - there).max() > 0.1 * np.abs(exact).max()


@_needs("haswell")
def test_default_kernels_are_compared_with_exact_ones(overflowing: Path, tmp_path: Path) -> None:
    """As parity does natively: on a CPU without VNNI each image's outputs differ, and none where nothing overflows."""
    images = tmp_path / "images.npy"
    np.save(images, np.full((2, 8, 8, 3), 255, np.uint8))
    host = Emulated(HASWELL)
    spec = TensorSpec(name="image", dtype="uint8", shape=(None, 8, 8, 3))
    artifact = Artifact(
        format="onnx_int8", path="", size_bytes=1, sha256="", input=spec, output=spec, content_sha256=""
    )
    target = Target(artifact, pick(Runtime, "onnxruntime"), "cpu", overflowing, cpu="haswell")
    options = InferenceOptions(hosts={"haswell": host})
    try:
        assert _outputs(target, images, 64, options, compare_exact=True).cpu_dependent_images == 2
        np.save(images, np.zeros((2, 8, 8, 3), np.uint8))
        assert _outputs(target, images, 64, options, compare_exact=True).cpu_dependent_images == 0
    finally:
        host.close()


@pytest.fixture(scope="module")
def asked(golden_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose exports were asked natively and on an emulated Haswell."""
    if reason := not_ready(HASWELL):
        pytest.skip(f"haswell cannot be emulated here: {reason}")
    run = Run(shutil.copytree(golden_run, tmp_path_factory.mktemp("emulated") / "run"))
    parity(run, replace(OPTIONS, max_images=40))
    return run


def test_emulated_rows_stand_beside_the_native_ones(asked: Run) -> None:
    record = asked.load(run_directory.PARITY, Parity, "parity")
    rows = {row.name: row for row in record.rows}
    assert len(rows) == 6 and {row.cpu for row in record.rows} == {"", "haswell"}
    for row in record.rows:
        if not row.cpu:
            assert (row.emulator, row.native) == ("", None)
            continue
        assert row.emulator.startswith("qemu-x86_64 ") and row.emulator[-1].isdigit()
        native = rows[row.name.removesuffix(", haswell")]
        assert (row.images, native.images) == (40, record.images)
        assert row.extrapolated_from == native.name, "chained through the same runtime's native row"
        assert row.native is not None and row.native.images == 40
        assert (native.name in row.bit_equal_to) == (row.native.max_difference == 0)
        assert (row.native.words == "equal to the bit with native on 40 images") == (native.name in row.bit_equal_to)
    assert rows[f"{FLOAT}, haswell"].verdict == "pass", "a float file is judged by its margins, not by 40 images"
    with np.load(asked.path(run_directory.PREDICTIONS)) as archive:
        answers = dict(zip(archive["names"].tolist(), archive["predictions"], strict=True))
        assert int((answers[f"{INT8}, haswell"] >= 0).sum()) == 40
    assert np.array(record.agreement_matrix).shape == (7, 7)


def test_the_record_knows_which_cpus_it_is_about(asked: Run) -> None:
    assert is_current(asked, replace(OPTIONS, max_images=40))
    assert not is_current(asked, replace(OPTIONS, max_images=40, cpus=()))


def test_the_report_shows_the_other_cpus(asked: Run) -> None:
    page = report(asked).read_text()
    markdown = asked.path("report.md").read_text()
    row = next(
        row for row in asked.load(run_directory.PARITY, Parity, "parity").rows if row.name == f"{FLOAT}, haswell"
    )
    assert row.native is not None
    for text in (page, markdown):
        assert "Other CPUs" in text and row.emulator in text and row.native.words in text
    assert "edgecnn parity RUN" in page and "--cpu haswell" in page, "how to make it again"


def test_runs_are_compared_by_cpu(asked: Run, tmp_path: Path) -> None:
    new = Run(shutil.copytree(asked.root, tmp_path / "new"))
    same = compare(asked, new)
    assert {row.name for row in same.rows} >= {f"{INT8}, haswell", INT8} and not same.regressions
    record = new.load(run_directory.PARITY, Parity, "parity")
    native = tuple(row for row in record.rows if not row.cpu)
    new.save(run_directory.PARITY, replace(record, rows=native))
    assert {one.name for one in compare(asked, new).regressions} == {
        row.name for row in record.rows if row.cpu and row.verdict == "pass"
    }
    inputs = {name: value for name, value in record.origin.inputs.items() if name != "cpus"}
    new.save(run_directory.PARITY, replace(record, rows=native, origin=replace(record.origin, inputs=inputs)))
    assert compare(asked, new).regressions == (), "what nobody asked is no loss"


@_needs("haswell")
def test_a_worker_that_crashes_is_a_row_s_skip(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A QEMU whose program dies by a signal, as it does where an emulator is at fault."""
    crashing = tmp_path / f"qemu-{HASWELL.architecture}-static"
    crashing.write_text(f'#!/bin/sh\n[ "$1" = --version ] && exec {qemu(HASWELL)} --version\nkill -SEGV $$\n')
    crashing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    asked = ["parity", str(run.root), "--format", "onnx_int8", "--tolerance", "8", "--cpu", "haswell"]
    assert command(asked) == 1
    told = capsys.readouterr()
    assert f"{INT8}, haswell: skipped, The worker for onnxruntime with onnx_int8.onnx died (exit code -11)" in told.out
    assert "Parity is not proven" in told.err and "Traceback" not in told.err
    assert not list(tmp_path.rglob("*.core"))


@_needs("haswell")
def test_a_published_run_is_asked_on_other_cpus(
    golden_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgecnn import pretrained
    from edgecnn.records import Artifacts
    from edgecnn.stages.golden_check import make

    small = Run(shutil.copytree(golden_run, tmp_path / "small"))
    kept = small.load(run_directory.ARTIFACTS, Artifacts, "export")
    chosen = tuple(artifact for artifact in kept.artifacts if artifact.format in ("onnx_float32", "tflite_int8"))
    small.save(run_directory.ARTIFACTS, replace(kept, artifacts=chosen))
    make(small)
    monkeypatch.setattr(pretrained, "PLACES", (tmp_path,))
    monkeypatch.setattr(pretrained, "NAMES", ("small",))
    monkeypatch.chdir(tmp_path.parent)
    assert command(["parity", "small", "--cpu", "haswell", "--json"]) == 0
    rows = {row.name: row for row in decode(capsys.readouterr().out.encode(), Parity, "what parity prints").rows}
    row = rows["tflite_int8 on litert (xnnpack), haswell"]
    assert row.cpu == "haswell" and row.native and row.native.images == 64 and row.emulator.startswith("qemu-x86_64 ")
    emulated_float = rows[f"{FLOAT}, haswell"].native
    assert emulated_float and emulated_float.images == 50
    assert rows[FLOAT].native is None


def test_what_cannot_be_emulated_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="did you mean haswell"):
        pick_cpu("hasswell")
    with pytest.raises(UsageError, match="No CPU is called 'max'"):
        pick_cpu("max")
    asked = ["parity", "cifar10-cnn", "--cpu", "haswell"]
    assert command([*asked, "--python", sys.executable]) == command([*asked, "--remote", "ssh://pi"]) == 2
    assert "leave out --remote and --python" in capsys.readouterr().err
    assert command(["bench", "cifar10-cnn", "--cpu", "haswell"]) == 2
    assert "the speed of QEMU says nothing" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert command(["cpu", "list"]) == 0
    assert "not ready" in capsys.readouterr().out
    for cpu in CPUS.values():
        assert not_ready(cpu)
        with pytest.raises(MachineError, match=f"{cpu.name} cannot be emulated here: "):
            Emulated(cpu)


def test_each_reason_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulation.platform, "system", lambda: "Linux")
    monkeypatch.setattr(emulation.platform, "machine", lambda: "aarch64")
    assert not_ready(HASWELL) == "it runs this very Python, which is a program for aarch64"
    monkeypatch.setattr(emulation.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "install the Debian package qemu-user-static" in not_ready(HASWELL)
    for name in ("qemu-x86_64", "qemu-aarch64"):  # as distributions without -static call it
        (tmp_path / name).symlink_to("/bin/true")
    assert not_ready(HASWELL) == ""
    assert "run `edgecnn cpu install arm64` once" in not_ready(CPUS["cortex-a76"])
    there = tmp_path / "edgecnn" / "cpu" / "arm64" / emulation.VERSIONS
    there.parent.mkdir(parents=True)
    there.write_text(json.dumps({**emulation.wanted_versions(), "numpy": "1.0"}))
    assert "numpy 1.0 there, " in not_ready(CPUS["cortex-a76"])
    there.write_text(json.dumps(emulation.wanted_versions()))
    assert not_ready(CPUS["cortex-a76"]) == ""
    monkeypatch.setattr(emulation.platform, "system", lambda: "Darwin")
    assert all("this is Darwin" in status.reason and not status.ready for status in statuses())


def test_an_installation_that_cannot_be_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(emulation.platform, "machine", lambda: "x86_64")
    tools = tmp_path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    assert command(["cpu", "install", "arm64"]) == 3
    assert "this system has no apt-get; the x86 CPUs need nothing but QEMU" in capsys.readouterr().err
    assert command(["cpu", "install", "armhf"]) == 2
    for name in ("apt-get", "dpkg-deb", "qemu-aarch64"):
        (tools / name).write_text("#!/bin/sh\necho 'E: the archive is not reached' >&2\nexit 100\n")
        (tools / name).chmod(0o755)
    capsys.readouterr()
    assert command(["cpu", "install", "arm64"]) == 3
    assert "apt-get update failed: E: the archive is not reached." in capsys.readouterr().err
    folder = emulation.cache_folder()
    assert folder == tmp_path / "cache" / "edgecnn" / "cpu"
    assert {path.name for path in folder.iterdir()} <= {".lock", "downloads"}
    with filelock.FileLock(folder / ".lock"):
        assert command(["cpu", "install", "arm64"]) == 3
    assert "Another edgecnn is installing" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["cifar10-cnn", "cifar10-resnet8"])
def test_pretrained_runs_answer_as_published_on_other_cpus(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    ready = [cpu for cpu in ("haswell", "cortex-a76") if not not_ready(CPUS[cpu])]
    if "haswell" not in ready:
        pytest.skip(f"haswell cannot be emulated here: {not_ready(HASWELL)}")
    formats = [artifact.format for artifact in Run(find_run(name)).artifacts().artifacts]
    formats.remove("saved_model")  # no CPU is emulated for TensorFlow; test_pretrained.py asks it here, and the model
    chosen = [("--cpu", cpu) for cpu in ready] + [("--format", format) for format in formats]
    code = command(["parity", name, *(word for pair in chosen for word in pair)])
    assert code == 0, capsys.readouterr().err
