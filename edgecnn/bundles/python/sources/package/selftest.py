"""Whether this computer gives the outputs that the model gave where the bundle was made."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING

from .classifier import FOLDER

if TYPE_CHECKING:
    from pathlib import Path

    from .classifier import Classifier


def self_test(classifier: Classifier, folder: Path = FOLDER) -> list[str]:
    """What does not fit, in sentences: the model's file, the labels, pixels and outputs of the golden images."""
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    problems = []
    if zlib.crc32((folder / golden["model"]).read_bytes()) != golden["model_crc32"]:
        problems.append("The model is not the file that was bundled.")
    if list(classifier.contract.labels) != golden["labels"]:
        problems.append("The labels were changed.")
    for number, image in enumerate(golden["images"]):
        pixels = classifier.prepare(base64.b64decode(image["png"]))
        if zlib.crc32(pixels.tobytes()) != image["pixels_crc32"]:
            problems.append(f"Golden image {number}: its pixels are prepared otherwise.")
        scores = classifier.scores(pixels).tolist()
        difference = max(abs(a - b) for a, b in zip(image["scores"], scores, strict=True))
        if not difference <= golden["bound"]:
            problems.append(f"Golden image {number}: its outputs differ by {difference:.3g}.")
    return problems
