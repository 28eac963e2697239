"""edgecnn takes small Keras image classifiers to devices, and proves that what arrives is what was trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgecnn.inference.predictor import Predictor

__version__ = "0.1.0"
__all__ = ["Predictor", "__version__"]


def __getattr__(name: str) -> object:
    """Import the predictor when it is first used, so that `import edgecnn` costs nothing."""
    if name == "Predictor":
        from edgecnn.inference.predictor import Predictor

        return Predictor
    raise AttributeError(f"module 'edgecnn' has no attribute '{name}'")
