"""Layers inside the exports against the trained model's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from edgecnn.report.table import Table, matrix, table

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.records import LayerParity, LayerRow, Layers, Report

GOOD_DB = 40.0  # from here on a cell is not shaded
WRONG_GAIN = 0.1  # away from 1: the darkest shade
FUSED = ("Export", "Layer", "Includes (fused)")
DIVERGENT = ("Export", "Layer", "Divergence", "What to do")


def current(record: Report) -> Layers | None:
    """Of the layers that were compared, those of files that the run still has; None where there are none."""
    hashes = {artifact.sha256 for artifact in record.artifacts.artifacts}
    files = tuple(file for file in (record.layers.files if record.layers else ()) if file.artifact_sha256 in hashes)
    return replace(record.layers, files=files) if record.layers and files else None


def sqnr_matrix(layers: Layers) -> Table | None:
    """SQNR in dB of each layer's output in each export."""
    return _matrix("SQNR of each layer’s output, dB", layers, _sqnr)


def gain_matrix(layers: Layers) -> Table | None:
    """Gain of each layer's output in each export."""
    return _matrix("Gain of each layer’s output", layers, _gain)


def _matrix(caption: str, layers: Layers, figure: Callable[[LayerRow], tuple[str, float]]) -> Table | None:
    names = _names(layers)
    found = [{row.layer: figure(row) for row in file.layers} for file in layers.files]
    order = dict.fromkeys(row.layer for file in sorted(layers.files, key=_size) for row in file.layers)
    rows = [(layer, [cells.get(layer, ("–", 0.0)) for cells in found]) for layer in order]
    return matrix(caption, "Layer", names, rows)


def _size(file: LayerParity) -> int:
    """The file that shows most layers comes first: its order is the model's."""
    return -len(file.layers)


def _names(layers: Layers) -> list[str]:
    formats = [file.format for file in layers.files]
    return [file.format if formats.count(file.format) == 1 else file.name for file in layers.files]


def _sqnr(row: LayerRow) -> tuple[str, float]:
    if row.sqnr_db is None:
        return ("equal" if row.gain is not None else "–"), 0.0
    return f"{row.sqnr_db:.1f}", min(1.0, max(0.0, 1 - row.sqnr_db / GOOD_DB))


def _gain(row: LayerRow) -> tuple[str, float]:
    return (f"{row.gain:.4f}", min(1.0, abs(row.gain - 1) / WRONG_GAIN)) if row.gain is not None else ("–", 0.0)


def divergent_table(layers: Layers) -> Table | None:
    """The layers that diverge from what their inputs explain, with advice for the first of each export."""
    rows = [
        (file.name, row.layer, row.divergence, file.advice if row.layer == file.first_divergent_layer else "")
        for file in layers.files
        for row in file.layers
        if row.divergence
    ]
    return table("Divergent layers", DIVERGENT, rows)


def fused_table(layers: Layers) -> Table | None:
    """What layers include, since the export fused it into them."""
    rows = [
        (file.format, row.layer, ", ".join(row.fused_layers))
        for file in layers.files
        for row in file.layers
        if row.fused_layers
    ]
    return table("Layers fused into others", FUSED, rows)
