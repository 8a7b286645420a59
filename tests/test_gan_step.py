"""Lessons 01 and 02: the losses and the step of 2014, as they stand in both pages."""

import ast

import keras
import numpy as np
import pytest
import tensorflow as tf

from tools import pages
from utils import device, steps

LESSONS = "01_gan", "02_dcgan"


@pytest.fixture(scope="module", params=LESSONS)
def made(request):
    """Return a page, and all that its step changes, as it begins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRESET", "quick")
        keras.utils.set_random_seed(1)
        page = pages.Page(request.param).definitions("train_step")
    variables = [v for name in pages.PARTS[:4] for v in getattr(page, name).variables]
    variables += [page.rng.state]
    return page, list(zip(variables, values(variables), strict=True))


@pytest.fixture
def page(made):
    """Return the page as it begins, in every test."""
    page, start = made
    for variable, value in start:
        variable.assign(value)
    return page


@pytest.fixture
def real(page):
    return tf.random.stateless_uniform((page.BATCH_SIZE, 28, 28, 1), (1, 1), -1, 1)


def values(variables):
    return [keras.ops.convert_to_numpy(v) for v in variables]


def updates_of_g(page):
    return getattr(page, "G_UPDATES", 1)


def test_losses_are_the_closed_forms(page):
    """The discriminator's is -V of a batch; the generator's the second form of section 3."""
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 3, (2, 16, 1))
    d_real, d_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    v = np.log(d_real).mean() + np.log(1 - d_fake).mean()
    tensors = [tf.constant(x, tf.float32) for x in (real, fake)]
    assert float(page.discriminator_loss(*tensors)) == pytest.approx(-v, rel=1e-5)
    assert float(page.generator_loss(tensors[1])) == pytest.approx(-np.log(d_fake).mean(), rel=1e-5)


def test_at_balance_the_discriminator_loss_is_log_4(page):
    zero = tf.zeros((8, 1))
    assert float(page.discriminator_loss(zero, zero)) == pytest.approx(np.log(4), rel=1e-6)


def test_losses_are_bounded_below(page):
    """Targets are 0 and 1, never outside: no logit makes a loss negative."""
    for logit in -50.0, 0.0, 50.0:
        x = tf.fill((4, 1), logit)
        assert float(page.discriminator_loss(x, -x)) >= 0
        assert float(page.generator_loss(x)) >= 0


def test_page_and_steps_hold_the_same_step(page, real):
    """Bit for bit, over three updates: weights, statistics, seeds, optimizers, results."""
    parts = [getattr(page, name) for name in pages.PARTS[:4]]
    before = [values(part.variables) for part in parts]
    page_results = [page.train_step(real) for _ in range(3)]
    after = [values(part.variables) for part in parts]
    for part, state in zip(parts, before, strict=True):
        for variable, value in zip(part.variables, state, strict=True):
            variable.assign(value)
    step = steps.gan_step(
        *parts,
        page.generator_loss,
        page.discriminator_loss,
        device.generator(page.SEED),
        page.BATCH_SIZE,
        page.LATENT_DIM,
        updates_of_g(page),
    )
    for expected in page_results:
        results = step(real)
        assert {k: float(v) for k, v in results.items()} == {
            k: float(v) for k, v in expected.items()
        }
    for part, state in zip(parts, after, strict=True):
        for a, b in zip(values(part.variables), state, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("trained", ["generator", "discriminator"])
def test_each_update_moves_its_own_network_only(page, real, trained, monkeypatch):
    other = "discriminator" if trained == "generator" else "generator"
    monkeypatch.setattr(getattr(page, f"{other[0]}_optimizer"), "apply", lambda *_: None)
    networks = {name: getattr(page, name) for name in (trained, other)}
    before = {name: values(network.trainable_variables) for name, network in networks.items()}
    page.train_step(real)
    for name, network in networks.items():
        after = values(network.trainable_variables)
        moved = [not np.array_equal(a, b) for a, b in zip(before[name], after, strict=True)]
        assert all(moved) if name == trained else not any(moved)


def test_real_and_fake_are_batches_of_their_own_and_z_is_fresh(page, real, monkeypatch):
    seen = {"generator": [], "discriminator": []}
    for name, calls in seen.items():
        network = getattr(page, name)

        def spy(x, training, network=network, calls=calls):
            assert training is True
            calls.append(np.array(x))
            return network(x, training=training)

        spy.trainable_variables = network.trainable_variables
        monkeypatch.setattr(page, name, spy)
    page.train_step(real)
    z = np.array(seen["generator"])
    batches = 1 + updates_of_g(page)
    assert z.shape == (batches, page.BATCH_SIZE, page.LATENT_DIM)
    assert len(np.unique(z)) == z.size
    error = 1 / np.sqrt(z.size)  # standard, of the mean
    assert abs(z.mean()) < 4 * error  # N(0, 1)
    assert z.std() == pytest.approx(1, abs=4 * error)
    images = seen["discriminator"]
    assert [len(x) for x in images] == [page.BATCH_SIZE] * (1 + batches)
    np.testing.assert_array_equal(images[0], real)


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_call_of_a_network_says_training(lesson):
    """Without it a step leaves batch normalisation in the mode that Keras happens to choose."""
    calls = []
    for cell in pages.Page(lesson).code:
        for node in ast.walk(ast.parse(cell.source)):
            name = getattr(getattr(node, "func", None), "id", "")
            if isinstance(node, ast.Call) and name in ("generator", "discriminator", "averaged"):
                calls.append([keyword.arg for keyword in node.keywords])
    assert len(calls) >= 6
    assert all(keywords == ["training"] for keywords in calls)


@pytest.mark.parametrize(
    ("constant", "expected"),
    [(0.5, [2e-4, 2e-4, 2e-4, 1e-4, 0, 0]), (0.0, [2e-4, 1.002e-4, 1e-4, 5e-5, 0, 0])],
)
def test_the_rate_is_constant_then_falls_to_0(constant, expected):
    rate = steps.ConstantThenLinear(2e-4, 1000, constant)
    found = [float(rate(tf.constant(step))) for step in (0, 499, 500, 750, 1000, 2000)]
    np.testing.assert_allclose(found, expected, atol=1e-10)
    again = type(rate).from_config(rate.get_config())
    assert float(again(750)) == found[3]
