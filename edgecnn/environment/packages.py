"""Which packages are installed here. Plug-ins say by import name what they need; nothing is listed here."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

from edgecnn import plugins

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALWAYS = ("edgecnn", "numpy", "PIL")  # import names of what decides results whatever the plug-in
MISSING = "missing"  # the version of what is not installed
UNKNOWN = "unknown"  # of what is there without one: nothing tells whether it has changed


def installed_versions() -> dict[str, str]:
    """Versions of the packages whose change can change a result, by distribution; only those installed."""
    found = versions_of((*ALWAYS, *plugins.packages("format", "runtime")))
    return {name: version for name, version in found.items() if version != MISSING}


def runtime_versions() -> dict[str, str]:
    """Versions of what executes artifacts, "missing" for what is not installed."""
    return versions_of(("edgecnn", *plugins.packages("runtime")))


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Versions of the distributions that bring these packages (import names), "missing" where there is none, "unknown"
    where a package is there that records none.

    The name is that of what is installed: onnxruntime may be brought by onnxruntime-gpu, tensorflow by tensorflow-cpu.
    """
    names = [name for package in packages for name in _distributions().get(package, (package,))]
    return {canonical(name): _version(name) for name in sorted(names, key=canonical)}


def _version(distribution: str) -> str:
    import importlib.metadata  # takes 15 ms, a tenth of a whole prediction
    import importlib.util

    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        if distribution == "edgecnn":  # run from a checkout
            return str(vars(sys.modules["edgecnn"])["__version__"])
        return UNKNOWN if importlib.util.find_spec(distribution) else MISSING


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it: tflite-micro for tflite_micro, jinja2 for Jinja2."""
    return name.replace("_", "-").replace(".", "-").lower()


@cache
def _distributions() -> Mapping[str, list[str]]:
    """Import name -> the distributions that bring it."""
    import importlib.metadata

    return importlib.metadata.packages_distributions()
