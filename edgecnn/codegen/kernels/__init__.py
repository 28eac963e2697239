"""The kernels, real C files; `amalgamated` puts those that a model uses into one text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgecnn.codegen.target import Target

FOLDER = Path(__file__).parent
INCLUDE = re.compile(r'#include (?P<name>"[\w.]+"|<stdint.h>)\n')
ONCE = "#pragma once\n"
BLOCKED = ("convolution", "dense")  # kernels that there are by blocks too
SHARED = ("kernel.h", "rounding.h", "rows.h", "padded.h")  # by both ways of plain C


def amalgamated(kernels: Iterable[str], rounding: str, target: Target) -> str:
    """The text of kernels, by the names of their files without `.c`, each after what it includes, nothing twice.

    A target with vectors has convolution and dense layers by blocks; plain C has both ways, of which the compiler takes
    one.
    """
    files = _Files(rounding, target)
    names = [f"{kernel}.c" for kernel in dict.fromkeys(kernels)]
    blocked = {f"{kernel}.c": f"{kernel}_blocked.c" for kernel in BLOCKED}
    if target.only_if:
        for name in SHARED:
            files.add(name)
        layers = [name for name in names if name in blocked]
        files.texts.append(f"#if {target.only_if}")
        for name in layers:
            files.add(blocked[name])
        files.texts.append("#else")
        for name in layers:
            files.add(name)
        files.texts.append("#endif")
        names = [name for name in names if name not in blocked]
    for name in names:
        files.add(blocked.get(name, name))
    return "\n\n".join(files.texts)


class _Files:
    """Texts of files, each once, with the headers of a rounding and a target in the place of the general ones."""

    def __init__(self, rounding: str, target: Target) -> None:
        self.texts: list[str] = []
        self._seen: set[str] = set()
        self._target = target
        self._chosen = {"rounding.h": f"rounding_{rounding.replace('-', '_')}.h"}

    def add(self, name: str) -> None:
        """A file, after what it includes."""
        name = self._chosen.get(name, name)
        if name in self._seen:
            return
        self._seen.add(name)
        if name == "multiply.h":
            self._multiply()
            return
        text = (FOLDER / name).read_text(encoding="utf-8")
        self._include(text)
        self.texts.append(_stripped(text))

    def _include(self, text: str) -> None:
        for found in INCLUDE.finditer(text):
            if found["name"].startswith('"'):
                self.add(found["name"].strip('"'))

    def _multiply(self) -> None:
        """The headers of the target, each behind its condition."""
        parts, several = [], len(self._target.multiply) > 1
        for number, (condition, name) in enumerate(self._target.multiply):
            text = (FOLDER / name).read_text(encoding="utf-8")
            self._include(text)
            if several:
                parts.append(f"#{'if' if number == 0 else 'elif'} {condition}" if condition else "#else")
            parts.append(_stripped(text))
        self.texts.append("\n".join([*parts, *(["#endif"] if several else [])]))


def _stripped(text: str) -> str:
    """A file without what it includes of ours, and the one header that the model's own header includes."""
    return INCLUDE.sub("", text).replace(ONCE, "").strip()
