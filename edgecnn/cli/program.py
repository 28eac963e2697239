"""How this program was called."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def as_called(text: str) -> str:
    """A sentence, its commands as they work here: where a shell finds no `edgecnn`, or another one, as this one was
    called."""
    program, found = Path(sys.argv[0]), shutil.which("edgecnn")
    if program.parent.name == "edgecnn" and program.name == "__main__.py":
        program, called = Path(sys.executable).with_name("edgecnn"), f"{shlex.quote(sys.executable)} -m edgecnn"
    elif program.name == "edgecnn":
        called = shlex.quote(str(program))
    else:  # another program, which uses this one
        return text
    return text if found and Path(found).absolute() == program.absolute() else text.replace("`edgecnn ", f"`{called} ")
