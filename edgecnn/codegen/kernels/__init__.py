"""The kernels, real C files; `amalgamated` puts those that a model uses into one text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FOLDER = Path(__file__).parent
INCLUDE = re.compile(r'#include (?P<name>"[\w.]+"|<[\w.]+>)\n')
ONCE = "#pragma once\n"


def amalgamated(kernels: Iterable[str], rounding: str) -> str:
    """The text of kernels, by the names of their files without `.c`, each after what it includes, nothing twice."""
    chosen = f"rounding_{rounding.replace('-', '_')}.h"
    texts: list[str] = []
    seen: set[str] = set()

    def add(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        text = (FOLDER / name).read_text(encoding="utf-8")
        for found in INCLUDE.finditer(text):
            if found["name"].startswith('"'):
                name = found["name"].strip('"')
                add(chosen if name == "rounding.h" else name)
        texts.append(INCLUDE.sub("", text).replace(ONCE, "").strip())

    for kernel in dict.fromkeys(kernels):
        add(f"{kernel}.c")
    return "\n\n".join(texts)
