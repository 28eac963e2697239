"""ResNet-8: MLPerf Tiny's network, layer for layer."""

from __future__ import annotations

from typing import Any

import pytest

from edgecnn.plugins import pick
from edgecnn.training.architecture import Architecture


@pytest.fixture(scope="module")
def model() -> Any:
    pytest.importorskip("tensorflow")
    resnet8 = pick(Architecture, "resnet8")
    return resnet8.build(resnet8.image_shape, 10)


def test_it_is_mlperf_tinys(model: Any) -> None:
    assert model.count_params() == 78_666
    assert (model.input_shape, model.output_shape) == ((None, 32, 32, 3), (None, 10))
    assert not model.compiled
    convolutions = [layer for layer in model.layers if "conv2d" in layer.name]
    assert [(c.filters, c.kernel_size[0], c.strides[0]) for c in convolutions] == [
        (16, 3, 1), (16, 3, 1), (16, 3, 1),
        (32, 3, 2), (32, 3, 1), (32, 1, 2),
        (64, 3, 2), (64, 3, 1), (64, 1, 2),
    ]  # fmt: skip
    for convolution in convolutions:
        assert convolution.padding == "same"
        assert convolution.kernel_regularizer.l2 == pytest.approx(1e-4)
        assert type(convolution.kernel_initializer).__name__ == "HeNormal"
    assert model.get_layer("average_pooling2d").pool_size == (8, 8)
    assert model.layers[-1].activation.__name__ == "linear", "logits come out"


def test_layers_have_keras_standard_names(model: Any) -> None:
    names = [layer.name for layer in model.layers]
    for kind, count in (("conv2d", 9), ("batch_normalization", 7), ("activation", 7), ("add", 3)):
        assert sorted(n for n in names if n.rstrip("_0123456789") == kind or n.startswith(f"{kind}_")) == sorted(
            [kind, *(f"{kind}_{i}" for i in range(1, count))]
        )
    assert names[0] == "image"
    assert names[-3:] == ["average_pooling2d", "flatten", "dense"]


def test_a_shortcut_takes_the_stacks_input_without_normalization(model: Any) -> None:
    for convolution, before, add in (
        ("conv2d_5", "activation_2", "add_1"), ("conv2d_8", "activation_4", "add_2"),
    ):  # fmt: skip
        layer = model.get_layer(convolution)
        assert layer.input is model.get_layer(before).output
        assert any(x is layer.output for x in model.get_layer(add).input)
