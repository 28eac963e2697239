"""Figures of reliability, as tools measure them and docs/reliability.md shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent.parent / "docs" / "reliability.json"


def figures() -> dict[str, dict[str, Any]]:
    """By what was measured: "fuzz", "kills"."""
    return json.loads(RECORD.read_text()) if RECORD.is_file() else {}


def record_figures(name: str, found: dict[str, Any]) -> None:
    """Put figures in the place of those of that name."""
    RECORD.write_text(json.dumps({**figures(), name: found}, indent=1, sort_keys=True) + "\n")
