"""Hints name commands that work where they are read."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import sys
from pathlib import Path

import pytest

from edgecnn.environment import installing
from edgecnn.environment.installing import EXTRAS, import_name, install_command, missing_package, require, requirements
from edgecnn.errors import MachineError
from edgecnn.plugins import INTERFACES, every, packages

CHECKOUT = Path(installing.__file__).parents[2]


class Installed:
    """A distribution that says where it came from."""

    def __init__(self, origin: dict[str, object] | None) -> None:
        self._origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._origin is None else json.dumps(self._origin)


def _from(monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None, package: Path) -> str:
    """What `install_command` says after `pip install` of an edgecnn that lies at `package` and came from `origin`."""
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Installed(origin))
    monkeypatch.setattr(installing, "PACKAGE", package)
    return install_command("export").partition(" install ")[2]


def test_from_a_checkout_the_command_installs_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "edgecnn"
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    assert _from(monkeypatch, None, package) == "'.[export]'"
    here: dict[str, object] = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    assert _from(monkeypatch, here, package) == "-e '.[export]'"
    monkeypatch.chdir(tmp_path / "sub")
    assert _from(monkeypatch, here, package) == f"-e '{tmp_path}[export]'"


def test_a_wheel_is_installed_from_where_it_came(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package, wheel = tmp_path / "site-packages" / "edgecnn", tmp_path / "edgecnn.whl"
    monkeypatch.chdir(sys.prefix)
    assert _from(monkeypatch, None, package) == "'edgecnn[export]'"
    assert _from(monkeypatch, {"url": wheel.as_uri()}, package) == "'edgecnn[export]'", "the wheel is gone"
    wheel.touch()
    assert _from(monkeypatch, {"url": wheel.as_uri()}, package) == f"'{wheel}[export]'"
    git: dict[str, object] = {"url": "https://host/edgecnn", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    assert _from(monkeypatch, git, package) == "'edgecnn[export] @ git+https://host/edgecnn@abc'"


def test_pip_is_the_one_of_this_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another pip on the PATH, as in a shell where the environment is not active, would install elsewhere."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shlex.split(installing.pip_install())[1:] == ["-m", "pip", "install"]
    beside = tmp_path / "python"
    for file in (beside, tmp_path / "pip"):
        file.touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(beside))
    assert installing.pip_install() == "pip install"


def test_a_missing_package_names_its_extra() -> None:
    for module, extra in (("tensorflow.lite", "[export]'"), ("jinja2", "[export]'"), ("numpy", "")):
        error = missing_package(ModuleNotFoundError("no", name=module))
        assert error is not None
        assert str(error).endswith(f"{extra}."), error
    assert missing_package(ModuleNotFoundError("no", name="edgecnn_typo")) is None
    with pytest.raises(MachineError, match="no_such_package is not installed"):
        require("numpy", "no_such_package")


def test_what_plug_ins_need_is_what_the_extras_bring() -> None:
    brought = {import_name(one.name) for extra in ("", *EXTRAS) for one in requirements()[extra]}
    needing = [kind for kind in INTERFACES if any(hasattr(plugin, "packages") for plugin in every(kind).values())]
    assert set(packages(*needing)) <= brought
