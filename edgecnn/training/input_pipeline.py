"""Images on their way into a training: uint8 in memory, batches of float32 in [0, 1] with their targets out.

What is drawn for an epoch (order, flips, shifts) comes from NumPy, from the seed and the epoch's number alone, so it
does not depend on threads, on TensorFlow's generators or on where a training was interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgecnn.arrays import Indices, Pixels
    from edgecnn.training.recipes import Recipe


EVALUATION_BATCH = 500
AHEAD = 4  # batches made while a step is computed


class Feed:
    """A split of a data set in memory.

    Targets are int64 [N] labels or, where they are `soft`, float32 [N, 2, classes]: first the shares that are to
    be learnt, then the label as one share, for a figure of accuracy that means the label.
    """

    def __init__(self, images: Pixels, labels: Indices, classes: int, *, soft: bool) -> None:
        import tensorflow as tf

        self._count, self._classes, self._soft = len(images), classes, soft
        self._side: tuple[int, int] = images.shape[1:3]
        with tf.device("CPU"):  # batches are made there, whatever computes the steps
            self._images, self._labels = tf.constant(images), tf.constant(labels)

    def steps(self, batch_size: int) -> int:
        """How many batches make an epoch."""
        return -(-self._count // batch_size)

    def in_order(self, batch_size: int = EVALUATION_BATCH) -> Any:
        """A tf.data.Dataset of (images, targets), as they lie."""
        import numpy as np

        return self._batches((np.arange(self._count),), batch_size, self._plain)

    def epoch(self, recipe: Recipe, seed: int, number: int, teacher: Any = None) -> Any:
        """A tf.data.Dataset of (images, targets) for one epoch: shuffled, moved about, taught by `teacher`."""
        import numpy as np

        generator = np.random.default_rng([seed, number])
        order = generator.permutation(self._count)
        if not (recipe.random_flip or recipe.random_shift or self._soft):
            return self._batches((order,), recipe.batch_size, self._plain)
        rows, columns = (generator.integers(-recipe.random_shift, recipe.random_shift + 1, self._count) for _ in "yx")
        flipped = (generator.random(self._count) < 0.5) & recipe.random_flip

        def moved(indices: Any, down: Any, right: Any, flip: Any) -> tuple[Any, Any]:
            images = _moved(self._pixels(indices), self._side, down, right, flip)
            return images, self._taught(indices, images, recipe, teacher)

        return self._batches((order, rows, columns, flipped), recipe.batch_size, moved)

    def _batches(self, draws: tuple[Any, ...], batch_size: int, make: Callable[..., tuple[Any, Any]]) -> Any:
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(draws).batch(batch_size).map(make).prefetch(AHEAD)

    def _plain(self, indices: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        labels = tf.gather(self._labels, indices)
        if self._soft:
            shares = tf.one_hot(labels, self._classes)
            labels = tf.stack([shares, shares], axis=1)
        return _scaled(self._pixels(indices)), labels

    def _pixels(self, indices: Any) -> Any:
        import tensorflow as tf

        return tf.gather(self._images, indices)

    def _taught(self, indices: Any, images: Any, recipe: Recipe, teacher: Any) -> Any:
        """The targets of a batch: labels, smoothed labels, or what a teacher thinks of these very pixels."""
        import tensorflow as tf

        labels = tf.gather(self._labels, indices)
        if not self._soft:
            return labels
        shares = tf.one_hot(labels, self._classes)
        learnt = shares * (1 - recipe.label_smoothing) + recipe.label_smoothing / self._classes
        if teacher is not None:
            opinion = tf.nn.softmax(teacher(images, training=False) / recipe.distillation_temperature)
            learnt = learnt * (1 - recipe.distillation_alpha) + opinion * recipe.distillation_alpha
        return tf.stack([learnt, shares], axis=1)


def _scaled(pixels: Any) -> Any:
    import tensorflow as tf

    return tf.cast(pixels, tf.float32) / 255.0


def _moved(pixels: Any, side: tuple[int, int], down: Any, right: Any, flip: Any) -> Any:
    """Float images [N, H, W, C], each moved and flipped by its own draw; what comes in at a border is mirrored."""
    import tensorflow as tf

    height, width = (tf.range(length, dtype=tf.int64)[tf.newaxis] for length in side)
    rows = _mirrored(height + down[:, tf.newaxis], side[0])
    columns = tf.where(flip[:, tf.newaxis], side[1] - 1 - width, width)
    columns = _mirrored(columns + right[:, tf.newaxis], side[1])
    pixels = tf.gather(pixels, rows, axis=1, batch_dims=1)
    return _scaled(tf.gather(pixels, columns, axis=2, batch_dims=1))


def _mirrored(places: Any, length: int) -> Any:
    """Places outside [0, length) as seen in a mirror at the border, which is not doubled."""
    import tensorflow as tf

    places = tf.abs(places)
    return tf.where(places >= length, 2 * (length - 1) - places, places)
