"""Lesson 04: least squares, on the networks and the step of lesson 02."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import test_02_dcgan
from tools import pages
from utils import device

NAMES = {*pages.PARTS, "train_step", "log_generator_loss"}


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setenv("PRESET", "quick")
    return pages.Page("04_lsgan").definitions(*NAMES)


def gradients(loss, logits):
    x = tf.constant(logits, tf.float32)[:, None]
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(x) * len(logits)
    return tape.gradient(value, x).numpy()[:, 0]


def test_losses_are_the_closed_forms(page):
    """Mao et al. 2017, eq. 9, with the factors 1/2."""
    real, fake = np.random.default_rng(0).normal(0, 3, (2, 16, 1)).astype("float32")
    a, b, c = page.A, page.B, page.C
    expected = np.mean((real - b) ** 2) / 2 + np.mean((fake - a) ** 2) / 2
    assert float(page.discriminator_loss(real, fake)) == pytest.approx(expected, rel=1e-5)
    expected = np.mean((fake - c) ** 2) / 2
    assert float(page.generator_loss(fake)) == pytest.approx(expected, rel=1e-5)


def test_only_least_squares_pulls_back_a_fake_beyond_the_boundary(page):
    far = [-8.0, 0.0, 8.0]
    np.testing.assert_allclose(gradients(page.generator_loss, far), np.array(far) - page.C)
    sigmoid = 1 / (1 + np.exp(-np.array(far)))
    np.testing.assert_allclose(gradients(page.log_generator_loss, far), sigmoid - 1, rtol=1e-4)


def test_the_best_discriminator_is_where_the_loss_has_no_slope(page):
    """For densities r and g at a point: D* = (b r + a g) / (r + g)."""
    r, g = 0.7, 0.2
    best = tf.Variable((page.B * r + page.A * g) / (r + g))
    with tf.GradientTape() as tape:
        d = best[None, None]
        at_real = page.discriminator_loss(d, tf.fill((1, 1), page.A))
        at_fake = page.discriminator_loss(tf.fill((1, 1), page.B), d)
        loss = r * at_real + g * at_fake
    assert float(tape.gradient(loss, best)) == pytest.approx(0, abs=1e-6)


def test_balance_is_the_loss_of_a_discriminator_that_knows_nothing(page):
    half = tf.fill((4, 1), (page.A + page.B) / 2)
    balance = (page.B - page.A) ** 2 / 4
    assert float(page.discriminator_loss(half, half)) == pytest.approx(balance)


def test_the_networks_and_the_optimizers_are_those_of_lesson_02(page, monkeypatch):
    """One source: nothing but the losses differs."""
    monkeypatch.setenv("PRESET", "quick")
    other = pages.Page("02_dcgan").definitions(*test_02_dcgan.NAMES)
    for name in "generator", "discriminator":
        found, expected = (test_02_dcgan.described(getattr(x, name)) for x in (page, other))
        assert found == expected, name
    for name in "g_optimizer", "d_optimizer":
        found, expected = (getattr(x, name).get_config() for x in (page, other))
        assert found | {"name": ""} == expected | {"name": ""}, name
    for name in "LATENT_DIM", "BATCH_SIZE", "STEPS_PER_ROUND", "ROUNDS", "AVERAGE", "SEED":
        assert getattr(page, name) == getattr(other, name), name


def test_the_step_trains_with_the_losses_of_the_page(page):
    real = tf.random.stateless_uniform((page.BATCH_SIZE, 28, 28, 1), (1, 1), -1, 1)
    z = device.generator(page.SEED).normal((page.BATCH_SIZE, page.LATENT_DIM))
    keras.utils.set_random_seed(1)
    fake = page.generator(z, training=True)
    before = [keras.ops.convert_to_numpy(v) for v in page.discriminator.variables]
    answers = [page.discriminator(x, training=True) for x in (real, fake)]
    for variable, value in zip(page.discriminator.variables, before, strict=True):
        variable.assign(value)  # the seed of its noise, too
    results = page.train_step(real)
    expected = page.discriminator_loss(*answers)
    assert float(results["d_loss"]) == pytest.approx(float(expected), abs=1e-5)
    assert float(results["d_real"]) == pytest.approx(float(tf.reduce_mean(answers[0])), abs=1e-5)
