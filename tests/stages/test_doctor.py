"""`edgecnn doctor` as a program: what it says of this machine, and of one where something is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from edgecnn.data.dataset import Dataset
from edgecnn.plugins import discover
from edgecnn.runtimes.runtime import Runtime
from edgecnn.stages.doctor import diagnose
from tests import schemas

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Check

HIDING = "import sys; sys.modules.update(dict.fromkeys(('tensorflow', 'keras')))"  # as if they were not installed
CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"


def _doctor(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it with the modules in a folder before all others, in its child processes too."""
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "edgecnn", "doctor", *words],
        env={**os.environ, "PYTHONPATH": path, **environment}, capture_output=True, text=True,
    )  # fmt: skip


def _rows(record: dict[str, Any], group: str) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in record["checks"] if check["group"] == group}


@pytest.mark.slow
def test_runtimes_that_work_and_one_that_crashes(tmp_path: Path) -> None:
    (tmp_path / "tflite_micro").mkdir()
    (tmp_path / "tflite_micro" / "__init__.py").write_text(CRASH)
    done = _doctor(tmp_path, "--json")
    schemas.check(done.stdout, "command-doctor.json")
    record = json.loads(done.stdout)
    rows = _rows(record, "runtime")
    assert len(rows) == sum(len(runtime.providers) for runtime in discover(Runtime).values())
    assert (rows["tflite_micro"]["state"], rows["tflite_micro"]["detail"]) == ("failed", "its process died (SIGSEGV)")
    for name in ("keras", "saved_model", "litert", "onnxruntime"):
        if not discover(Runtime)[name].missing():
            here = [row["state"] for title, row in rows.items() if title.partition(" ")[0] == name]
            assert here[:1] == ["ok"], name
    assert rows["c_host"]["state"] == ("ok" if shutil.which("cc") else "missing")
    assert record["ready"] == (done.returncode == 0), done.stderr


def test_without_tensorflow_a_run_cannot_work(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(HIDING)
    done = _doctor(tmp_path, COLUMNS="200")
    assert done.returncode == 3
    assert re.search(r"^missing +package +tensorflow +not installed$", done.stdout, re.MULTILINE)
    assert re.search(r"^missing +runtime +keras +tensorflow is not installed$", done.stdout, re.MULTILINE)
    assert re.search(r"^ok +runtime +onnxruntime \(cpu\) +runs onnx_float32.onnx", done.stdout, re.MULTILINE)
    hint = re.search(r"^Error: `.*edgecnn run` cannot work here \(\w+: not installed\): (.*)\.$", done.stderr)
    assert hint and hint[1].endswith("[export]'"), done.stderr
    assert f": {hint[1]}" in done.stdout


def _named(monkeypatch: pytest.MonkeyPatch) -> dict[str, Check]:
    """What it says of this very process, without trying any runtime."""
    monkeypatch.setattr("edgecnn.stages.doctor.discover", lambda kind: {} if kind is Runtime else discover(kind))
    found = diagnose()
    return {f"{check.group} {check.name}": check for check in found.checks}


def test_data_sets_and_caches_are_found_where_commands_find_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("EDGECNN_DATA", raising=False)
    found = _named(monkeypatch)
    assert found["data cifar10"].state == "missing" and "EDGECNN_DATA" in found["data cifar10"].remedy
    assert found["cache emulated CPUs"].size_bytes == 0
    archive = tmp_path / "datasets" / "cifar-10-batches-py.tar.gz"
    download = tmp_path / "edgecnn" / "cpu" / "downloads" / "some.deb"
    for path, size in ((archive, 1000), (download, 77)):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(size))
    found = _named(monkeypatch)
    assert (found["data cifar10"].state, found["data cifar10"].detail) == ("ok", str(archive))
    assert found["data cifar10"].size_bytes == 1000
    assert found["cache emulated CPUs"].size_bytes == 77
    by_name = {name for name, dataset in discover(Dataset).items() if dataset.load_by_name}
    assert {name.partition(" ")[2] for name in found if name.startswith("data ")} == by_name


def test_a_place_for_data_that_holds_none_stops_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECNN_DATA", str(tmp_path))
    check = _named(monkeypatch)["data cifar10"]
    assert (check.state, check.required, check.remedy) == ("failed", True, "correct or unset it")
    assert not diagnose().ready
