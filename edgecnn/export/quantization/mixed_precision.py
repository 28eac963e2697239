"""Mixed precision: the fewest layers of a quantized file that have to stay in float32, found by measurement.

Everything is measured on labelled training images. When full quantization loses more than the budget, each layer is
quantized alone; layers are then kept in float32 from the most harmful on until the budget holds, and those that
turn out not to be needed are quantized again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgecnn.console import log, progress
from edgecnn.data.output_labels import answers_of
from edgecnn.export.quantization.layer_spread import spreads
from edgecnn.records import Precision, PrecisionStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from edgecnn.arrays import Floats, Pixels
    from edgecnn.export.format import ExportSource


SENSITIVITY_IMAGES = 200  # a signal-to-noise ratio needs fewer images than an accuracy
ROUNDING = 1e-9


def find(
    source: ExportSource,
    *,
    what: str,
    layers: Sequence[str],
    quantize: Callable[[frozenset[str]], bytes],
    answers: Callable[[bytes, Pixels], Floats],
    reference: Callable[[Pixels], Floats],
) -> tuple[bytes, Precision | None]:
    """The quantized file that keeps the budget with the fewest layers in float32, and how it was found.

    `quantize(kept)` gives the file with these of the `layers` in float32, `answers` a file's output for uint8 images
    and `reference` the float file's, both float32 [N, classes]. Without labelled training images (a run that carries
    no data) nothing is measured and all is quantized. A budget that cannot be kept ends with all layers in float32.
    """
    images, labels = source.selection_images, source.selection_labels
    if not len(labels):
        return quantize(frozenset()), None
    meaning = source.contract.output_meaning
    right = int((answers_of(reference(images), meaning) == labels).sum())
    steps: list[PrecisionStep] = []

    def attempt(kept: Iterable[str]) -> tuple[bytes, bool]:
        chosen = frozenset(kept)
        model = quantize(chosen)
        lost = right - int((answers_of(answers(model, images), meaning) == labels).sum())
        drop = 100 * lost / len(labels)
        ordered = tuple(layer for layer in layers if layer in chosen)
        steps.append(PrecisionStep(kept_float=ordered, drop_points=round(drop, 4)))
        return model, drop <= source.max_drop_points + ROUNDING

    model, held = attempt(())
    sensitivity: dict[str, float] = {}
    kept: list[str] = []
    start = time.perf_counter()
    if not held:
        drop = steps[0].drop_points
        log(
            f"  {what} loses {drop:.2f} points, {source.max_drop_points} are allowed: looking for the layers that do it"
        )
        sensitivity = _sensitivity(images[:SENSITIVITY_IMAGES], layers, quantize, answers, reference)
        for layer in sorted(layers, key=lambda layer: sensitivity[layer]):
            kept.append(layer)
            model, held = attempt(kept)
            if held:
                break
        for layer in kept[-2::-1] if held else ():
            fewer = [other for other in kept if other != layer]
            candidate, still_held = attempt(fewer)
            if still_held:
                model, kept = candidate, fewer
        log(f"  {what} keeps {', '.join(kept)} in float32" + ("" if held else "; the budget is exceeded even so"))
    return model, Precision(
        max_drop_points=source.max_drop_points,
        images=len(labels),
        sensitivity=sensitivity,
        steps=tuple(steps),
        kept_float=tuple(layer for layer in layers if layer in kept),
        spreads=spreads(source, sensitivity) if sensitivity else {},
        seconds=round(time.perf_counter() - start, 3) if sensitivity else 0.0,
    )


def _sensitivity(
    images: Pixels,
    layers: Sequence[str],
    quantize: Callable[[frozenset[str]], bytes],
    answers: Callable[[bytes, Pixels], Floats],
    reference: Callable[[Pixels], Floats],
) -> dict[str, float]:
    """Layer -> SQNR in dB of the output over these images when it alone is quantized."""
    import numpy as np

    wanted = reference(images)
    found = {}
    with progress("quantizing each layer alone", len(layers)) as advance:
        for i, layer in enumerate(layers):
            alone = answers(quantize(frozenset(layers) - {layer}), images)
            noise = float(np.square(alone - wanted).sum()) or 1e-30
            found[layer] = round(10 * float(np.log10(np.square(wanted).sum() / noise)), 2)
            advance(i + 1)
    return found
