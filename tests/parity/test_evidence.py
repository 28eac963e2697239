"""What a part of the images proves of an emulated CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn.execution.targets import ExportTarget, on_cpus
from edgecnn.export.format import Format, Gate
from edgecnn.parity.evaluation import InferenceResult
from edgecnn.parity.evidence import against_native, evidence
from edgecnn.parity.metrics import agreement
from edgecnn.parity.outputs import part
from edgecnn.parity.verdict import verdict
from edgecnn.plugins import pick
from edgecnn.records import Artifact, Placement, TensorSpec
from edgecnn.runtimes.runtime import Runtime

IMAGES, CLASSES = 10_000, 10
STRICT = Gate(tolerance_points=0.05, min_agreement=0.999)
SPEC = TensorSpec(name="image", dtype="uint8", shape=(None, 8, 8, 3))
ARTIFACT = Artifact(
    format="onnx_float32", path="a.onnx", size_bytes=1, sha256="", input=SPEC, output=SPEC, content_sha256=""
)
NATIVE = ExportTarget(
    ARTIFACT, pick(Runtime, "onnxruntime"), "cpu", Path("a.onnx"), format=pick(Format, "onnx_float32")
)
(EMULATED,) = on_cpus([NATIVE, replace(NATIVE, provider="cuda")], ["haswell", "haswell"])

RANDOM = np.random.default_rng(1)
KERAS = RANDOM.normal(0, 3, (IMAGES, CLASSES)).astype(np.float32)
LABELS = np.where(RANDOM.random(IMAGES) < 0.8, KERAS.argmax(axis=1), 0)


def asked(pair: ExportTarget, logits: np.ndarray, indices: np.ndarray, *, labelled: bool = True) -> InferenceResult:
    found = agreement(KERAS[indices], logits, LABELS[indices] if labelled else None)
    return InferenceResult(
        pair, logits, indices, Placement(device="cpu", compute_nodes={}, other_nodes={}), 0.0, found, None
    )


def emulated(
    change: np.ndarray | float, images: int, *, labelled: bool = True
) -> tuple[InferenceResult, list[InferenceResult]]:
    """A pair that changes outputs by `change` on an emulated CPU, and all pairs: the native one first."""
    indices = part(IMAGES, images)
    native = asked(NATIVE, KERAS, np.arange(IMAGES), labelled=labelled)
    one = asked(EMULATED, (KERAS[indices] + change).astype(np.float32), indices, labelled=labelled)
    return one, [native, one]


@pytest.mark.parametrize("labelled", [True, False])
def test_fifty_images_prove_a_float_file_where_outputs_hardly_change(labelled: bool) -> None:
    noise = RANDOM.uniform(-2e-6, 2e-6, (50, CLASSES))
    for change in (0.0, noise):
        one, every = emulated(change, 50, labelled=labelled)
        seen = evidence(one, every, LABELS[one.indices] if labelled else None)
        assert seen.extrapolated_from == NATIVE.name == one.target.name.removesuffix(", haswell")
        assert verdict(seen.agreement, seen.steps, STRICT, seen.images, seen.open_share) == ("pass", "")
    assert against_native(*emulated(0.0, 50)) is not None
    assert against_native(every[0], every) is None


def test_a_few_images_that_change_more_cost_little() -> None:
    """As where a value lies between two steps of a scale that is computed for each image."""
    noise = np.zeros((1_000, CLASSES))
    noise[:5] = 0.005
    one, every = emulated(noise, 1_000)
    seen = evidence(one, every, LABELS[one.indices])
    assert 0 < seen.open_share < 0.0005
    assert seen.change is not None
    assert seen.change.high_points == pytest.approx(0.03 + 100 * seen.open_share, abs=0.001)


def test_where_outputs_change_much_the_images_are_counted() -> None:
    noise = RANDOM.uniform(-0.02, 0.02, (1_000, CLASSES))
    one, every = emulated(noise, 1_000)
    seen, direct = evidence(one, every, LABELS[one.indices]), every[0].agreement.paired
    assert seen.change is not None and direct is not None
    assert (seen.extrapolated_from, seen.images, seen.open_share) == (NATIVE.name, 1_000, 0.0)
    assert seen.change.low_points < direct.low_points - 0.1
    assert verdict(seen.agreement, seen.steps, Gate(0.05, 0.9), seen.images)[0] == "not proven"


def test_answers_that_are_lost_on_the_cpu_fail() -> None:
    one, every = emulated(RANDOM.normal(0, 3, (1_000, CLASSES)), 1_000)
    seen = evidence(one, every, LABELS[one.indices])
    assert verdict(seen.agreement, seen.steps, Gate(1.0, 0.5), seen.images)[0] == "fail"
    difference = against_native(one, every)
    assert difference is not None and difference.different_predictions > 200
    assert f"{difference.different_predictions} of 1,000 images classified differently" in difference.words
    broken = asked(EMULATED, np.full((50, CLASSES), np.nan, np.float32), part(IMAGES, 50))
    seen = evidence(broken, [every[0], broken], LABELS[broken.indices])
    assert verdict(seen.agreement, seen.steps, STRICT, seen.images) == ("fail", "some outputs are not finite")
    assert "not finite" in getattr(against_native(broken, [every[0], broken]), "words", "")


def test_without_a_native_row_the_part_stands_alone() -> None:
    one, _ = emulated(0.0, 50)
    seen = evidence(one, [one], LABELS[one.indices])
    assert (seen.extrapolated_from, seen.images) == ("", 50)
    assert verdict(seen.agreement, seen.steps, STRICT, seen.images)[0] == "not proven"


def test_a_smaller_part_lies_inside_a_larger() -> None:
    assert set(part(IMAGES, 50)) < set(part(IMAGES, 1_000)) < set(part(IMAGES, None))
    assert len(part(IMAGES, 50)) == 50 and len(part(30, 50)) == 30


def test_how_many_images_an_emulated_cpu_runs_depends_on_the_weights() -> None:
    most = {name: replace(EMULATED, format=pick(Format, name)).max_images for name in ("onnx_int8", "tflite_dynamic")}
    assert most == {"onnx_int8": 1_000, "tflite_dynamic": 1_000}
    assert replace(EMULATED, format=pick(Format, "tflite_float16")).max_images == EMULATED.max_images == 50
    assert NATIVE.max_images is None
