"""Int8 weights that no kernel can overflow on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgecnn.errors import InputError
from edgecnn.export.quantization.safe_weights import prove, safe_scales
from edgecnn.model_files.int8_overflow import MAX_PAIR_SUM, has_exact_kernels, int8_nodes, pair_sums

if TYPE_CHECKING:
    from edgecnn.run_directory import Run

onnx = pytest.importorskip("onnx")


def _adversarial(rows: int, columns: int) -> np.ndarray:
    """Rows whose largest weights are equal, apart by orders of magnitude, or halves after scaling."""
    random = np.random.default_rng(3)
    weights = random.normal(0, 1, (rows, columns)).astype(np.float32)
    weights[0] = 1
    weights[1] = np.where(random.random(columns) < 0.5, -1, 1)
    weights[2, 0] = 1000
    weights[3] *= np.float32(1e-30)
    weights[4] *= np.float32(1e30)
    weights[5, :2] = (63.5 / 64, 64.5 / 64)
    return weights


@pytest.mark.parametrize("axis", [0, 1])
def test_scales_keep_the_bound_and_no_smaller_ones_would(axis: int) -> None:
    weights = _adversarial(200, 27)
    scales = safe_scales(weights if axis == 0 else weights.T, axis)
    assert scales.dtype == np.float32
    quantized = np.round(weights / scales[:, None])
    assert np.abs(quantized).max() <= 127
    assert pair_sums(quantized).max() <= MAX_PAIR_SUM
    smaller = np.round(weights / (scales * 0.985)[:, None])
    assert ((pair_sums(smaller) > MAX_PAIR_SUM) | (np.abs(smaller).max(axis=1) > 127)).all()


def test_channels_of_zeros_and_of_one_weight() -> None:
    assert safe_scales(np.zeros((2, 3), np.float32), 0).tolist() == [1, 1]
    assert np.round(np.float32(5) / safe_scales(np.full((1, 1), 5, np.float32), 0)) == 127


def test_the_export_records_the_proof(run: Run) -> None:
    artifacts = {artifact.format: artifact for artifact in run.artifacts().artifacts}
    proof = artifacts["onnx_int8"].int8_safety
    assert proof is not None
    nodes = int8_nodes(onnx.load(run.path(artifacts["onnx_int8"].path)))
    assert (proof.nodes, proof.channels) == (len(nodes), sum(node.channels for node in nodes))
    assert proof.nodes == 6, "three convolutions, two dense layers, and the one that widens the image"
    assert proof.max_pair_sum == max(node.pair_sum for node in nodes) <= proof.allowed_pair_sum == MAX_PAIR_SUM
    assert bool(proof.images_compared) == has_exact_kernels()
    assert artifacts["tflite_int8"].int8_safety is None


def test_mixed_precision_keeps_the_bound(run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    from edgecnn.export.exporter import source_of
    from edgecnn.export.format import ExportOptions
    from edgecnn.export.onnx_file import float_graph, weighted_nodes
    from edgecnn.export.quantization.onnx_qdq import quantized

    source, _ = source_of(run, ExportOptions())
    original, _ = float_graph(source)
    kept = weighted_nodes(original)["conv2d_1"]
    model = quantized(source, original, kept, str(tmp_path_factory.mktemp("quantized")))
    nodes = {node.name: node for node in int8_nodes(onnx.ModelProto.FromString(model))}
    assert not set(kept) & set(nodes)
    assert len(nodes) == 5
    assert max(node.pair_sum for node in nodes.values()) <= MAX_PAIR_SUM


def test_a_file_that_can_overflow_is_refused_by_the_nodes_name(run: Run) -> None:
    artifact = next(artifact for artifact in run.artifacts().artifacts if artifact.format == "onnx_int8")
    model = onnx.load(run.path(artifact.path))
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "conv2d_1/kernel_quantized")
    values = onnx.numpy_helper.to_array(weights).copy()
    values[3] = 0
    values[3].flat[:2] = (100, -29)
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    with pytest.raises(InputError, match="Two weights of conv2d_1/Conv add up to 129 where 128 is the most"):
        prove(model.SerializeToString(), np.zeros((0, 32, 32, 3), np.uint8), batch=64)
