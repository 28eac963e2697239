"""Which packages are recorded, and under what name."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from edgecnn.environment import MISSING, installed_versions, runtime_versions, versions_of
from edgecnn.plugins import every, packages

if TYPE_CHECKING:
    from pathlib import Path


def test_what_every_plug_in_needs_is_recorded_where_it_is_installed() -> None:
    recorded = installed_versions()
    for package in ("edgecnn", "numpy", "PIL", *packages("format", "runtime")):
        for name, version in versions_of((package,)).items():
            assert recorded.get(name, MISSING) == version


def test_every_runtime_is_named_also_where_its_package_is_missing() -> None:
    named = runtime_versions()
    for runtime in every("runtime").values():
        for package in runtime.packages:
            assert versions_of((package,)).items() <= named.items()
    assert versions_of(("no_such_package",)) == {"no-such-package": MISSING}


def test_a_package_is_recorded_under_the_name_of_the_distribution_that_brings_it(tmp_path: Path) -> None:
    """A fork of ONNX Runtime, as onnxruntime-openvino is one: another distribution, the same import name."""
    facts = tmp_path / "onnxruntime_quantum-9.8.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime_quantum\nVersion: 9.8\n")
    (facts / "RECORD").write_text("onnxruntime/__init__.py,,\n")
    code = "from edgecnn.environment import installed_versions; print(installed_versions()['onnxruntime-quantum'])"
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True)
    assert done.stdout.decode().strip() == "9.8", done.stderr.decode()
