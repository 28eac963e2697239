"""C that brings a frame of any size to a model's input, for bundles of generated C: `edgecnn_image.h` says how."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
