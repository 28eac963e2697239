"""Installed packages against what edgecnn requires and against the versions that were tested together."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import TYPE_CHECKING

import pytest

from edgecnn.environment import canonical, requirements
from edgecnn.environment.pinned import constraints_file, package_checks, pinned_versions, python_check

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.records import Check


def _checks() -> dict[str, Check]:
    return {check.name: check for check in package_checks()}


def _install(folder: Path, name: str, version: str) -> None:
    """What pip leaves of a distribution, for importlib.metadata."""
    facts = folder / f"{name}-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_every_requirement_is_pinned_and_checked() -> None:
    wanted = {canonical(one.name): extra for extra, ones in requirements().items() for one in ones}
    found = _checks()
    assert wanted.keys() <= found.keys() & pinned_versions().keys()
    assert {name for name in wanted if found[name].required} == {
        name for name, extra in wanted.items() if extra in ("", "export")
    }
    for name in wanted:
        if found[name].state == "ok":
            assert found[name].detail == pinned_versions()[name] == importlib.metadata.version(name)
        else:
            assert str(constraints_file()).rsplit("/", 1)[1] in found[name].remedy


@pytest.mark.parametrize(
    ("name", "version", "state", "words"),
    [
        ("click", "8.1.0", "untested", "8.1.0 (tested: "),
        ("click", "7.0", "failed", "7.0, and edgecnn needs <9,>=8.1"),
        ("certifi", "2000.1.1", "untested", "certifi 2000.1.1 (tested: "),
    ],
)
def test_another_version_is_told(
    name: str, version: str, state: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, name, version)
    monkeypatch.syspath_prepend(tmp_path)
    check = _checks()[name if name in _checks() else "other packages"]
    assert (check.state, check.detail.startswith(words)) == (state, True), check
    assert " install -c " in check.remedy


def test_a_package_that_cannot_be_imported_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    check = _checks()["jinja2"]
    assert (check.state, check.required) == ("missing", True)
    assert check.remedy.endswith("[export]'")


def test_a_python_that_is_not_supported_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert python_check().state == "ok"
    monkeypatch.setattr("platform.python_version", lambda: "3.9.1")
    check = python_check()
    assert (check.state, check.required) == ("failed", True)
    assert "3.11" in check.detail
