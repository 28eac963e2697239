"""How plug-ins are found, and what packages they need.

A plug-in is one module in the package of its interface with one constant, `PLUGIN`, which is an instance of the
interface; its name is the module's, in a bundle's with dashes for underscores.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, ClassVar, Protocol, TypeVar

from edgecnn.errors import unknown_name

INTERFACES = {
    "architecture": "edgecnn.training.architecture:Architecture",
    "bundle": "edgecnn.bundles.bundle:Bundle",
    "dataset": "edgecnn.data.dataset:Dataset",
    "format": "edgecnn.export.format:Format",
    "inspector": "edgecnn.model_files.inspector:Inspector",
    "runtime": "edgecnn.runtimes.runtime:Runtime",
}


class Plugin(Protocol):
    """An interface: one of INTERFACES."""

    PACKAGE: ClassVar[str]  # where its plug-ins lie

    @property
    def name(self) -> str:
        """What a plug-in is called on the command line."""


P = TypeVar("P", bound=Plugin)


def discover(kind: type[P]) -> dict[str, P]:
    """All plug-ins of a kind, by name, in alphabetical order."""
    package = importlib.import_module(kind.PACKAGE)
    found: dict[str, P] = {}
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda module: module.name):
        plugin = getattr(importlib.import_module(f"{package.__name__}.{module.name}"), "PLUGIN", None)
        if isinstance(plugin, kind):
            found[plugin.name] = plugin
    return found


def pick(kind: type[P], name: str) -> P:
    """The plug-in of that name; raises UsageError with the nearest names."""
    plugins = discover(kind)
    if name not in plugins:
        raise unknown_name(kind.__name__.lower(), name, plugins)
    return plugins[name]


def every(kind: str) -> dict[str, Any]:
    """All plug-ins of the interface that INTERFACES calls `kind`, for code below that interface."""
    return discover(pkgutil.resolve_name(INTERFACES[kind]))


def packages(*kinds: str) -> tuple[str, ...]:
    """Import names of the packages that plug-ins of these kinds need, each once, in alphabetical order."""
    return tuple(sorted({package for kind in kinds for plugin in every(kind).values() for package in plugin.packages}))
