"""How plug-ins are found.

A plug-in is one module in the package of its interface with one constant, `PLUGIN`, which is an instance of the
interface; its name is the module's, in a bundle's with dashes for underscores.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import ClassVar, Protocol, TypeVar

from edgecnn.errors import unknown_name


class Plugin(Protocol):
    """An interface: Dataset, Architecture, Format, Runtime or Bundle."""

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
