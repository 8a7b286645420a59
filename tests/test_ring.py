"""The ring of eight Gaussians: its points, how they are counted, that two losses start equal."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
import tensorflow as tf

from utils.topics import ring


def generator_loss(fake_logits):
    return tf.reduce_mean(tf.square(fake_logits - 1)) / 2


def discriminator_loss(real_logits, fake_logits):
    return tf.reduce_mean(tf.square(real_logits - 1) + tf.square(fake_logits)) / 2


def still(*logits):
    """A loss whose gradient is 0 everywhere, so that nothing is learned."""
    return sum(0 * tf.reduce_sum(x) for x in logits)


def test_centres_lie_on_a_circle_at_equal_distances():
    centres = ring.CENTRES[:, 0] + 1j * ring.CENTRES[:, 1]
    np.testing.assert_allclose(np.abs(centres), 2, rtol=1e-6)
    turn = np.exp(2j * np.pi / 8)
    np.testing.assert_allclose(np.roll(centres, -1), centres * turn, atol=1e-6)


def test_points_are_drawn_from_all_gaussians_alike():
    points = np.concatenate([ring.batch(1, tf.constant(i))[0] for i in range(200)])
    away = points[:, None] - ring.CENTRES
    nearest = np.linalg.norm(away, axis=-1).argmin(axis=1)
    shares = np.bincount(nearest, minlength=8) / len(points)
    np.testing.assert_allclose(shares, 1 / 8, atol=0.01)
    own = away[np.arange(len(points)), nearest]
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(own.std(axis=0), 0.02, rtol=0.02)
    assert np.corrcoef(own.T)[0, 1] == pytest.approx(0, abs=0.02)


def test_each_update_has_points_and_z_of_its_own():
    one, same, later, other = (
        ring.batch(seed, tf.constant(step)) for seed, step in ((1, 5), (1, 5), (1, 6), (2, 5))
    )
    np.testing.assert_array_equal(one[0], same[0])
    np.testing.assert_array_equal(one[1], same[1])
    for x in later, other:
        assert np.isin(one[0], x[0]).mean() < 0.01  # equal by chance, in float32
        assert np.isin(one[1], x[1]).mean() < 0.01
    for_d, for_g = one[1].numpy()
    assert np.isin(for_d, for_g).mean() < 0.01
    z = np.concatenate([ring.batch(3, tf.constant(i))[1].numpy().ravel() for i in range(20)])
    assert (z.mean(), z.std()) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))


def test_counting_points_that_were_put_by_hand():
    """Of 1,000 points: 10 in mode 0, 9 in mode 1, 500 in mode 4; just inside and just outside."""
    points = np.zeros((1000, 2))
    points[:10] = ring.CENTRES[0] + [0, 0.0599]
    points[10:19] = ring.CENTRES[1]
    points[19:519] = ring.CENTRES[4] + [0.04, 0.04]  # 0.057 away
    points[519:900] = ring.CENTRES[6] + [0.05, 0.05]  # 0.071 away
    assert ring.count(points) == (2, pytest.approx(0.519))


def test_real_points_are_counted_as_good():
    points = np.concatenate([ring.batch(1, tf.constant(i))[0] for i in range(10)])
    modes, good = ring.count(points)
    assert modes == 8
    assert good == pytest.approx(1 - np.exp(-4.5), abs=0.01)  # within 3 deviations, in the plane


def test_two_losses_start_from_the_same_weights_and_seeds_do_not():
    a, same, other = (ring.networks(seed) for seed in (1, 1, 2))
    for x, y, z in zip(*(n[0].weights + n[1].weights for n in (a, same, other)), strict=True):
        np.testing.assert_array_equal(x.numpy(), y.numpy())
        assert len(x.shape) == 1 or not np.array_equal(x.numpy(), z.numpy())
    assert [n.count_params() for n in a] == [
        16 * 128 + 128 + 128 * 128 + 128 + 128 * 2 + 2,
        2 * 128 + 128 + 128 * 128 + 128 + 128 + 1,
    ]


def test_nothing_but_the_losses_tells_two_runs_apart():
    """Losses without a gradient: the points at the end are those of the untrained generator."""
    run = ring.play(still, still, updates=10, seed=3)
    twice = ring.play(lambda x: 2 * still(x), still, updates=10, seed=3)
    np.testing.assert_array_equal(run.points, twice.points)
    for points in run.points:
        np.testing.assert_array_equal(points, run.points[0])
    z = tf.random.stateless_normal((2500, 16), (3, -1), alg="philox")
    np.testing.assert_allclose(run.points[0], ring.networks(3)[0](z), atol=1e-6)


def test_the_same_seed_gives_the_same_run_whatever_was_drawn_before():
    one = ring.play(generator_loss, discriminator_loss, updates=20, seed=4)
    tf.random.set_seed(99)
    tf.random.normal((3,))
    again = ring.play(generator_loss, discriminator_loss, updates=20, seed=4)
    other = ring.play(generator_loss, discriminator_loss, updates=20, seed=5)
    np.testing.assert_array_equal(one.points, again.points)
    assert (one.modes, one.good) == (again.modes, again.good)
    assert not np.array_equal(one.points, other.points)
    assert len(one.modes) == len(one.good) == len(one.points) == 10
    assert one.modes == [ring.count(points)[0] for points in one.points]


def test_an_update_is_d_then_g_with_adam():
    """Second implementation of ten updates, eagerly and with Keras' own layers."""
    run = ring.play(generator_loss, discriminator_loss, rate=1e-2, updates=10, seed=6)
    g, d = ring.networks(6)
    g_adam, d_adam = (keras.optimizers.Adam(1e-2, beta_1=0.5) for _ in range(2))
    for step in range(10):
        real, (for_d, for_g) = ring.batch(6, tf.constant(step))
        with tf.GradientTape() as tape:
            loss = discriminator_loss(d(real), d(g(for_d)))
        d_adam.apply(tape.gradient(loss, d.trainable_variables), d.trainable_variables)
        with tf.GradientTape() as tape:
            loss = generator_loss(d(g(for_g)))
        g_adam.apply(tape.gradient(loss, g.trainable_variables), g.trainable_variables)
    z = tf.random.stateless_normal((2500, 16), (6, -1), alg="philox")
    np.testing.assert_allclose(run.points[-1], g(z), atol=1e-4)


def test_a_film_has_a_row_a_loss_and_a_column_a_time(monkeypatch):
    points = np.random.default_rng(0).normal(0, 1, (10, 2500, 2)).astype("float32")
    few = ring.thinned(points, 7)
    assert np.shape(few) == (5, 7, 2)
    np.testing.assert_allclose(few, points[1::2, :7], atol=0.0051)
    assert len(repr(few)) < 2 * 5 * 7 * 9
    monkeypatch.setattr(plt, "show", lambda: None)
    ring.film({"one": few, "two": few, "three": few}, [f"after {i}" for i in range(5)])
    axes = plt.gcf().axes
    assert len(axes) == 15
    assert [x.get_title() for x in axes] == [*(f"after {i}" for i in range(5)), *[""] * 10]
    assert [x.get_ylabel() for x in axes[::5]] == ["one", "two", "three"]
    np.testing.assert_allclose(axes[6].collections[1].get_offsets(), few[1])
    plt.close("all")
