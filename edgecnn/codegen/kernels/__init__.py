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


def amalgamated(kernels: Iterable[str], rounding: str, target: Target) -> str:
    """The text of kernels, by the names of their files without `.c`, each after what it includes, nothing twice."""
    chosen = f"rounding_{rounding.replace('-', '_')}.h"
    texts: list[str] = []
    seen: set[str] = set()

    def add(name: str) -> None:
        if name in seen:
            return
        seen.add(name)
        if name == "multiply.h":
            add("unroll.h")
            texts.append(_choice(target))
            return
        text = (FOLDER / name).read_text(encoding="utf-8")
        for found in INCLUDE.finditer(text):
            if found["name"].startswith('"'):
                included = found["name"].strip('"')
                add(chosen if included == "rounding.h" else included)
        texts.append(_stripped(text))

    for kernel in dict.fromkeys(kernels):
        add(f"{kernel}.c")
    return "\n\n".join(texts)


def _stripped(text: str) -> str:
    """A file without what it includes of ours, and the one header that the model's own header includes."""
    return INCLUDE.sub("", text).replace(ONCE, "").strip()


def _choice(target: Target) -> str:
    """The headers of a target, each behind its condition."""
    parts = []
    for number, (condition, name) in enumerate(target.multiply):
        if len(target.multiply) > 1:
            parts.append(f"#{'if' if number == 0 else 'elif'} {condition}" if condition else "#else")
        parts.append(_stripped((FOLDER / name).read_text(encoding="utf-8")))
    return "\n".join([*parts, *(["#endif"] if len(target.multiply) > 1 else [])])
