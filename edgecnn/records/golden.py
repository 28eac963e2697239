"""golden.json."""

from __future__ import annotations

from dataclasses import dataclass

from edgecnn.records.common import DataSource, Origin, target_name


@dataclass(frozen=True, kw_only=True)
class GoldenTarget:
    """The outputs of one export on one runtime."""

    format: str
    runtime: str
    provider: str
    outputs: tuple[tuple[float, ...], ...]  # one row per image

    @property
    def name(self) -> str:
        """The export and its runtime in words."""
        return target_name(self.format, self.runtime, self.provider)


@dataclass(frozen=True, kw_only=True)
class Golden:
    """golden.json of a pretrained run: the outputs of everything in it for synthetic images."""

    schema: int
    origin: Origin
    data: DataSource
    images: int
    images_sha256: str  # over the pixels
    reference: tuple[tuple[float, ...], ...]  # outputs of the trained model in Keras, one row per image
    targets: tuple[GoldenTarget, ...]
