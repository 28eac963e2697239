"""Recipes: the tutorial's for all, one `tuned` for each architecture."""

from __future__ import annotations

import pytest

from edgecnn.errors import UsageError
from edgecnn.plugins import discover
from edgecnn.training.architecture import Architecture
from edgecnn.training.recipes import TUTORIAL, described, pick_recipe, recipes_of

ARCHITECTURES = discover(Architecture)


def test_the_tutorials_is_the_tutorials() -> None:
    assert (TUTORIAL.epochs, TUTORIAL.batch_size, TUTORIAL.optimizer, TUTORIAL.learning_rate) == (10, 32, "adam", 0.001)
    assert TUTORIAL.tests_each_epoch
    assert described(TUTORIAL) == "batch size 32, optimizer adam, learning rate 0.001, tests each epoch"


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
def test_every_architecture_has_a_best_that_keeps_away_from_the_test_images(architecture: Architecture) -> None:
    assert recipes_of(architecture)["tutorial"] is TUTORIAL
    best = pick_recipe(architecture, "tuned")
    assert not best.tests_each_epoch
    assert best.summary
    assert str(best.learning_rate) in described(best)


def test_a_misspelt_one_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="did you mean tuned"):
        pick_recipe(ARCHITECTURES["cnn"], "tunde")
