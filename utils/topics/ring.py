"""A ring of eight Gaussians in the plane: how many of them does a generator find?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from utils import device, steps

MODES = 8
RADIUS = 2.0
DEVIATION = 0.02  # standard deviation of each Gaussian, in x and in y
ANGLES = 2 * np.pi * np.arange(MODES) / MODES
CENTRES = RADIUS * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype("float32")
LATENT_DIM = 16
BATCH = 256  # points of each kind, an update
TENTHS = 10  # the points are counted after each tenth of the updates
COUNTED = 2500  # points


class Run(NamedTuple):
    """What `play` returns: one entry after each tenth of the updates.

    Attributes:
        modes: how many Gaussians have at least 1 % of the points.
        good: share of the points that lie within three standard deviations of a centre.
        points: float32 (10, 2500, 2), drawn from the same z each time.
    """

    modes: list[int]
    good: list[float]
    points: np.ndarray


class Drawn:
    """Hands out what is drawn already, in order, where a step asks for random numbers.

    Args:
        numbers: (count, ...), an entry for each time it is asked.
    """

    def __init__(self, numbers: tf.Tensor) -> None:
        self.left = iter(tf.unstack(numbers))

    def normal(self, shape: tuple[int, int]) -> tf.Tensor:
        """Return the next entry."""
        return next(self.left)


@device.alone()
def play(
    generator_loss: Callable[[tf.Tensor], tf.Tensor],
    discriminator_loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    rate: float = 1e-3,
    updates: int = 15_000,
    seed: int = 0,
) -> Run:
    """Train a GAN on the ring, and count the Gaussians that it finds on the way.

    An experiment of Mao et al. 2017, with networks and numbers of our own. D learns first.

    Args:
        generator_loss: fake_logits -> scalar.
        discriminator_loss: (real_logits, fake_logits) -> scalar.
        rate: learning rate of both networks.
        updates: of each network, at least ten.
        seed: decides weights, points and z; two losses with the same seed start equal.
    """
    generator, discriminator = networks(seed)
    g_optimizer, d_optimizer = (keras.optimizers.Adam(rate, beta_1=0.5) for _ in range(2))
    g_optimizer.build(generator.trainable_variables)
    d_optimizer.build(discriminator.trainable_variables)
    trained = generator, discriminator, g_optimizer, d_optimizer
    losses = generator_loss, discriminator_loss

    @tf.function  # without XLA, whose products inside a loop are ten times as slow on a CPU
    def train(first: tf.Tensor, after: tf.Tensor) -> None:
        for step in tf.range(first, after):
            real, z = batch(seed, step)
            steps.gan_step(*trained, *losses, Drawn(z), BATCH, LATENT_DIM)(real)

    z = tf.random.stateless_normal((COUNTED, LATENT_DIM), (seed, -1), alg="philox")
    run = Run([], [], np.empty((TENTHS, COUNTED, 2), "float32"))
    ends = np.linspace(0, updates, TENTHS + 1).astype("int32")
    with device.precision("float32"):
        for i in range(TENTHS):
            train(tf.constant(ends[i]), tf.constant(ends[i + 1]))
            run.points[i] = generator(z, training=True)
            modes, good = count(run.points[i])
            run.modes.append(modes)
            run.good.append(good)
    return run


def networks(seed: int) -> tuple[keras.Model, keras.Model]:
    """Build the generator, (n, 16) -> (n, 2), and the discriminator, (n, 2) -> logits (n, 1)."""
    weights = (keras.initializers.GlorotUniform(1000 * seed + i) for i in range(6))

    def network(inputs: int, outputs: int) -> keras.Model:
        hidden = [layers.Dense(128, "relu", kernel_initializer=next(weights)) for _ in range(2)]
        last = layers.Dense(outputs, kernel_initializer=next(weights))
        return keras.Sequential([layers.Input((inputs,)), *hidden, last])

    return network(LATENT_DIM, 2), network(2, 1)


def batch(seed: int, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the real points (256, 2) of an update, and its z for D and for G, (2, 256, 16)."""
    of_modes, of_points, of_z = (tf.stack([seed * 3 + i, step]) for i in range(3))
    modes = tf.random.stateless_uniform((BATCH,), of_modes, 0, MODES, tf.int32, alg="philox")
    noise = tf.random.stateless_normal((BATCH, 2), of_points, stddev=DEVIATION, alg="philox")
    z = tf.random.stateless_normal((2, BATCH, LATENT_DIM), of_z, alg="philox")
    return tf.gather(CENTRES, modes) + noise, z


def count(points: np.ndarray) -> tuple[int, float]:
    """Return how many Gaussians have at least 1 % of the points (n, 2), and the good share.

    A point is good, and belongs to a Gaussian, within three standard deviations of its centre.
    """
    distances = np.linalg.norm(points[:, None] - CENTRES, axis=-1)  # (n, 8)
    shares = np.mean(distances <= 3 * DEVIATION, axis=0)
    return int(np.sum(shares >= 0.01)), float(np.sum(shares))


def thinned(points: np.ndarray, n: int = 150) -> list:
    """Return n points after every second tenth as plain numbers, (5, n, 2), for `film`."""
    return points[1::2, :n].astype("float64").round(2).tolist()


def film(rows: dict[str, Sequence], heads: Sequence[str]) -> None:
    """Draw points over time: a row a name, a column a head; centres of the ring in grey.

    Args:
        rows: name -> as many arrays of points (n, 2) as there are heads.
        heads: what stands above the columns.
    """
    size = 1.5 * len(heads), 1.5 * len(rows) + 0.3
    figure, grid = plt.subplots(len(rows), len(heads), figsize=size, layout="constrained")
    for name, all_axes in zip(rows, np.reshape(grid, (len(rows), -1)), strict=True):
        for axes, points in zip(all_axes, rows[name], strict=True):
            axes.scatter(*CENTRES.T, s=60, color="#d9d9d9", linewidths=0)
            axes.scatter(*np.transpose(points), s=2, color="#d95f02", linewidths=0)
            axes.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal")
            axes.grid(False)
        all_axes[0].set_ylabel(name, fontsize=9)
    for axes, head in zip(figure.axes, heads, strict=False):
        axes.set_title(head, fontsize=9)
    plt.show()
