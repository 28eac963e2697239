"""What every record says of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.environment import INSTRUCTION_SETS, this_machine
from edgecnn.records import Machine


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="this system does not list its CPU's features")
def test_instruction_sets_are_those_the_system_lists() -> None:
    found = this_machine()
    listed = Path("/proc/cpuinfo").read_text().split()
    assert found.instruction_sets == tuple(name for name in INSTRUCTION_SETS if name in listed)
    assert found.cpu


def test_the_processor_is_named_with_its_instruction_sets() -> None:
    machine = Machine(cpu="AMD EPYC", cores=2, memory_bytes=1, system="Linux", python="3.11")
    assert machine.processor == "AMD EPYC"
    assert Machine(**{**vars(machine), "instruction_sets": ("avx2",)}).processor == "AMD EPYC (avx2)"


def test_gpus_are_those_that_nvidia_smi_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 580.159.04'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = this_machine.__wrapped__()
    assert found.gpus == ("NVIDIA H100 80GB HBM3, driver 580.159.04",)
    assert found.processor.endswith(" and NVIDIA H100 80GB HBM3, driver 580.159.04")
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    assert this_machine.__wrapped__().gpus == ()
