"""An .onnx file's bytes, against the onnx package."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.model_files.onnx_protobuf import layouts, nodes, with_outputs

onnx = pytest.importorskip("onnx")


def test_with_outputs_appends_what_the_onnx_package_would(tiny_onnx: Path) -> None:
    names = ["relu", "n" * 127, "ü" * 64, "long" * 5000]
    extended = onnx.load(tiny_onnx)
    extended.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    merged = onnx.load_model_from_string(with_outputs(tiny_onnx.read_bytes(), names))
    assert merged.SerializeToString(deterministic=True) == extended.SerializeToString(deterministic=True)


def test_nodes_are_those_the_onnx_package_reads(tiny_onnx: Path) -> None:
    expected = [
        (node.op_type, tuple(node.input), tuple(node.output),
         tuple(node.attribute[0].ints) if node.op_type == "Transpose" else ())
        for node in onnx.load(tiny_onnx).graph.node
    ]  # fmt: skip
    found = [(node.operator, node.inputs, node.outputs, node.order) for node in nodes(tiny_onnx.read_bytes())]
    assert found == expected


def test_layouts_follow_transposes_and_convolutions(tiny_onnx: Path) -> None:
    found = layouts(nodes(tiny_onnx.read_bytes()))
    assert (found["relu"], found["pool"], found["nhwc"]) == ("NCHW", "NCHW", "NHWC")
