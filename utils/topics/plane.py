"""A game between two networks in the plane, small enough to know what D should answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgba_array
from matplotlib.figure import Figure
from PIL import Image
from scipy import stats

from utils import device

MEAN = np.array([1.0, 0.5])  # of the real points
COVARIANCE = np.array([[1.0, 0.6], [0.6, 0.8]])
REAL, FAKE, GROUND = "#1f77b4", "#d95f02", "#d9d9d9"  # colours
SURFACE = LinearSegmentedColormap.from_list("surface", ["#fdb863", "#ffffff", "#92c5de"])
# All that a frame holds: frames that share few colours make a small GIF.
COLOURS = [*SURFACE(np.linspace(0, 1, 11)), *to_rgba_array(["k", "gray", REAL, FAKE, GROUND])]
PALETTE = Image.new("P", (1, 1))
PALETTE.putpalette(np.rint(255 * np.array(COLOURS)[:, :3]).astype("uint8").tobytes())
BATCH = 256  # points of each kind, an update
SIDE = np.linspace(-4, 4, 61)  # of the part of the plane that a frame shows
PLANE = np.stack(np.meshgrid(SIDE, SIDE), axis=-1)  # (61, 61, 2)


class Game(NamedTuple):
    """What `play` returns.

    Attributes:
        frames: pictures, uint8 (240, 480, 3): before G's first update and after each round.
        history: a dict a frame: step (G's updates so far); d_loss, d_real, d_fake, the loss and
            the mean probabilities of 2,000 points of each kind; value, V(D*, G) in closed form;
            mean and covariance, the distances of p_g's from the real ones.
        generator: (n, 2) -> (n, 2), affine.
        discriminator: (n, 2) -> (n, 1) logits.
    """

    frames: list[np.ndarray]
    history: list[dict[str, float]]
    generator: keras.Model
    discriminator: keras.Model


class Players(NamedTuple):
    """The two networks, what trains them, and what they are told; see `play`."""

    generator: keras.Model
    discriminator: keras.Model
    g_optimizer: keras.optimizers.Optimizer
    d_optimizer: keras.optimizers.Optimizer
    rng: tf.random.Generator
    generator_loss: Callable[[tf.Tensor], tf.Tensor]
    discriminator_loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    probability: Callable[[tf.Tensor], tf.Tensor]


@device.alone()
def play(
    generator_loss: Callable[[tf.Tensor], tf.Tensor],
    discriminator_loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    probability: Callable[[tf.Tensor], tf.Tensor] = tf.sigmoid,
    rounds: int = 14,
    updates: int = 16,
    seed: int = 0,
) -> Game:
    """Train a GAN on points of a Gaussian, and draw D beside the best D there is.

    The generator is affine, G(z) = zW + b with z ~ N(0, I), so its points are a Gaussian too,
    and the best discriminator, D* = p_r / (p_r + p_g), is known (Goodfellow et al. 2014,
    prop. 1). D is updated ten times for each update of G, and 200 times more before a
    frame, so that it follows D*. A frame shows what D says over the plane (orange 0, white
    1/2, blue 1, a line at 1/2; grey where there are hardly any points), real (blue) and
    generated points (orange) and, as arrows, minus the gradient of G's loss with respect to
    each point; at the right D*, with a line around 86 % of each Gaussian.

    Args:
        generator_loss: fake_logits -> scalar, a mean over the batch.
        discriminator_loss: (real_logits, fake_logits) -> scalar.
        probability: turns a logit into what is drawn, 0 for fake to 1 for real.
        rounds: frames after the first one.
        updates: of G, a round.
        seed: decides weights and points; the same seed gives the same game.
    """
    generator, discriminator = networks(seed)
    rate = keras.optimizers.schedules.CosineDecay(0.03, max(1, rounds * updates))
    g_optimizer = keras.optimizers.Adam(rate, beta_1=0.5, beta_2=0.9)
    d_optimizer = keras.optimizers.Adam(0.01, beta_1=0.5)
    g_optimizer.build(generator.trainable_variables)
    d_optimizer.build(discriminator.trainable_variables)
    rng = tf.random.Generator.from_seed(seed)
    trained = generator, discriminator, g_optimizer, d_optimizer, rng
    players = Players(*trained, generator_loss, discriminator_loss, probability)
    train = tf.function(lambda g_updates: _train(players, g_updates))
    fixed_z = tf.random.stateless_normal((2, 2000, 2), (seed, 0))
    frames = []
    history = []
    with device.precision("float32"):
        for done in range(rounds + 1):
            train(tf.constant(updates if done else 0))
            row, drawn = _look(players, fixed_z)
            history.append({"step": done * updates} | row)
            frames.append(_frame(players, *drawn))
    return Game(frames, history, generator, discriminator)


def networks(seed: int) -> tuple[keras.Model, keras.Model]:
    """Build the generator, (n, 2) -> (n, 2), and the discriminator, (n, 2) -> logits (n, 1)."""
    small = keras.initializers.Identity(0.5)
    corner = keras.initializers.Constant(-1.5)
    affine = layers.Dense(2, kernel_initializer=small, bias_initializer=corner)
    generator = keras.Sequential([layers.Input((2,)), affine])
    weights = [keras.initializers.GlorotUniform(seed + i) for i in range(3)]
    hidden = [layers.Dense(32, "softplus", kernel_initializer=w) for w in weights[:2]]
    last = layers.Dense(1, kernel_initializer=weights[2])
    return generator, keras.Sequential([layers.Input((2,)), *hidden, last])


def _points(players: Players, z: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return real and generated points, (n, 2) each, from z (2, n, 2)."""
    root = np.linalg.cholesky(COVARIANCE).T.astype("float32")
    real = z[0] @ root + MEAN.astype("float32")
    return real, players.generator(z[1], training=True)


def _train(players: Players, g_updates: tf.Tensor) -> None:
    """Update G so many times, D ten times before each of them, and 200 times at the end."""
    for _ in tf.range(g_updates):
        for _ in tf.range(10):
            _update_discriminator(players)
        _update_generator(players)
    for _ in tf.range(200):
        _update_discriminator(players)


def _update_discriminator(players: Players) -> None:
    real, fake = _points(players, players.rng.normal((2, BATCH, 2)))
    with tf.GradientTape() as tape:
        real_logits = players.discriminator(real, training=True)
        fake_logits = players.discriminator(fake, training=True)
        loss = players.discriminator_loss(real_logits, fake_logits)
    variables = players.discriminator.trainable_variables
    players.d_optimizer.apply(tape.gradient(loss, variables), variables)


def _update_generator(players: Players) -> None:
    with tf.GradientTape() as tape:
        _, fake = _points(players, players.rng.normal((2, BATCH, 2)))
        loss = players.generator_loss(players.discriminator(fake, training=True))
    variables = players.generator.trainable_variables
    players.g_optimizer.apply(tape.gradient(loss, variables), variables)


def _look(players: Players, z: tf.Tensor) -> tuple[dict[str, float], list[np.ndarray]]:
    """Return a row of the history, and real points, fakes, and what pulls the fakes, to draw.

    The pull is minus the gradient of G's loss with respect to each fake.

    Args:
        players: networks and losses.
        z: (2, n, 2), for real points and fakes.
    """
    real, fake = _points(players, z)
    with tf.GradientTape() as tape:
        tape.watch(fake)
        fake_logits = players.discriminator(fake, training=True)
        g_loss = players.generator_loss(fake_logits)
    pull = -len(fake) * tape.gradient(g_loss, fake)  # the loss is a mean over n points
    real_logits = players.discriminator(real, training=True)
    mean, covariance = gaussian(players.generator)
    row = {
        "d_loss": players.discriminator_loss(real_logits, fake_logits),
        "d_real": tf.reduce_mean(players.probability(real_logits)),
        "d_fake": tf.reduce_mean(players.probability(fake_logits)),
        "value": value(mean, covariance),
        "mean": np.linalg.norm(mean - MEAN),
        "covariance": np.linalg.norm(covariance - COVARIANCE),
    }
    drawn = [x[:150].numpy() for x in (real, fake, pull)]
    return {name: float(x) for name, x in row.items()}, drawn


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
        points = z @ np.linalg.cholesky(c).T + m
        logit = optimal_logit(points, mean, covariance)
        found -= np.sum(weights * np.logaddexp(0, sign * logit))
    return float(found)


def _frame(players: Players, real: np.ndarray, fake: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """Draw D with the points at the left, D* with the Gaussians at the right."""
    mean, covariance = gaussian(players.generator)
    everywhere = tf.constant(PLANE.reshape(-1, 2), tf.float32)
    logits = players.discriminator(everywhere, training=True)
    learned = players.probability(logits).numpy().reshape(len(SIDE), len(SIDE))
    best = 1 / (1 + np.exp(-np.clip(optimal_logit(PLANE, mean, covariance), -50, 50)))
    densities = log_density(PLANE, MEAN, COVARIANCE), log_density(PLANE, mean, covariance)
    empty = np.maximum(*densities) < -8  # hardly any points there
    canvas = FigureCanvasAgg(Figure(figsize=(4.8, 2.4), dpi=100))
    left, right = (canvas.figure.add_axes((x, 0.01, 0.48, 0.9)) for x in (0.01, 0.51))
    _draw_surface(left, "D as trained", learned, empty)
    _draw_surface(right, "D* = p_r / (p_r + p_g)", best, empty)
    left.scatter(*real.T, s=4, color=REAL, linewidths=0)
    left.scatter(*fake.T, s=4, color=FAKE, linewidths=0)
    arrows = 0.5 * pull[:25].T
    left.quiver(*fake[:25].T, *arrows, angles="xy", scale_units="xy", scale=1, width=0.006)
    _draw_ellipse(right, MEAN, COVARIANCE, REAL)
    _draw_ellipse(right, mean, covariance, FAKE)
    canvas.draw()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    few = drawn.quantize(palette=PALETTE, dither=Image.Dither.NONE)  # each pixel the nearest
    return np.asarray(few.convert("RGB"))


def _draw_surface(axes: Axes, title: str, probabilities: np.ndarray, empty: np.ndarray) -> None:
    edges = SIDE[0], SIDE[-1]
    axes.set(xlim=edges, ylim=edges, xticks=[], yticks=[], facecolor=GROUND)
    axes.set_title(title, fontsize=8, pad=3)
    surface = np.ma.masked_where(empty, np.clip(probabilities, 0, 1))
    axes.contourf(SIDE, SIDE, surface, np.linspace(0, 1, 12), cmap=SURFACE)
    axes.contour(SIDE, SIDE, surface, [0.5], colors="black", linewidths=1)


def _draw_ellipse(axes: Axes, mean: np.ndarray, covariance: np.ndarray, colour: str) -> None:
    """Draw a line at two standard deviations: 86 % of the points are inside."""
    angle = np.linspace(0, 2 * np.pi, 60)
    circle = 2 * np.array([np.cos(angle), np.sin(angle)])
    axes.plot(*(np.linalg.cholesky(covariance) @ circle + mean[:, None]), color=colour)
