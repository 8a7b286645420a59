"""Lesson 02: what stands in the page is DCGAN, and does what the page says."""

import ast
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import pages
from utils import checkpoints, runtime, steps
from utils.fingerprint import fingerprint

PARTS = ("generator", "discriminator", "g_optimizer", "d_optimizer", "rng")
NAMES = {*PARTS, "cross_entropy", "stride_2"}


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setenv("PRESET", "quick")
    keras.utils.set_random_seed(1)
    return pages.definitions("02_dcgan", NAMES)


@pytest.fixture
def real(page):
    return tf.random.stateless_uniform((page.BATCH_SIZE, 28, 28, 1), (1, 1), -1, 1)


def values(network):
    return [keras.ops.convert_to_numpy(v) for v in network.variables]


def test_losses_are_the_closed_forms(page):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 3, (2, 16, 1))
    d_real, d_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    expected = -np.log(d_real).mean() - np.log(1 - d_fake).mean()
    tensors = [tf.constant(x, tf.float32) for x in (real, fake)]
    assert float(page.discriminator_loss(*tensors)) == pytest.approx(expected, rel=1e-5)
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


def test_parameters_and_shapes(page):
    """By hand: kernels k*k*in*out, batch normalisation 4 a channel, biases at the ends only."""
    w, z = page.WIDTH, page.LATENT_DIM
    by_hand = z * 64 * w + 16 * w + 16 * 4 * w * 2 * w + 8 * w + 16 * 2 * w * w + 4 * w
    assert page.generator.count_params() == by_hand + 16 * w + 1
    by_hand = 16 * w + w + 16 * w * 2 * w + 8 * w + 16 * 2 * w * 4 * w + 16 * w + 64 * w + 1
    assert page.discriminator.count_params() == by_hand
    assert page.generator.output_shape == (None, 28, 28, 1)
    assert page.discriminator.output_shape == (None, 1)


def test_weights_start_as_in_the_paper(page):
    """N(0, 0.02) for convolutions, N(1, 0.02) for the scale of batch normalisation."""
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Dense)
    gammas = []
    for layer in page.generator.layers + page.discriminator.layers:
        if isinstance(layer, kinds):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            assert abs(kernel.mean()) < 4 * 0.02 / np.sqrt(kernel.size)
            assert kernel.std() == pytest.approx(0.02, rel=4 / np.sqrt(2 * kernel.size))
        if isinstance(layer, keras.layers.BatchNormalization):
            gammas.append(keras.ops.convert_to_numpy(layer.gamma))
            assert layer.epsilon == 1e-3  # Keras' own, not a momentum in its place
    gammas = np.concatenate(gammas)
    assert gammas.mean() == pytest.approx(1, abs=0.01)
    assert gammas.std() == pytest.approx(0.02, rel=0.2)


def test_guidelines(page):
    """No pooling, no hidden dense layer, batch normalisation but at the ends, even overlap."""
    g, d = page.generator.layers, page.discriminator.layers
    kinds = [type(layer).__name__ for layer in g + d]
    assert not [kind for kind in kinds if "Pool" in kind or "UpSampling" in kind]
    assert kinds.count("Dense") == 2
    assert type(d[-1]).__name__ == "Dense"
    assert all(
        layer.kernel_size[0] % layer.strides[0] == 0 for layer in g + d if hasattr(layer, "strides")
    )
    assert [layer.negative_slope for layer in d if "Leaky" in type(layer).__name__] == [
        pytest.approx(0.2)
    ] * 3
    assert "BatchNormalization" not in [type(layer).__name__ for layer in d[:3]]
    assert [type(layer).__name__ for layer in g].count("BatchNormalization") == 3


def test_page_and_steps_hold_the_same_step(page, real):
    """Bit for bit, over three updates: weights, statistics, optimizers, results."""
    state = [values(part) for part in (page.generator, page.discriminator)]
    page_results = [page.train_step(real) for _ in range(3)]
    page_weights = values(page.generator) + values(page.discriminator)

    parts = page.generator, page.discriminator, page.g_optimizer, page.d_optimizer
    for network, before in zip(parts, state, strict=False):
        network.set_weights(before)
    for optimizer in parts[2:]:
        for variable in optimizer.variables:
            if "learning_rate" not in variable.path:
                variable.assign(tf.zeros_like(variable.value))
    rng = tf.random.Generator.from_seed(page.SEED)
    step = steps.gan_step(
        *parts,
        page.generator_loss,
        page.discriminator_loss,
        rng,
        page.BATCH_SIZE,
        page.LATENT_DIM,
    )
    for expected in page_results:
        results = step(real)
        assert {k: float(v) for k, v in results.items()} == {
            k: float(v) for k, v in expected.items()
        }
    for a, b in zip(page_weights, values(parts[0]) + values(parts[1]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("trained", ["generator", "discriminator"])
def test_each_update_moves_its_own_network_only(page, real, trained):
    other = "discriminator" if trained == "generator" else "generator"
    getattr(page, f"{other[0]}_optimizer").learning_rate = 0.0
    networks = {name: getattr(page, name) for name in (trained, other)}
    before = {
        name: [keras.ops.convert_to_numpy(v) for v in network.trainable_variables]
        for name, network in networks.items()
    }
    page.train_step(real)
    for name, network in networks.items():
        moved = [
            not np.array_equal(a, keras.ops.convert_to_numpy(b))
            for a, b in zip(before[name], network.trainable_variables, strict=True)
        ]
        assert all(moved) if name == trained else not any(moved)


def test_batch_statistics_move(page, real):
    for network in page.generator, page.discriminator:
        before = [keras.ops.convert_to_numpy(v) for v in network.non_trainable_variables]
        assert before
        page.train_step(real)
        after = [keras.ops.convert_to_numpy(v) for v in network.non_trainable_variables]
        assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


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
    z = seen["generator"]
    assert [x.shape for x in z] == [(page.BATCH_SIZE, page.LATENT_DIM)] * 2
    assert not np.intersect1d(z[0], z[1]).size
    assert abs(np.concatenate(z).mean()) < 0.05  # N(0, 1)
    assert np.concatenate(z).std() == pytest.approx(1, abs=0.03)
    images = seen["discriminator"]
    assert [len(x) for x in images] == [page.BATCH_SIZE] * 3
    np.testing.assert_array_equal(images[0], real)


def test_every_call_of_a_network_says_training():
    """Without it a step leaves batch normalisation in the mode that Keras happens to choose."""
    calls = []
    for cell in pages.cells("02_dcgan"):
        for node in ast.walk(ast.parse(cell.source)):
            name = getattr(getattr(node, "func", None), "id", "")
            if isinstance(node, ast.Call) and name in ("generator", "discriminator", "averaged"):
                calls.append([keyword.arg for keyword in node.keywords])
    assert len(calls) >= 8
    assert all(keywords == ["training"] for keywords in calls)


def test_the_walk_stays_on_the_sphere_and_meets_its_ends(page):
    z0, z1 = tf.random.stateless_normal((2, page.LATENT_DIM), (0, 0))
    z1 *= tf.norm(z0) / tf.norm(z1)
    path = page.walk(z0, z1, stations=5)
    np.testing.assert_allclose(path[0], z0, atol=1e-5)
    np.testing.assert_allclose(path[-1], z1, atol=1e-5)
    np.testing.assert_allclose(tf.norm(path, axis=1), [float(tf.norm(z0))] * 5, rtol=1e-5)


def test_overlap_is_even_only_where_the_stride_divides_the_kernel():
    """What the picture shows: 4, 6 and 9 patches a pixel with kernel 5, always 4 with kernel 4."""
    for kernel, expected in (5, {4, 6, 9}), (4, {4}):
        layer = keras.layers.Conv2DTranspose(1, kernel, 2, "same", kernel_initializer="ones")
        counts = keras.ops.convert_to_numpy(layer(tf.ones((1, 8, 8, 1))))[0, 2:-2, 2:-2]
        assert set(counts.ravel().astype(int)) == expected


def test_the_tracked_record_is_this_lesson(page, monkeypatch):
    """On every version of Keras: what `PRESET=long` shows was trained by what stands here."""
    monkeypatch.setenv("PRESET", "long")
    page = pages.definitions("02_dcgan", NAMES)
    parts = {name: getattr(page, name) for name in PARTS}
    prints = fingerprint(page.train_step, parts, runtime.constants(vars(page)), "MNIST")
    state, metrics = checkpoints.load_record("02_dcgan", prints, page.ROUNDS)
    assert (metrics["preset"], metrics["standin"]) == ("long", False)
    assert len(json.loads(str(state["history"]))) == page.ROUNDS
    samples = np.load(checkpoints.record_folder("02_dcgan") / "state.npz")["frames"][-1]
    assert samples.shape == (64, 28, 28, 1)
