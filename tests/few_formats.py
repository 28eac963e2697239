"""`edgecnn` where few formats are exported by default: a whole run takes a third of the time. Nothing else differs."""

from __future__ import annotations

import sys

FORMATS = ("onnx_float32", "tflite_int8")
CODE = """
import sys
from edgecnn.cli import main
from edgecnn.stages import export
formats = sys.argv.pop(1).split()
export.default_formats = lambda: formats
main()
"""


def edgecnn(*words: object, formats: tuple[str, ...] = FORMATS) -> list[str]:
    """The command line of a program; in this process patch `edgecnn.stages.export.default_formats`."""
    return [sys.executable, "-c", CODE, " ".join(formats), *map(str, words)]
