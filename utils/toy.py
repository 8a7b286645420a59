"""A game between two networks in the plane, small enough to know what D should answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgba_array
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats

from utils import images, runtime

MEAN = np.array([1.0, 0.5])  # of the real points
COVARIANCE = np.array([[1.0, 0.6], [0.6, 0.8]])
REAL, FAKE, GROUND = "#1f77b4", "#d95f02", "#d9d9d9"  # colours
SURFACE = LinearSegmentedColormap.from_list("surface", ["#fdb863", "#ffffff", "#92c5de"])


@dataclass(frozen=True)
class Toy:
    """What `play` returns.

    Attributes:
        frames: pictures for `images.save_gif`, uint8 (1, height, width, 3): before G's first
            update and after each round.
        history: a dict a frame: step (G's updates so far); d_loss, d_real, d_fake, the loss and
            the mean scores of 2,000 points of each kind; value, V(D*, G) in closed form; mean
            and covariance, the distances of p_g's from the real ones.
        generator: (n, 2) -> (n, 2), affine.
        discriminator: (n, 2) -> (n, 1) logits.
    """

    frames: list[np.ndarray]
    history: list[dict[str, float]]
    generator: keras.Model
    discriminator: keras.Model


def play(
    generator_loss: Callable[[tf.Tensor], tf.Tensor],
    discriminator_loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    score: Callable[[tf.Tensor], tf.Tensor] = tf.sigmoid,
    rounds: int = 14,
    updates: int = 16,
    seed: int = 0,
    arrow: float = 0.5,
) -> Toy:
    """Train a GAN on points of a Gaussian, and draw D beside the best D there is.

    The generator is affine, G(z) = zW + b with z ~ N(0, I), so its points are a Gaussian too,
    and the best discriminator, D* = p_r / (p_r + p_g), is known (Goodfellow et al. 2014,
    prop. 1). D is updated ten times for each update of G, and 200 times more before a
    frame, so that it follows D*. A frame shows the score of D over the plane (orange 0, white
    1/2, blue 1, a line at 1/2; grey where there are hardly any points), real (blue) and
    generated points (orange) and, as arrows, minus the gradient of G's loss with respect to
    each point; at the right D*, with a line around 86 % of each Gaussian.

    Args:
        generator_loss: fake_logits -> scalar, a mean over the batch.
        discriminator_loss: (real_logits, fake_logits) -> scalar.
        score: turns a logit into what is drawn, 0 for fake to 1 for real.
        rounds: frames after the first one.
        updates: of G, a round.
        seed: decides weights and points; the same seed gives the same game.
        arrow: length of an arrow for a gradient of 1, in units of the plane.
    """
    generator, discriminator = _networks(seed)
    rate = keras.optimizers.schedules.CosineDecay(0.03, max(1, rounds * updates))
    g_optimizer = keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9)
    d_optimizer = keras.optimizers.Adam(0.01, beta_1=0.5)
    g_optimizer.build(generator.trainable_variables)
    d_optimizer.build(discriminator.trainable_variables)
    rng = tf.random.Generator.from_seed(seed)
    root = np.linalg.cholesky(COVARIANCE).T.astype("float32")

    def points(z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return z[0] @ root + MEAN.astype("float32"), generator(z[1], training=True)

    def answer(x: tf.Tensor) -> tf.Tensor:
        return discriminator(x, training=True)

    def update(network: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        with tf.GradientTape() as tape:
            real, fake = points(rng.normal((2, 256, 2)))
            if network is generator:
                loss = generator_loss(answer(fake))
            else:
                loss = discriminator_loss(answer(real), answer(fake))
        variables = network.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)

    @tf.function
    def train(g_updates: tf.Tensor) -> None:
        for _ in tf.range(g_updates):
            for _ in tf.range(10):
                update(discriminator, d_optimizer)
            update(generator, g_optimizer)
        for _ in tf.range(200):
            update(discriminator, d_optimizer)

    frames, history = [], []
    canvas = FigureCanvasAgg(Figure(figsize=(4.8, 2.4), dpi=100))
    fixed_z = tf.random.stateless_normal((2, 2000, 2), (seed, 0))
    with runtime.precision("float32"):
        for i in range(rounds + 1):
            train(tf.constant(updates if i else 0))
            real, fake = points(fixed_z)
            with tf.GradientTape() as tape:
                tape.watch(fake)
                fake_logits = answer(fake)
                g_loss = generator_loss(fake_logits)
            arrows = -arrow * len(fake) * tape.gradient(g_loss, fake)
            real_logits, (mean, covariance) = answer(real), gaussian(generator)
            row = {
                "d_loss": discriminator_loss(real_logits, fake_logits),
                "d_real": tf.reduce_mean(score(real_logits)),
                "d_fake": tf.reduce_mean(score(fake_logits)),
                "value": value(mean, covariance),
                "mean": np.linalg.norm(mean - MEAN),
                "covariance": np.linalg.norm(covariance - COVARIANCE),
            }
            history.append({"step": i * updates} | {k: float(v) for k, v in row.items()})
            drawn = [x[:150].numpy() for x in (real, fake, arrows)]
            frames.append(_frame(canvas, lambda x: score(answer(x)), drawn, mean, covariance))
    return Toy(frames, history, generator, discriminator)


def _networks(seed: int) -> tuple[keras.Model, keras.Model]:
    begin = {
        "kernel_initializer": keras.initializers.Identity(0.5),
        "bias_initializer": keras.initializers.Constant(-1.5),
    }
    weights = [keras.initializers.GlorotUniform(seed + i) for i in range(3)]
    hidden = [layers.Dense(32, "softplus", kernel_initializer=w) for w in weights[:2]]
    last = layers.Dense(1, kernel_initializer=weights[2])
    generator = keras.Sequential([layers.Input((2,)), layers.Dense(2, **begin)])
    return generator, keras.Sequential([layers.Input((2,)), *hidden, last])


def gaussian(generator: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (2,) and covariance (2, 2) of the points of an affine generator: b and W'W."""
    kernel, bias = (np.asarray(w, "float64") for w in generator.get_weights())
    return bias, kernel.T @ kernel


def log_density(points: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the log-density (...) of N(mean, covariance) at points (..., 2)."""
    return stats.multivariate_normal(mean, covariance).logpdf(points)


def optimal_logit(points: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the logit of D*, log p_r - log p_g, where p_g is N(mean, covariance)."""
    return log_density(points, MEAN, COVARIANCE) - log_density(points, mean, covariance)


def value(mean: np.ndarray, covariance: np.ndarray) -> float:
    """Return V(D*, G) = E log D* over the real points + E log(1 - D*) over N(mean, covariance).

    It is -log 4 + 2 JSD(p_r, p_g), at least -log 4 (Goodfellow et al. 2014, theorem 1). The
    expectations are sums over 60 x 60 Gauss-Hermite nodes.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    z = np.stack(np.meshgrid(nodes, nodes), axis=-1)
    weights = np.outer(weights, weights) / (2 * np.pi)
    found = 0.0
    for sign, m, c in (-1, MEAN, COVARIANCE), (1, mean, covariance):
        logit = optimal_logit(z @ np.linalg.cholesky(c).T + m, mean, covariance)
        found -= np.sum(weights * np.logaddexp(0, sign * logit))
    return float(found)


def _frame(
    canvas: FigureCanvasAgg,
    answer: Callable[[tf.Tensor], tf.Tensor],
    drawn: list[np.ndarray],
    mean: np.ndarray,
    covariance: np.ndarray,
) -> np.ndarray:
    canvas.figure.clear()
    gaussians, (real, fake, arrows) = ((MEAN, COVARIANCE), (mean, covariance)), drawn
    side = np.linspace(-4, 4, 61)
    plane = np.stack(np.meshgrid(side, side), axis=-1)
    learned = answer(tf.constant(plane.reshape(-1, 2), tf.float32)).numpy().reshape(61, 61)
    best = 1 / (1 + np.exp(-np.clip(optimal_logit(plane, mean, covariance), -50, 50)))
    empty = np.maximum(*[log_density(plane, *g) for g in gaussians]) < -8
    surfaces = (learned, "D as trained"), (best, "D* = p_r / (p_r + p_g)")
    for i, (surface, title) in enumerate(surfaces):
        axes = canvas.figure.add_axes((0.01 + 0.5 * i, 0.01, 0.48, 0.9), facecolor=GROUND)
        surface = np.ma.masked_where(empty, np.clip(surface, 0, 1))
        axes.contourf(side, side, surface, np.linspace(0, 1, 12), cmap=SURFACE)
        axes.contour(side, side, surface, [0.5], colors="black", linewidths=1)
        axes.set(xlim=(-4, 4), ylim=(-4, 4), xticks=[], yticks=[])
        axes.set_title(title, fontsize=8, pad=3)
    left, right = canvas.figure.axes
    circle = 2 * np.exp(2j * np.pi * np.linspace(0, 1, 60))
    for points, colour, (m, c) in zip((real, fake), (REAL, FAKE), gaussians, strict=True):
        left.scatter(*points.T, s=4, color=colour, linewidths=0)
        ellipse = np.linalg.cholesky(c) @ [circle.real, circle.imag] + m[:, None]
        right.plot(*ellipse, color=colour)
    scale = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.006}
    left.quiver(*fake[:25].T, *arrows[:25].T, **scale)
    canvas.draw()
    # The same few colours in all frames make a small GIF.
    colours = [*SURFACE(np.linspace(0, 1, 11)), *to_rgba_array(["k", "gray", REAL, FAKE, GROUND])]
    palette = Image.new("P", (1, 1))
    palette.putpalette(images.to_uint8(2 * np.array(colours)[:, :3] - 1).tobytes())
    rgb = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    return np.asarray(rgb.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB"))[None]
