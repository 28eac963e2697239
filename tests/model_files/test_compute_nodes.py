"""Compute nodes are counted alike whatever the framework."""

from __future__ import annotations

import pytest

from edgecnn.model_files.compute_nodes import is_compute_node
from edgecnn.model_files.onnx_graph import nodes_of, parse
from edgecnn.model_files.tflite_model import File
from edgecnn.pretrained import pretrained_runs

COMPUTE = """Conv2D DepthwiseConv2dNative CONV_2D TRANSPOSE_CONV QLinearConv FusedConv Dense FULLY_CONNECTED Gemm
    MatMulInteger MaxPooling2D MAX_POOL_2D GlobalAveragePool AvgPool Mean MEAN ReduceMean"""
OTHER = "Add ADD Relu BatchNormalization Reshape SOFTMAX QUANTIZE DEQUANTIZE Transpose PAD Concat BiasAdd"


@pytest.mark.parametrize("kind", COMPUTE.split())
def test_these_compute(kind: str) -> None:
    assert is_compute_node(kind)


@pytest.mark.parametrize("kind", OTHER.split())
def test_these_do_not(kind: str) -> None:
    assert not is_compute_node(kind)


@pytest.mark.parametrize(("run", "nodes"), [("cifar10-cnn", 7), ("cifar10-resnet8", 11)])
def test_the_formats_of_a_model_have_the_same_number(run: str, nodes: int) -> None:
    exports = pretrained_runs()[run] / "exports"
    graph = parse(exports / "onnx_float32.onnx").graph
    assert sum(is_compute_node(node.op_type) for node in nodes_of(graph)) == nodes
    for name in ("tflite_float32", "tflite_int8", "tflite_int8_micro"):
        kinds = File((exports / f"{name}.tflite").read_bytes()).kinds
        assert sum(map(is_compute_node, kinds)) == nodes, name
