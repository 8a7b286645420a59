"""What two or more lessons build their networks with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers


def summary(network: keras.Model) -> None:
    """Print one line per layer (kind, output shape without the batch, parameters) and the sum.

    A layer that is a network itself is printed by its name.
    """
    for layer in network.layers:
        kind = layer.name if isinstance(layer, keras.Model) else type(layer).__name__
        outputs = keras.tree.flatten(layer.output)
        shapes = ", ".join(" x ".join(str(n) for n in output.shape[1:]) for output in outputs)
        print(f"{kind:20}{shapes:>14}{layer.count_params():>12,}")
    print(f"{'parameters':20}{network.count_params():>26,}")


def dcgan_generator(
    latent_dim: int, channels: Sequence[int], batch_norm: bool = True
) -> keras.Model:
    """Build the generator of lesson 02: z (n, latent_dim) -> images (n, 28, 28, 1) in [-1, 1].

    Args:
        latent_dim: length of z.
        channels: of the maps of 4 x 4, 8 x 8 and 16 x 16 pixels.
        batch_norm: False leaves batch normalisation out; biases take its place.
    """
    first, *others = channels
    bias = not batch_norm
    x = [
        layers.Input((latent_dim,)),
        layers.Dense(4 * 4 * first, use_bias=bias, kernel_initializer=_normal(0.0)),
        layers.Reshape((4, 4, first)),
        *_normalised(layers.ReLU(), batch_norm),
    ]
    for number in others:
        x += [layers.Conv2DTranspose(number, use_bias=bias, **_stride_2())]
        x += _normalised(layers.ReLU(), batch_norm)
    x += [layers.Conv2DTranspose(1, **_stride_2())]
    return keras.Sequential([*x, layers.Activation("tanh"), layers.Cropping2D(2)])


def dcgan_discriminator(
    channels: Sequence[int], noise: float, batch_norm: bool = True, inputs: int = 1
) -> keras.Model:
    """Build the discriminator of lesson 02: images (n, 28, 28, inputs) -> logits (n, 1).

    Args:
        channels: as of `dcgan_generator`; here the last is the first, at 14 x 14 pixels.
        noise: standard deviation of the normal noise on its input, in training only
            (Arjovsky and Bottou 2017, section 3). 0: there is no such layer.
        batch_norm: False leaves batch normalisation out; biases take its place.
        inputs: channels of the images.
    """
    first, *others = reversed(channels)
    x = [
        layers.Input((28, 28, inputs)),
        *([layers.GaussianNoise(noise)] if noise else []),
        layers.Conv2D(first, **_stride_2()),
        layers.LeakyReLU(negative_slope=0.2),
    ]
    for number in others:
        x += [layers.Conv2D(number, use_bias=not batch_norm, **_stride_2())]
        x += _normalised(layers.LeakyReLU(negative_slope=0.2), batch_norm)
    x += [layers.Flatten(), layers.Dense(1, kernel_initializer=_normal(0.0))]
    return keras.Sequential(x)


def _normal(mean: float) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(mean, stddev=0.02)


def _stride_2() -> dict[str, Any]:
    return {"kernel_size": 4, "strides": 2, "padding": "same", "kernel_initializer": _normal(0.0)}


def _normalised(activation: keras.Layer, batch_norm: bool) -> list[keras.Layer]:
    norm = layers.BatchNormalization(gamma_initializer=_normal(1.0))
    return [norm, activation] if batch_norm else [activation]
