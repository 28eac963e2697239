"""The classifier: from an image to labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .decode import check_rules, fitted
from .engine import Engine
from .records import read_contract

if TYPE_CHECKING:
    from .arrays import Floats, Pixels
    from .decode import Source

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Label:
    """A label, how probable it is, in [0, 1], and the model's output for it as it is."""

    label: str
    probability: float
    score: float


class Classifier:
    """The model, ready to use; `folder` holds its files, `threads` is how many it computes on."""

    def __init__(self, folder: Path = FOLDER, threads: int = 1) -> None:
        self.contract = read_contract(folder / "contract.json")
        check_rules(self.contract)
        self._engine = Engine(folder, threads)

    def classify(self, image: Source) -> list[Label]:
        """The labels, the most probable first, of a path, a file's bytes, a Pillow image, or uint8 pixels RGB or gray.

        Raises InputError for what is no image, or too large.
        """
        scores = self.scores(self.prepare(image))
        shares = _softmax(scores) if self.contract.output_meaning == "logits" else scores
        order = (-scores).argsort(kind="stable").tolist()
        return [Label(self.contract.labels[i], float(shares[i]), float(scores[i])) for i in order]

    def prepare(self, image: Source) -> Pixels:
        """The image as the model takes it: uint8 [height, width, channels]."""
        height, width, channels = (int(side or 0) for side in self.contract.input.shape[1:])
        return fitted(image, height, width, channels)

    def scores(self, pixels: Pixels) -> Floats:
        """The model's outputs, float32 [labels], for pixels as `prepare` gives them."""
        return self._engine.run(pixels)


def _softmax(scores: Floats) -> Floats:
    shares: Floats = np.exp(scores - scores.max())
    shares /= shares.sum()
    return shares
