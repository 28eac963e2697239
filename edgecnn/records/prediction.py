"""What `edgecnn predict --json` prints: one of these per line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class LabelProbability:
    """A label of labels that exclude each other."""

    label: str
    probability: float  # in [0, 1]; over all labels the sum is 1


@dataclass(frozen=True, kw_only=True)
class LabelScore:
    """A label that holds or not whatever the others do."""

    label: str
    score: float  # in [0, 1]


@dataclass(frozen=True, kw_only=True)
class ImagePrediction:
    """The most probable labels of an image, best first."""

    image: str  # path, "-" for standard input
    predictions: tuple[LabelProbability, ...]


@dataclass(frozen=True, kw_only=True)
class ImageScores:
    """The labels of an image with the highest scores, best first."""

    image: str  # path, "-" for standard input
    predictions: tuple[LabelScore, ...]


@dataclass(frozen=True, kw_only=True)
class ImageError:
    """An image that cannot be used."""

    image: str  # path, "-" for standard input
    error: str  # one sentence
