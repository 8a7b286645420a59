"""The game in the plane: its closed forms, and that the networks come to them."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageColor

from tools import pages
from utils import images
from utils.topics import plane


def generator_loss(fake_logits):
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


def discriminator_loss(real_logits, fake_logits):
    return tf.reduce_mean(tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits))


@pytest.fixture(scope="module")
def game():
    """Return the game with the losses of lesson 01, as it stands in the page."""
    page = pages.Page("01_gan").definitions("generator_loss", "discriminator_loss")
    return plane.play(page.generator_loss, page.discriminator_loss)


def density(points, mean, covariance):
    """Second implementation, coordinate by coordinate: p(x) p(y | x)."""
    (a, b), (_, d) = covariance
    x, y = np.moveaxis(points - mean, -1, 0)
    left = np.exp(-(x**2) / (2 * a)) / np.sqrt(2 * np.pi * a)
    rest = d - b * b / a
    return left * np.exp(-((y - b / a * x) ** 2) / (2 * rest)) / np.sqrt(2 * np.pi * rest)


def squares(step=0.05, edge=9):
    side = np.arange(-edge, edge, step)
    return np.stack(np.meshgrid(side, side), axis=-1), step**2


def other():
    return np.array([-1.0, 0.3]), np.array([[0.5, -0.2], [-0.2, 0.9]])


def test_moments_of_the_generator_are_those_of_its_points():
    generator, _ = plane.networks(0)
    kernel = np.array([[0.5, -1.0], [2.0, 0.3]], "float32")
    generator.set_weights([kernel, np.array([1.0, -2.0], "float32")])
    mean, covariance = plane.gaussian(generator)
    points = np.asarray(generator(np.random.default_rng(0).normal(size=(200_000, 2))))
    np.testing.assert_allclose(points.mean(0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(points.T), covariance, atol=0.05)


def test_best_discriminator_is_the_share_of_the_real_density():
    points, _ = squares(0.5, 4)
    real, fake = density(points, plane.MEAN, plane.COVARIANCE), density(points, *other())
    found = 1 / (1 + np.exp(-plane.optimal_logit(points, *other())))
    np.testing.assert_allclose(found, real / (real + fake), rtol=1e-9)


def test_value_is_that_of_an_integral_over_the_plane():
    """-log 4 + 2 JSD, with the divergence summed over small squares."""
    points, area = squares()
    real, fake = density(points, plane.MEAN, plane.COVARIANCE), density(points, *other())
    middle = (real + fake) / 2
    divergence = area * np.sum(real * np.log(real / middle) + fake * np.log(fake / middle)) / 2
    assert plane.value(*other()) == pytest.approx(-np.log(4) + 2 * divergence, abs=1e-3)


def test_value_is_minus_log_4_where_the_two_are_equal_and_near_0_where_they_are_apart():
    assert plane.value(plane.MEAN, plane.COVARIANCE) == pytest.approx(-np.log(4), abs=1e-9)
    assert plane.value(plane.MEAN + 30, plane.COVARIANCE) == pytest.approx(0, abs=1e-6)


def test_no_other_discriminator_has_a_larger_value():
    """Prop. 1 of the paper: V(D, G) is largest at D*; checked with D* bent in six ways."""
    points, area = squares(0.1)
    real, fake = density(points, plane.MEAN, plane.COVARIANCE), density(points, *other())

    def v(logit):
        terms = real * np.logaddexp(0, -logit) + fake * np.logaddexp(0, logit)
        return -area * np.sum(terms)

    best = plane.optimal_logit(points, *other())
    for bent in best + 0.3, best - 0.3, 0.8 * best, 1.2 * best, np.sin(best), 0 * best:
        assert v(bent) < v(best)


def test_the_generator_becomes_the_data_and_the_value_minus_log_4(game):
    first, last = game.history[0], game.history[-1]
    assert (first["mean"], first["covariance"]) > (3, 1)
    assert last["mean"] < 0.1
    assert last["covariance"] < 0.2
    assert first["value"] > -0.3
    assert last["value"] == pytest.approx(-np.log(4), abs=0.01)
    assert last["d_loss"] == pytest.approx(np.log(4), abs=0.01)
    assert (last["d_real"], last["d_fake"]) == (pytest.approx(0.5, abs=0.03),) * 2


def test_the_discriminator_follows_the_best_one(game):
    """Its loss is never far above -V(D*, G), the least there is; below only by chance."""
    for row in game.history:
        assert -0.03 < row["d_loss"] + row["value"] < 0.05
    points = np.random.default_rng(0).multivariate_normal(plane.MEAN, plane.COVARIANCE, 500)
    learned = tf.sigmoid(game.discriminator(points.astype("float32")))[:, 0]
    best = 1 / (1 + np.exp(-plane.optimal_logit(points, *plane.gaussian(game.generator))))
    assert np.abs(learned - best).mean() < 0.03


def test_the_same_seed_plays_the_same_game_whatever_was_drawn_before(game):
    tf.random.set_seed(99)
    tf.random.normal((3,))
    short = [
        plane.play(generator_loss, discriminator_loss, rounds=1, updates=2, seed=s) for s in (5, 5)
    ]
    assert short[0].history == short[1].history
    assert short[0].history[0] != game.history[0]  # of another seed, before G's first update
    for a, b in zip(short[0].frames, short[1].frames, strict=True):
        np.testing.assert_array_equal(a, b)


def test_frames_go_into_a_small_gif(game, tmp_path):
    assert len(game.frames) == len(game.history) == 15
    assert [row["step"] for row in game.history] == [16 * i for i in range(15)]
    for frame in game.frames:
        assert frame.shape == (240, 480, 3)
        assert frame.dtype == np.uint8
    colours = {tuple(c) for f in game.frames for c in f.reshape(-1, 3)}
    assert len(colours) <= 16
    path = images.save_gif(tmp_path / "game.gif", game.frames)
    assert path.stat().st_size < 130_000
    with Image.open(path) as gif:
        shown = {c for _, c in gif.convert("RGB").getcolors()}
    for name in plane.REAL, plane.FAKE:  # the colours of the points survive
        assert ImageColor.getrgb(name) in shown <= {*colours}


def test_arrows_and_probabilities_belong_to_the_losses_given(game):
    """Losses that are constant pull nowhere: no black arrow, and G does not move."""
    still = plane.play(lambda x: 0 * tf.reduce_sum(x), discriminator_loss, rounds=1, updates=3)
    assert still.history[0]["mean"] == still.history[1]["mean"]
    black = [(x.frames[0][:, :240] == 0).all(-1).sum() for x in (still, game)]
    assert black[1] > 2 * black[0]
