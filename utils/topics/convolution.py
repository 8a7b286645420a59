"""A convolution that is faster on a CPU where it gives an image: lessons 07 and 09."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers


@keras.saving.register_keras_serializable("lessons")
class ConvToImage(layers.Conv2D):
    """A Conv2D with the same weights and results, faster on a CPU where three channels come out.

    It is computed as a transposed convolution, with its kernel turned around, so that the three
    channels go in where gradients are taken. Arguments as those of Conv2D.

    Raises:
        ValueError: the kernel is not square, of an odd size from 3 on, or an argument changes
            what is summed: strides, dilation, groups, use_bias=False, channels_first.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        height, width = self.kernel_size
        plain = {
            "kernel_size": height == width and height % 2 == 1 and height > 1,
            "strides": tuple(self.strides) == (1, 1),
            "dilation_rate": tuple(self.dilation_rate) == (1, 1),
            "groups": self.groups == 1,
            "use_bias": self.use_bias,
            "data_format": self.data_format == "channels_last",
        }
        for name, is_plain in plain.items():
            if not is_plain:
                raise ValueError(
                    f"ConvToImage cannot compute {name}={getattr(self, name)!r}: it is for square "
                    "kernels of 3, 5, 7, ... with strides 1 and a bias. Take a layers.Conv2D."
                )

    def call(self, x: tf.Tensor) -> tf.Tensor:
        kernel = tf.transpose(self.kernel[::-1, ::-1], (0, 1, 3, 2))
        x = keras.ops.conv_transpose(x, kernel, 1, "same")
        if self.padding == "valid":
            edge = self.kernel_size[0] // 2
            x = x[:, edge:-edge, edge:-edge]
        return self.activation(x + self.bias)
