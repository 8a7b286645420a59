"""What a network that makes images larger is built with: lesson 09."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable("lessons")
class PixelShuffle(layers.Layer):
    """Makes an image larger: (n, h, w, 4 c) -> (n, 2 h, 2 w, c) (Shi et al. 2016, eq. 4).

    Four channels become the four pixels of a square.
    """

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.depth_to_space(x, 2)  # keras.ops has it from 3.15 on


@keras.saving.register_keras_serializable("lessons")
class LikeNearest(keras.initializers.Initializer):
    """Weights for a convolution before `PixelShuffle` that begins as a nearest-neighbour resize.

    The four channels that become one square start alike, so the untrained network draws no
    checkerboard (Aitken et al. 2017).

    Args:
        seed: of the weights; by default another for each.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
        one = keras.initializers.HeNormal(self.seed)((*shape[:-1], shape[-1] // 4), dtype)
        return keras.ops.concatenate([one] * 4, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {"seed": self.seed}
