"""A load that is timed imports nothing of the runtime's packages."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edgecnn.execution.targets import pairs, trained
from edgecnn.plugins import discover
from edgecnn.run_directory import Run
from edgecnn.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import sys
from pathlib import Path
from edgecnn.plugins import pick
from edgecnn.runtimes.runtime import Runtime
runtime = pick(Runtime, sys.argv[1])
runtime.import_packages()
before = {name.partition(".")[0] for name in sys.modules}
runtime.load(Path(sys.argv[2]), 1, sys.argv[3], ())
after = {name.partition(".")[0] for name in sys.modules}
print(*({"numpy", *runtime.packages, *runtime.modules} & after - before))
"""


@pytest.mark.parametrize("name", sorted(discover(Runtime)))
def test_packages_are_imported_before(name: str, every_format_run: Path) -> None:
    run = Run(every_format_run)
    chosen = () if name == "keras" else (name,)
    every = [(pair.runtime.name, pair.path, pair.provider) for pair in pairs(run, (), (), chosen)[0]]
    every.append(("keras", run.path(trained(run, run.contract()).path), "cpu"))
    found = [target for target in every if target[0] == name]
    if not found:
        pytest.skip(f"{name} is not installed, or no export is for it")
    done = subprocess.run([sys.executable, "-c", CODE, *map(str, found[0])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
