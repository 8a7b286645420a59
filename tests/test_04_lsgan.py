"""Lesson 04: least squares, on the networks and the step of lesson 02, and its two experiments."""

import ast
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import test_02_dcgan, toy
from tools import pages
from utils import device, steps
from utils.topics import ring

NAMES = {*pages.PARTS, "train_step", "log_generator_loss"}
# What is equal in both lessons, at every preset: nothing but the losses differs.
SHARED = [
    *("LATENT_DIM", "CHANNELS", "NOISE", "BATCH_SIZE", "G_UPDATES", "LEARNING_RATE", "CONSTANT"),
    *("BETA_1", "BETA_2", "XLA", "AVERAGE", "STEPS_PER_ROUND", "ROUNDS", "SAMPLES", "SEED"),
]


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


def test_slopes_are_those_of_each_fake(page):
    """Through a network that doubles: the slope at the answer, times 2."""
    fakes = tf.constant([[-1.0], [0.5], [3.0]])
    found = page.slopes(page.generator_loss, lambda x, training: 2 * x, fakes)
    np.testing.assert_allclose(found, 2 * (2 * fakes.numpy() - page.C), rtol=1e-6)


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


@pytest.mark.parametrize("preset", ["smoke", "quick", "long", "paper"])
def test_the_constants_are_those_of_lesson_02(preset, monkeypatch):
    monkeypatch.setenv("PRESET", preset)
    found, expected = (pages.Page(name).definitions("SEED") for name in ("04_lsgan", "02_dcgan"))
    for name in SHARED:
        assert getattr(found, name) == getattr(expected, name), name
    ours, theirs = (page.adam(100).get_config() | {"name": ""} for page in (found, expected))
    assert ours == theirs


def test_the_training_is_planned_as_in_lesson_02():
    """Snapshots, scores and the average, as both pages write them."""
    found, expected = (
        {
            ast.unparse(node)
            for cell in pages.Page(name).code
            for node in ast.parse(cell.source).body
        }
        for name in ("04_lsgan", "02_dcgan")
    )
    shared = found & expected
    for start in "snapshots = ", "def sample(", "def score(", "evaluation = ":
        of_both = [{x for x in y if x.startswith(start)} for y in (found, expected)]
        assert of_both[0] == of_both[1] != set(), start
    assert any(x.startswith("history = trainer.fit(") for x in shared)


def test_the_networks_and_the_optimizers_are_those_of_lesson_02(page):
    """One source: nothing but the losses differs."""
    other = pages.Page("02_dcgan").definitions(*test_02_dcgan.NAMES)
    for name in "generator", "discriminator":
        found, expected = (test_02_dcgan.described(getattr(x, name)) for x in (page, other))
        assert found == expected, name
        for a, b in zip(getattr(page, name).weights, getattr(other, name).weights, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    for name in "g_optimizer", "d_optimizer":
        found, expected = (getattr(x, name).get_config() for x in (page, other))
        assert found | {"name": ""} == expected | {"name": ""}, name


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


def test_the_experiments_do_not_make_another_run():
    page = pages.Page("04_lsgan").definitions("constants", *"ABC")
    assert {"A", "B", "C", *SHARED} <= page.constants.keys()
    assert not [name for name in page.constants if name.startswith(("RING", "PLAIN"))]


def test_the_ring_is_what_was_listed_beforehand(monkeypatch):
    """benchmarks/RESULTS.md, before the first run."""
    monkeypatch.setenv("PRESET", "long")
    page = pages.Page("04_lsgan").definitions("losses")
    assert (page.RING_UPDATES, page.RING_RATES) == (15_000, (1e-3, 3e-4, 1e-4))
    assert page.RING_SEEDS == page.PLAIN_SEEDS == (1, 2, 3, 4, 5)
    assert (ring.MODES, ring.RADIUS, ring.DEVIATION, ring.LATENT_DIM) == (8, 2, 0.02, 16)
    assert (ring.BATCH, ring.COUNTED, ring.TENTHS) == (256, 2500, 10)


def test_a_ring_run_keeps_plain_numbers_and_points_of_the_first_one_only(monkeypatch):
    monkeypatch.setenv("PRESET", "smoke")
    page = pages.Page("04_lsgan").definitions("losses")
    rate, seed = page.RING_RATES[0], page.RING_SEEDS[0]
    first = page.ring_run("least squares", rate, seed)
    other = page.ring_run("least squares", rate, seed + 1)
    assert json.loads(json.dumps([first, other])) == [first, other]
    assert first.keys() == {"modes", "good", "points"}
    assert other.keys() == {"modes", "good"}
    losses = page.generator_loss, page.discriminator_loss
    run = ring.play(*losses, rate, page.RING_UPDATES, seed)
    assert (first["modes"], first["good"]) == (run.modes, run.good)
    keys = {
        page.ring_key(*x) for x in (("a", rate, 1), ("a", rate, 2), ("a", 0.5, 1), ("b", rate, 1))
    }
    assert len(keys) == 4


def test_without_batch_norm_in_g_is_otherwise_lesson_02_at_quick(page, monkeypatch):
    monkeypatch.setenv("PRESET", "long")
    page = pages.Page("04_lsgan").definitions("losses", "numbers", "dataset", dataset=toy.data())
    monkeypatch.setenv("PRESET", "quick")
    other = pages.Page("02_dcgan").definitions("g_optimizer", "d_optimizer", "discriminator")
    found = page.PLAIN_ROUNDS, page.PLAIN_STEPS, page.PLAIN_AVERAGE
    assert found == (other.ROUNDS, other.STEPS_PER_ROUND, other.AVERAGE)
    parts = {name: page.plain_step(name, 1)[1] for name in page.losses}
    ours = parts["least squares"]
    for name in "g_optimizer", "d_optimizer":
        found, expected = (x.get_config() for x in (ours[name], getattr(other, name)))
        assert found | {"name": ""} == expected | {"name": ""}, name
    kinds = [type(layer).__name__ for layer in ours["generator"].layers]
    assert "BatchNormalization" not in kinds
    found, expected = (
        test_02_dcgan.described(x) for x in (ours["discriminator"], other.discriminator)
    )
    assert found == expected
    page.PLAIN_IN = "D"
    moved = page.plain_step("least squares", 1)[1]
    for name, has in (("generator", True), ("discriminator", False)):
        kinds = [type(layer).__name__ for layer in moved[name].layers]
        assert ("BatchNormalization" in kinds) is has
    for name in "generator", "discriminator", "rng":  # both losses start equal
        a, b = (_values(parts[loss][name]) for loss in page.losses)
        assert len(a) == len(b) > 0
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def _values(part):
    variables = [part.state] if isinstance(part, tf.random.Generator) else part.variables
    return [keras.ops.convert_to_numpy(v) for v in variables]


def test_each_loss_is_reported_by_its_own_probability(monkeypatch):
    """D(x) of cross-entropy lies between 0 and 1; that of least squares is the answer itself."""
    monkeypatch.setenv("PRESET", "smoke")
    page = pages.Page("04_lsgan").definitions("losses", "numbers")
    real = tf.random.stateless_uniform((page.BATCH_SIZE, 28, 28, 1), (1, 1), -1, 1)
    made = []

    def make(*given):
        made.append(given)
        return steps_made(*given)

    steps_made = steps.gan_step
    monkeypatch.setattr(page.steps, "gan_step", make)
    for name, (*pair, probability) in page.losses.items():
        step, _ = page.plain_step(name, 1)
        assert set(step(real)) == {"d_loss", "g_loss", "d_real", "d_fake"}
        assert [*made[-1][4:6], made[-1][-1]] == [*pair, probability]
        assert made[-1][7:10] == (page.BATCH_SIZE, page.LATENT_DIM, page.G_UPDATES)
