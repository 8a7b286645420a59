"""What CycleGAN's networks and training step are built with (Zhu et al. 2017): lesson 07."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from utils.options import at_least


@keras.saving.register_keras_serializable("lessons")
class ReflectionPadding2D(layers.Layer):
    """Adds a border that mirrors the image: (n, h, w, c) -> (n, h + 2 padding, w + 2 padding, c).

    Args:
        padding: width of the border in pixels, less than the image's own height and width.
    """

    def __init__(self, padding: int, **options: Any) -> None:
        super().__init__(**options)
        self.padding = padding

    def call(self, x: tf.Tensor) -> tf.Tensor:
        side = (self.padding, self.padding)
        return keras.ops.pad(x, ((0, 0), side, side, (0, 0)), mode="reflect")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding}


@keras.saving.register_keras_serializable("lessons")
class InstanceNorm(layers.Layer):
    """Subtracts the mean of each channel of each image and divides by its deviation.

    (n, h, w, c) -> the same (Ulyanov et al. 2016, eq. 3). The results are those of a
    GroupNormalization with groups=-1 and epsilon 1e-5, and come faster on a CPU: the channels of
    all images become those of one image, for which TensorFlow has a single operation.

    Args:
        center: add a learned offset to each channel, 0 at first.
        scale: multiply each channel by a learned factor, 1 at first.
    """

    def __init__(self, center: bool = False, scale: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.center = center
        self.scale = scale

    def build(self, shape: tuple[int | None, ...]) -> None:
        def weight(name: str, initial: str) -> keras.Variable:
            return self.add_weight(shape[-1:], initial, name=name, autocast=False)

        self.gamma = weight("gamma", "ones") if self.scale else None
        self.beta = weight("beta", "zeros") if self.center else None

    def call(self, x: tf.Tensor) -> tf.Tensor:
        n, h, w, c = tf.unstack(tf.shape(x))
        x = tf.reshape(tf.transpose(x, (1, 2, 0, 3)), (1, h, w, n * c))
        gamma = tf.ones(n * c) if self.gamma is None else tf.tile(self.gamma, [n])
        beta = tf.zeros(n * c) if self.beta is None else tf.tile(self.beta, [n])
        x, *_ = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=1e-5)
        return tf.cast(tf.transpose(tf.reshape(x, (h, w, n, c)), (2, 0, 1, 3)), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "center": self.center, "scale": self.scale}

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


class ImagePool(tf.Module):
    """Up to `size` earlier fakes, kept in variables (Shrivastava et al. 2017, section 2.3).

    Args:
        size: images to keep; 1 is hardly a pool.
        shape: of one image.
        rng: draws what is exchanged.
    """

    def __init__(self, size: int, shape: tuple[int, ...], rng: tf.random.Generator) -> None:
        super().__init__()
        at_least(1, size=size)
        self.images = tf.Variable(tf.zeros((size, *shape)), trainable=False)
        self.count = tf.Variable(0, trainable=False)
        self.size = size
        self.rng = rng

    def exchange(self, fakes: tf.Tensor) -> tf.Tensor:
        """Put fakes in, (n, *shape), and return as many: half of them are older ones.

        Until the pool is full, it keeps every fake and returns the same. Then each fake is
        returned with probability 1/2, or else takes the place of an older one, drawn at random,
        which is returned.
        """
        given = []
        for fake in tf.unstack(fakes):
            full = self.count == self.size
            slot = tf.where(full, self.rng.uniform((), 0, self.size, tf.int32), self.count)
            swap = full & (self.rng.uniform(()) < 0.5)
            old = self.images[slot]
            given.append(tf.where(swap, old, fake))
            self.images.scatter_nd_update([[slot]], [tf.where(full & ~swap, old, fake)])
            self.count.assign(tf.minimum(self.count + 1, self.size))
        return tf.stack(given)
