"""How to train, as data: what one reads here is what happens. An architecture brings its own `tuned`.

`tutorial` is the TensorFlow tutorial's recipe, whatever the architecture. Choices in a `tuned` recipe are made on
images held out of the training set (`edgecnn train --validation-images`). Its test images are used once, at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from edgecnn.errors import unknown_name

if TYPE_CHECKING:
    from edgecnn.training.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train. The defaults are the tutorial's: constant rate, images as they are, one label each."""

    name: str
    summary: str
    epochs: int
    batch_size: int
    optimizer: str  # "adam", "adamw", "sgd": with Nesterov's momentum of 0.9
    learning_rate: float  # the highest, where it has a schedule
    weight_decay: float = 0.0  # decoupled, "adamw" only
    warmup_epochs: float = 0.0  # the rate rises from 0 in a line, then falls to 0 along a cosine
    lr_schedule: bool = False
    random_flip: bool = False  # half of the images, left to right
    random_shift: int = 0  # pixels at most, up or down and left or right; what is missing is mirrored
    label_smoothing: float = 0.0  # share of the target that is spread over all classes
    distillation_alpha: float = 0.0  # share of the teacher in the target, where one is given; the rest is the label
    distillation_temperature: float = 1.0  # the teacher's logits are divided by it
    tests_each_epoch: bool = False  # test images for validation, as the tutorial does


TUTORIAL = Recipe(
    name="tutorial",
    summary="the TensorFlow tutorial's: Adam's defaults, test images for validation",
    epochs=10,
    batch_size=32,
    optimizer="adam",
    learning_rate=0.001,
    tests_each_epoch=True,
)


def recipes_of(architecture: Architecture) -> dict[str, Recipe]:
    """The recipes an architecture can be trained by, by name."""
    return {recipe.name: recipe for recipe in (TUTORIAL, *architecture.recipes)}


def pick_recipe(architecture: Architecture, name: str) -> Recipe:
    """The architecture's recipe of that name; raises UsageError with the nearest names."""
    recipes = recipes_of(architecture)
    if name not in recipes:
        raise unknown_name("recipe", name, recipes)
    return recipes[name]


def described(recipe: Recipe) -> str:
    """Every setting other than the epochs that differs from the defaults, in one line."""
    words = []
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if field.name not in ("name", "summary", "epochs") and value != field.default:
            words.append(field.name.replace("_", " ") + ("" if value is True else f" {value}"))
    return ", ".join(words)
