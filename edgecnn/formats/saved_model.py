"""TensorFlow's own serving format, a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.plugins import Exported, Format, Gate

if TYPE_CHECKING:
    from pathlib import Path

    from edgecnn.plugins import ExportSource


def export(source: ExportSource, path: Path) -> Exported:
    """Write a SavedModel folder whose signature `serving_default` takes uint8 `image` of any batch."""
    from edgecnn.conversion import quiet, write_saved_model

    with quiet():
        write_saved_model(source, path, raw_pixels=True, batch=None)
    return Exported(layers={})


PLUGIN = Format(
    name="saved_model",
    summary="SavedModel for TensorFlow and TensorFlow Serving",
    suffix="",
    file_kind="saved_model",
    batched=True,
    gate=Gate(max_drop_points=0.05, min_agreement=0.9998),
    export=export,
)
