"""Which nodes of a graph are compute nodes: one rule for all runtimes, so that placements can be compared."""

from __future__ import annotations

WORDS = ("conv", "dense", "fullyconnected", "gemm", "matmul", "pool")
MEAN = frozenset({"mean", "reducemean"})  # what converters make of a global average pooling


def is_compute_node(kind: str) -> bool:
    """Whether an ONNX, TFLite or TensorFlow operator, or a Keras layer class, is a convolution, dense or pooling."""
    name = kind.lower().replace("_", "")
    return name in MEAN or any(word in name for word in WORDS)
