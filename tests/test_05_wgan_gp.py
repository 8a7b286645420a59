"""Lesson 05: the distance, its losses and the penalty in closed form, and the step."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from tests import test_02_dcgan, toy
from tools import pages
from utils import device, training

PARTS = ("generator", "critic", "g_optimizer", "d_optimizer", "rng")
# What is equal in lesson 02, so that only losses, penalty and rates differ.
SHARED = ("SEED", "LATENT_DIM", "CHANNELS", "BATCH_SIZE", "SAMPLES")


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setenv("PRESET", "quick")
    return pages.Page("05_wgan_gp").definitions(*PARTS, "train_step")


@pytest.fixture
def real(page):
    shape = (page.N_CRITIC * page.BATCH_SIZE, 28, 28, 1)
    return tf.random.stateless_uniform(shape, (1, 1), -1, 1)


def values(part):
    variables = [part.state] if isinstance(part, tf.random.Generator) else part.variables
    return [keras.ops.convert_to_numpy(v) for v in variables]


# The distance


def test_on_a_line_the_sorted_plan_is_the_cheapest(page):
    """Against a search among all plans (Hungarian method)."""
    vars(page).update(
        pages.Page("05_wgan_gp").definitions("ways").__dict__  # the points of the page
    )
    costs = np.abs(page.fake_points[:, None] - page.real_points)
    cheapest = costs[linear_sum_assignment(costs)].mean()
    assert page.ways.mean() == pytest.approx(cheapest)
    dearest = costs[linear_sum_assignment(costs, maximize=True)].mean()
    assert dearest > 1.2 * cheapest  # else any plan would do, and the example shows nothing
    moved = page.stats.wasserstein_distance(page.real_points, page.fake_points)
    assert cheapest == pytest.approx(moved)


def test_the_jsd_of_two_boxes_is_flat_without_overlap(page):
    """(1 - o) log 2 with the overlap o, against a sum over a fine grid."""
    x = (np.arange(-4, 5, 1e-3) + 5e-4)[:, None]
    theta = np.array([-2.0, -0.75, 0.0, 0.3, 1.0, 3.0])
    p = ((x > 0) & (x < 1)).astype(float) * np.ones_like(theta)
    q = ((x > theta) & (x < theta + 1)).astype(float)
    middle = np.maximum(p + q, 1e-9) / 2
    terms = [np.where(d > 0, d * np.log(np.maximum(d, 1e-9) / middle), 0) for d in (p, q)]
    expected = sum(term.sum(axis=0) for term in terms) * 1e-3 / 2
    overlap = np.maximum(0, 1 - np.abs(theta))
    np.testing.assert_allclose((1 - overlap) * np.log(2), expected, atol=2e-3)
    source = "\n".join(cell.source for cell in pages.Page("05_wgan_gp").code)
    assert "overlap = np.maximum(0, 1 - np.abs(theta))" in source
    assert "(1 - overlap) * np.log(2)" in source


# Losses


def test_losses_are_the_closed_forms(page):
    """Gulrajani et al. 2017, eq. 3, without and with the penalty."""
    real, fake = np.random.default_rng(0).normal(0, 3, (2, 16, 1)).astype("float32")
    assert float(page.critic_loss(real, fake)) == pytest.approx(fake.mean() - real.mean(), abs=1e-5)
    assert float(page.generator_loss(fake)) == pytest.approx(-fake.mean(), abs=1e-5)


def half_square(x, training):
    """A critic whose gradient at x is x."""
    pixels = list(range(1, len(x.shape)))
    return tf.reduce_sum(x**2, axis=pixels)[:, None] / 2


@pytest.mark.parametrize("shape", [(6, 2), (6, 5, 4, 3)])
def test_the_penalty_is_the_closed_form_and_each_alpha_counts(page, shape):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, *shape)).astype("float32")
    alpha = rng.uniform(size=(6, *[1] * (len(shape) - 1))).astype("float32")
    between = alpha * real + (1 - alpha) * fake
    slopes = np.sqrt((between.reshape(6, -1) ** 2).sum(axis=1))
    expected = page.LAMBDA_GP * np.mean((slopes - 1) ** 2)
    found = page.gradient_penalty(half_square, *map(tf.constant, (real, fake, alpha)))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_penalty_of_a_linear_critic_is_that_of_its_slope(page):
    two = tf.constant([[0.0, 1.0], [2.0, 3.0]]), tf.zeros((2, 2)), tf.constant([[0.2], [0.7]])
    for slope, expected in (0.0, 10.0), (0.5, 2.5), (1.0, 0.0), (3.0, 40.0):
        weights = slope * tf.constant([[0.6], [0.8]])
        found = page.gradient_penalty(lambda x, training, w=weights: x @ w, *two)
        assert float(found) == pytest.approx(expected, abs=1e-4)


def test_a_flat_critic_has_a_finite_gradient(page):
    """The root of 0 has an infinite slope: hence EPSILON inside it."""
    dense = keras.layers.Dense(1, kernel_initializer="zeros")
    network = keras.Sequential([keras.Input((3,)), dense])
    three = tf.ones((4, 3)), tf.zeros((4, 3)), tf.fill((4, 1), 0.5)
    with tf.GradientTape() as tape:
        loss = page.gradient_penalty(network, *three)
    (gradient,) = tape.gradient(loss, network.trainable_variables[:1])
    assert np.isfinite(gradient.numpy()).all()


def test_the_penalty_fits_beside_its_equation():
    page = pages.Page("05_wgan_gp")
    (cell,) = (cell for cell in page.code if "def gradient_penalty(" in cell.source)
    assert len(cell.source.splitlines()) <= 9
    before = page.notebook.cells[page.notebook.cells.index(cell) - 1]
    assert r"\lambda" in before.source


# Networks and step


def test_the_generator_is_that_of_lesson_02(page, monkeypatch):
    other = pages.Page("02_dcgan").definitions("generator")
    for name in SHARED:
        assert getattr(page, name) == getattr(other, name), name
    found, expected = (test_02_dcgan.described(x.generator) for x in (page, other))
    assert found == expected


def test_the_critic_is_the_discriminator_without_batch_norm_and_noise(page):
    other = pages.Page("02_dcgan").definitions("discriminator").discriminator
    kept = [
        type(layer).__name__
        for layer in other.layers
        if type(layer).__name__ not in ("BatchNormalization", "GaussianNoise")
    ]
    assert [type(layer).__name__ for layer in page.critic.layers] == kept
    assert page.critic.output_shape == (None, 1)
    shapes = [w.shape for w in other.trainable_weights if "kernel" in w.path]
    assert [w.shape for w in page.critic.trainable_weights if "kernel" in w.path] == shapes


def test_an_image_is_answered_whatever_else_is_in_the_batch(page, real):
    """As the penalty needs it: batch normalization would mix the images."""
    alone = page.critic(real[:1], training=True)
    np.testing.assert_allclose(alone, page.critic(real[:9], training=True)[:1], atol=1e-6)


def test_the_critic_sees_new_images_in_each_update(page, real, monkeypatch):
    seen = []
    monkeypatch.setattr(
        page,
        "update_critic",
        lambda batch: seen.append(batch.numpy()) or (tf.zeros(()), tf.zeros(()), tf.zeros(())),
    )
    page.train_step(real)
    assert [len(batch) for batch in seen] == [page.BATCH_SIZE] * page.N_CRITIC
    all_seen = np.concatenate(seen).reshape(len(real), -1)
    assert len(np.unique(all_seen, axis=0)) == len(real)


def test_each_update_draws_its_own_z_and_an_alpha_for_each_image(page, real, monkeypatch):
    drawn = {"z": [], "alpha": []}
    generator, penalty = page.generator, page.gradient_penalty

    def spy(z, training):
        assert training is True
        drawn["z"].append(z.numpy())
        return generator(z, training=training)

    def noted(network, real, fake, alpha):
        drawn["alpha"].append(alpha.numpy())
        assert real.shape == fake.shape
        return penalty(network, real, fake, alpha)

    spy.trainable_variables = generator.trainable_variables
    monkeypatch.setattr(page, "generator", spy)
    monkeypatch.setattr(page, "gradient_penalty", noted)
    for _ in range(8):
        page.train_step(real)
    z, alpha = np.array(drawn["z"]), np.array(drawn["alpha"])
    assert z.shape == (8 * (page.N_CRITIC + 1), page.BATCH_SIZE, page.LATENT_DIM)
    vectors = z.reshape(-1, page.LATENT_DIM)
    assert len(np.unique(vectors, axis=0)) == len(vectors)
    assert alpha.shape == (8 * page.N_CRITIC, page.BATCH_SIZE, 1, 1, 1)
    assert len(np.unique(alpha)) > 0.99 * alpha.size
    assert 0 <= alpha.min() < alpha.max() < 1
    error = 1 / np.sqrt(12 * alpha.size)  # standard, of the mean of U(0, 1)
    assert alpha.mean() == pytest.approx(0.5, abs=4 * error)
    assert alpha.std() == pytest.approx(1 / np.sqrt(12), rel=0.1)  # uniform, not normal


@pytest.mark.parametrize("trained", ["generator", "critic"])
def test_each_update_moves_its_own_network_only(page, real, trained, monkeypatch):
    other = "critic" if trained == "generator" else "generator"
    optimizer = "d_optimizer" if other == "critic" else "g_optimizer"
    monkeypatch.setattr(getattr(page, optimizer), "apply", lambda *_: None)
    networks = [getattr(page, name) for name in (trained, other)]
    moved, not_moved = toy.moved(lambda: page.train_step(real), networks)
    # The critic's last bias cancels in the difference, and a slope does not feel it.
    assert sum(moved) >= len(moved) - 1
    assert not any(not_moved)


def test_the_loss_is_difference_and_penalty(page, real):
    """The first update of the critic, repeated by hand from the same z and α."""
    rng = device.generator(page.SEED)
    fake = page.generator(rng.normal((page.BATCH_SIZE, page.LATENT_DIM)), training=True)
    alpha = rng.uniform((page.BATCH_SIZE, 1, 1, 1))
    first = real[:: page.N_CRITIC]
    expected = page.critic_loss(page.critic(first), page.critic(fake))
    expected += page.gradient_penalty(page.critic, first, fake, alpha)
    loss, *_ = page.update_critic(first)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_correlations_of_a_loss_with_the_score_by_hand():
    """A loss that falls with the score, but whose changes go the other way.

    The first tenth of the scored rounds is left out, and so are rounds without a score.
    """
    page = pages.Page("05_wgan_gp").definitions()
    scores = [99.0, 64, 49, 36, 25, 16, 9, 4, 1, 0]
    losses = [-5.0, 30, 29, 27, 24, 20, 15, 9, 2, -6]
    history = [{"score": s, "d_loss": x} for s, x in zip(scores, losses, strict=True)]
    history.insert(4, {"score": None, "d_loss": 1e9})
    assert page.later(history, "d_loss").tolist() == losses[1:]
    assert page.compared(history, "d_loss") == ("+1.00", "-1.00")
    assert page.compared(history, "d_loss", -1) == ("-1.00", "+1.00")
    assert page.compared(history, "score") == ("+1.00", "+1.00")


def test_experiments_do_not_make_another_run(page):
    constants = pages.Page("05_wgan_gp").definitions("constants").constants
    assert {"LAMBDA_GP", "N_CRITIC", "EPSILON", *SHARED[1:4]} <= constants.keys()
    assert not {"GAP", "CLIP", "UPDATES"} & constants.keys()


def test_resume_is_exact_with_several_updates_of_the_critic():
    def make(lesson):
        page = pages.Page("05_wgan_gp")
        page.set(BATCH_SIZE=4, N_CRITIC=2)
        found = page.definitions(*PARTS, "train_step")
        parts = {name.replace("critic", "discriminator"): getattr(found, name) for name in PARTS}
        return training.Trainer(lesson, found.train_step, {}, {"generator": 0.9}, **parts)

    straight, resumed = toy.straight_and_in_halves(make, toy.data())
    for name, value in straight.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)
