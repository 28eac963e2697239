"""Where edgecnn keeps what it downloads."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache() -> Path:
    """edgecnn's folder in the user's cache, whether or not it is there."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".cache") / "edgecnn"
