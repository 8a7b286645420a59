"""Discriminators and critics of two discs of points in the plane that do not overlap."""

from __future__ import annotations

from collections.abc import Callable

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers

from utils import device

RADIUS = 0.5  # of both discs
REAL, FAKE = "#1f77b4", "#d95f02"  # colours
HIDDEN = 64  # units of each of three layers
RATE = 2e-3  # of Adam
BATCH = 128  # points of each kind, an update

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Penalty = Callable[[keras.Model, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def discs(gap: float, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return real points and fakes, float32 (n, 2) each, spread evenly over two discs.

    One disc is the other, moved by `gap` + 1 along the first axis. So their earth mover's
    distance is `gap` + 1, and as they do not overlap, their Jensen-Shannon divergence is log 2
    for every gap above 0.

    Args:
        gap: between the edges of the discs.
        n: points of each kind.
        seed: decides where they lie.
    """
    rng = np.random.default_rng(seed)
    distance = RADIUS * np.sqrt(rng.uniform(size=(2, n)))
    angle = rng.uniform(0, 2 * np.pi, (2, n))
    points = distance[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    centre = np.array([gap / 2 + RADIUS, 0])
    real, fake = points
    return (real + centre).astype("float32"), (fake - centre).astype("float32")


def network(seed: int) -> keras.Model:
    """Build a discriminator or critic: points (n, 2) -> (n, 1)."""
    weights = [keras.initializers.HeNormal(seed + i) for i in range(4)]
    hidden = [layers.Dense(HIDDEN, "relu", kernel_initializer=w) for w in weights[:3]]
    last = layers.Dense(1, kernel_initializer=weights[3])
    return keras.Sequential([layers.Input((2,)), *hidden, last])


@device.alone()
def trained(
    loss: Loss,
    gap: float,
    penalty: Penalty | None = None,
    clip: float | None = None,
    updates: int = 1000,
    seed: int = 0,
) -> keras.Model:
    """Train a network to tell two discs apart, and return it. Nothing moves the fakes.

    Args:
        loss: (real_outputs, fake_outputs) -> scalar.
        gap: between the discs.
        penalty: (network, real, fake, alpha) -> scalar, added to the loss; alpha is (n, 1),
            from 0 to 1, a number for each pair of points.
        clip: all weights are set back into [-clip, clip] after each update (Arjovsky et al.
            2017, alg. 1).
        updates: how often.
        seed: decides weights and points.
    """
    made = network(seed)
    optimizer = keras.optimizers.Adam(RATE, beta_1=0.0, beta_2=0.9)
    optimizer.build(made.trainable_variables)
    real, fake = (tf.constant(x) for x in discs(gap, BATCH * 8, seed))
    rng = tf.random.Generator.from_seed(seed)

    @tf.function
    def update() -> None:
        chosen = rng.uniform((2, BATCH), maxval=len(real), dtype=tf.int32)
        real_batch = tf.gather(real, chosen[0])
        fake_batch = tf.gather(fake, chosen[1])
        with tf.GradientTape() as tape:
            total = loss(made(real_batch, training=True), made(fake_batch, training=True))
            if penalty:
                alpha = rng.uniform((BATCH, 1))
                total += penalty(made, real_batch, fake_batch, alpha)
        variables = made.trainable_variables
        optimizer.apply(tape.gradient(total, variables), variables)
        for variable in variables if clip else ():
            variable.assign(tf.clip_by_value(variable, -clip, clip))

    with device.precision("float32"):
        for _ in range(updates):
            update()
    return made


def pull(made: keras.Model, loss: Callable[[tf.Tensor], tf.Tensor], fake: np.ndarray) -> np.ndarray:
    """Return what G's loss does to each fake: minus its gradient, (n, 2).

    Args:
        made: the discriminator or critic.
        loss: of G, fake_outputs -> scalar, a mean over the fakes.
        fake: points, (n, 2).
    """
    points = tf.constant(fake)
    with tf.GradientTape() as tape:
        tape.watch(points)
        total = len(fake) * loss(made(points, training=True))  # the loss is a mean
    return -tape.gradient(total, points).numpy()


def show(rows: dict[str, tuple[keras.Model, Callable, np.ndarray]], gap: float) -> None:
    """Draw each network's outputs as contour lines, with both discs and the pull on the fakes.

    Args:
        rows: by title: the network, what makes of its outputs that which is drawn, and the pull
            on the fakes of `discs(gap, n)`, (n, 2).
        gap: between the discs.
    """
    edge = gap / 2 + 2.5 * RADIUS
    x = np.linspace(-edge - 0.5, edge + 0.5, 81)
    y = np.linspace(-1.5, 1.5, 41)
    plane = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype("float32")
    figure, all_axes = plt.subplots(len(rows), 1, figsize=(7, 1.9 * len(rows)), squeeze=False)
    for axes, (title, (made, output, pulls)) in zip(all_axes[:, 0], rows.items(), strict=True):
        values = np.asarray(output(made(plane, training=False))).reshape(len(y), len(x))
        real, fake = discs(gap, len(pulls))
        lines = axes.contour(x, y, values, 9, colors="gray", linewidths=0.8)
        axes.clabel(lines, fontsize=7)
        axes.scatter(*real.T, s=4, color=REAL, label="real")
        axes.scatter(*fake.T, s=4, color=FAKE, label="fake")
        arrows = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.003, "zorder": 3}
        axes.quiver(*fake[:12].T, *pulls[:12].T, **arrows)
        axes.set_title(title, fontsize=9)
        axes.set(aspect="equal", xticks=[], yticks=[])
        axes.grid(visible=False)
    all_axes[0, 0].legend(loc="upper center", fontsize=7, ncols=2)
    figure.tight_layout()
    plt.show()
