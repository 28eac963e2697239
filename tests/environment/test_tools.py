"""Optional programs are found on the PATH, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.environment.tools import TOOLS, tool_checks

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_each_tool_is_found_or_its_package_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for check in tool_checks():
        assert check.state == "missing"
        assert check.remedy == f"install {check.name} with this system's package manager"
    for name in ("apt-get", *(tool.programs[-1] for tool in TOOLS[1:])):
        (tmp_path / name).touch(mode=0o755)
    first, *rest = tool_checks()
    assert (first.state, first.remedy) == ("missing", f"sudo apt-get install {TOOLS[0].package}")
    for tool, check in zip(TOOLS[1:], rest, strict=True):
        assert (check.state, check.detail) == ("ok", str(tmp_path / tool.programs[-1]))
        assert not check.remedy
