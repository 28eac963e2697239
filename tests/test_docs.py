"""The README says what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from edgecnn.export.format import Format
from edgecnn.plugins import discover

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_command_reference_is_what_help_prints() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "docs", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_format_is_described() -> None:
    for name in discover(Format):
        assert f"`{name}`" in README


def test_every_module_the_readme_names_exists() -> None:
    block = README.split("```text\nedgecnn/\n", 1)[1].split("```", 1)[0]
    names = re.findall(r"^  (\w+(?:\.py|/))", block, re.MULTILINE)
    assert len(names) > 10
    for name in names:
        assert (ROOT / "edgecnn" / name).exists(), name
    for path in (ROOT / "edgecnn").iterdir():
        name = f"{path.name}/" if path.is_dir() else path.name
        assert name in {*names, "__init__.py", "__main__.py", "__pycache__/", "published/"}, f"{name} is missing"


def test_no_registry_is_named() -> None:
    text = README + (ROOT / "pyproject.toml").read_text() + (ROOT / "tools" / "constraints.txt").read_text()
    assert not re.search(r"https?://\S*(py" r"pi|pythonhosted|npm|debian)", text)
