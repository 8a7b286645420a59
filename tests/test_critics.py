"""Two discs that do not overlap: their distance, and what critics make of it."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment
from scipy.spatial import distance_matrix

from utils.topics import critics


def critic_loss(real_answers, fake_answers):
    return tf.reduce_mean(fake_answers) - tf.reduce_mean(real_answers)


def generator_loss(fake_answers):
    return -tf.reduce_mean(fake_answers)


def penalty(network, real, fake, alpha):
    between = fake + alpha * (real - fake)
    with tf.GradientTape() as tape:
        tape.watch(between)
        answers = network(between, training=True)
    slopes = tf.norm(tape.gradient(answers, between), axis=1)
    return 10.0 * tf.reduce_mean(tf.square(slopes - 1.0))


def earth_movers(a, b):
    """The cheapest plan between as many points of each kind."""
    ways = distance_matrix(a, b)
    return ways[linear_sum_assignment(ways)].mean()


@pytest.mark.parametrize("gap", [0.5, 4.0])
def test_discs_are_even_and_lie_so_far_apart(gap):
    real, fake = critics.discs(gap, 4000, seed=1)
    assert real.dtype == fake.dtype == "float32"
    centre = np.array([gap / 2 + 0.5, 0])
    for points, middle in (real, centre), (fake, -centre):
        away = np.linalg.norm(points - middle, axis=1)
        assert away.max() <= 0.5
        assert (away < 0.25).mean() == pytest.approx(0.25, abs=0.03)  # a quarter of the area
    assert real[:, 0].min() - fake[:, 0].max() == pytest.approx(gap, abs=0.02)
    assert not np.array_equal(real - centre, fake + centre)  # drawn apart
    few_real, few_fake = critics.discs(gap, 400, seed=1)
    assert earth_movers(few_real, few_fake) == pytest.approx(gap + 1, rel=0.03)


@pytest.fixture(scope="module")
def trained():
    return {
        "penalty": critics.trained(critic_loss, 4.0, penalty),
        "clipping": critics.trained(critic_loss, 4.0, clip=0.05, updates=300),
    }


def test_the_penalty_keeps_the_slope_and_points_to_the_real_points(trained):
    """Slopes s maximise s W - λ (s - 1)², so s = 1 + W / 2λ = 1.25."""
    _, fake = critics.discs(4.0, 200, seed=5)
    pulls = critics.pull(trained["penalty"], generator_loss, fake)
    lengths = np.linalg.norm(pulls, axis=1)
    assert np.median(lengths) == pytest.approx(1.25, abs=0.15)  # seeds: 1.13 to 1.31
    assert (pulls[:, 0] / lengths).mean() > 0.98
    found = -critic_loss(*(trained["penalty"](x) for x in critics.discs(4.0, 1000, seed=6)))
    assert float(found) == pytest.approx(1.25 * 5, rel=0.1)


def test_clipping_keeps_weights_in_their_interval_and_drives_them_to_its_ends(trained):
    weights = np.concatenate([np.ravel(w) for w in trained["clipping"].get_weights()])
    assert np.abs(weights).max() == pytest.approx(0.05)
    assert (np.abs(weights) > 0.0499).mean() > 0.5
    assert np.abs(np.concatenate([np.ravel(w) for w in trained["penalty"].get_weights()])).max() > 1


def test_the_pull_is_minus_the_gradient_at_each_fake():
    """D(x) = ‖x‖² / 2, for G's loss -mean D: the pull is x itself."""
    fake = np.random.default_rng(0).normal(size=(7, 2)).astype("float32")

    def half_square(x, training):
        return tf.reduce_sum(x**2, axis=1, keepdims=True) / 2

    np.testing.assert_allclose(critics.pull(half_square, generator_loss, fake), fake, rtol=1e-6)


def test_the_same_seed_gives_the_same_network():
    one, same, other = (
        critics.trained(critic_loss, 1.0, penalty, updates=3, seed=seed).get_weights()
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_the_picture_has_a_panel_for_each_network(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    rows = {name: (network, tf.identity, np.ones((20, 2))) for name in ("one", "two")}
    critics.show(rows, 2.0)
    figure = plt.gcf()
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    plt.close(figure)
