"""Mixed precision: which layers of a quantized file stay in float32, found by measurement.

Everything is measured on labelled training images. When full quantization loses more than the budget, biases are
corrected, which costs neither size nor time on the device, wherever that loses less. When it is still too much, each
layer is quantized alone; layers are then kept in float32 from the most harmful on until the budget holds, and those
that turn out not to be needed are quantized again. The search is greedy: a smaller set of layers may exist.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.arrays import LEAST_ENERGY, energy_of, sqnr_db
from edgecnn.console import log, progress
from edgecnn.data.output_labels import predicted_classes
from edgecnn.export.quantization.layer_spread import spreads
from edgecnn.records import MixedPrecision, MixedPrecisionStep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    correct_biases: Callable[[bytes], bytes],
    outputs_of: Callable[[bytes, Pixels], Floats],
    reference: Callable[[Pixels], Floats],
) -> tuple[bytes, MixedPrecision | None]:
    """A quantized file that keeps the budget with few layers in float32, and how it was found.

    `quantize(kept)` gives the file with these of the `layers` in float32, `correct_biases` such a file with the biases
    of the others corrected, `outputs_of` a file's output for uint8 images
    and `reference` the float file's, both float32 [N, classes]. Without labelled training images (a run that carries
    no data) nothing is measured and all is quantized. A budget that cannot be kept ends with all layers in float32.
    """
    if not len(source.selection_labels):
        return quantize(frozenset()), None
    search = _Search(source, layers, quantize, correct_biases, outputs_of, reference)
    start = time.perf_counter()
    first = search.attempt([])
    if first.holds or not layers:
        return first.model, search.record(first, {}, 0.0)
    allowed = source.options.max_accuracy_drop
    log(f"  {what} loses {first.drop_points:.2f} points, {allowed} are allowed: correcting biases")
    search.correcting = True
    second = search.attempt([])
    if second.holds:
        log(f"  {what} loses {second.drop_points:.2f} points with corrected biases")
        return second.model, search.record(second, {}, time.perf_counter() - start)
    search.correcting = second.drop_points < first.drop_points
    log(f"  {what} loses {second.drop_points:.2f} points even so: looking for the layers that do it")
    sensitivity_sqnr_db = search.sensitivity_sqnr_db()
    found = search.grow(sorted(layers, key=lambda layer: sensitivity_sqnr_db[layer]))
    if found.holds:
        found = search.prune(found)
    exceeded = "" if found.holds else "; the budget is exceeded even so"
    log(f"  {what} keeps {', '.join(found.kept)} in float32{exceeded}")
    return found.model, search.record(found, sensitivity_sqnr_db, time.perf_counter() - start)


@dataclass(frozen=True)
class _Attempt:
    """A file with these layers in float32, in the order they were chosen; whether what it loses keeps the budget."""

    model: bytes
    kept: Sequence[str]
    corrected: bool
    drop_points: float
    holds: bool


class _Search:
    """What :func:`find` tries; `steps` are the attempts so far, the next ones correct biases while `correcting`."""

    def __init__(
        self,
        source: ExportSource,
        layers: Sequence[str],
        quantize: Callable[[frozenset[str]], bytes],
        correct_biases: Callable[[bytes], bytes],
        outputs_of: Callable[[bytes, Pixels], Floats],
        reference: Callable[[Pixels], Floats],
    ) -> None:
        self._source, self._layers = source, layers
        self._quantize, self._correct_biases = quantize, correct_biases
        self._outputs_of, self._reference = outputs_of, reference
        self._correct = self._count(reference(source.selection_images))
        self.steps: list[MixedPrecisionStep] = []
        self.correcting = False

    def attempt(self, kept: Sequence[str]) -> _Attempt:
        """Quantize all other layers, and measure the drop."""
        model = self._quantize(frozenset(kept))
        if self.correcting:
            model = self._correct_biases(model)
        images = self._source.selection_images
        drop = 100 * (self._correct - self._count(self._outputs_of(model, images))) / len(images)
        self.steps.append(
            MixedPrecisionStep(
                excluded_from_quantization=self._ordered(kept),
                accuracy_drop_points=round(drop, 4),
                bias_corrected=self.correcting,
            )
        )
        return _Attempt(model, kept, self.correcting, drop, drop <= self._source.options.max_accuracy_drop + ROUNDING)

    def sensitivity_sqnr_db(self) -> dict[str, float]:
        """Layer -> SQNR in dB of the output, over a few images, when it alone is quantized."""

        images = self._source.selection_images[:SENSITIVITY_IMAGES]
        wanted = self._reference(images)
        found = {}
        with progress("quantizing each layer alone", len(self._layers)) as advance:
            for i, layer in enumerate(self._layers):
                alone = self._outputs_of(self._quantize(frozenset(self._layers) - {layer}), images)
                noise = energy_of(alone - wanted) or LEAST_ENERGY
                found[layer] = round(sqnr_db(energy_of(wanted), noise) or 0.0, 2)
                advance(i + 1)
        return found

    def grow(self, worst_first: Sequence[str]) -> _Attempt:
        """Keep one layer more in float32 until the budget holds, or none is left."""
        for count in range(1, len(worst_first) + 1):
            found = self.attempt(worst_first[:count])
            if found.holds:
                break
        return found

    def prune(self, found: _Attempt) -> _Attempt:
        """Quantize again what is not needed, from the layer before the last on: without the last it did not hold."""
        for layer in found.kept[-2::-1]:
            fewer = self.attempt([other for other in found.kept if other != layer])
            if fewer.holds:
                found = fewer
        return found

    def record(self, found: _Attempt, sensitivity_sqnr_db: dict[str, float], seconds: float) -> MixedPrecision:
        """How it was found, for artifacts.json."""
        return MixedPrecision(
            max_accuracy_drop_points=self._source.options.max_accuracy_drop,
            images=len(self._source.selection_labels),
            sensitivity_sqnr_db=sensitivity_sqnr_db,
            steps=tuple(self.steps),
            excluded_from_quantization=self._ordered(found.kept),
            bias_corrected=found.corrected,
            spreads=spreads(self._source, sensitivity_sqnr_db) if sensitivity_sqnr_db else {},
            seconds=round(seconds, 3),
        )

    def _count(self, outputs: Floats) -> int:
        """How many images these outputs classify correctly."""
        meaning = self._source.contract.output_meaning
        return int((predicted_classes(outputs, meaning) == self._source.selection_labels).sum())

    def _ordered(self, kept: Sequence[str]) -> tuple[str, ...]:
        return tuple(layer for layer in self._layers if layer in kept)
