"""Lesson 07: the networks of the paper, both cycles for both generators, the pool, the rate."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tools import pages
from utils import runtime, training
from utils.topics import cyclegan, pairs

PAGE = "07_cyclegan"


def page(**changes):
    """Return the page's definitions at `smoke`, with fresh networks of one seed."""
    keras.utils.set_random_seed(1)
    found = pages.Page(PAGE).definitions("train_step", *pages.CYCLEGAN_PARTS)
    vars(found).update(changes)
    return found


def batch(size=40, n=2, seed=0):
    images = np.random.default_rng(seed).uniform(-1, 1, (2, n, size, size, 3))
    return tf.constant(images[0], tf.float32), tf.constant(images[1], tf.float32)


def arrays(variables):
    return [keras.ops.convert_to_numpy(v).copy() for v in variables]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_papers_sizes():
    found = page()
    assert found.resnet_generator(256, 64, 9).count_params() == 11_378_179
    assert found.patch_discriminator(256, 64, 3).count_params() == 2_764_737
    for stages, patch in (1, 16), (2, 34), (3, 70):  # the first three of the authors' table
        network = found.patch_discriminator(96, 2, stages)
        assert found.receptive_field(network) == patch
    generator = found.resnet_generator(32, 2, 1)
    assert generator.output_shape == (None, 32, 32, 3)
    assert np.abs(generator(batch(32)[0], training=False)).max() <= 1
    kernels = [w for n in pages.CYCLEGAN_NETWORKS for w in getattr(found, n).weights if w.ndim == 4]
    flat = np.concatenate([np.ravel(w) for w in kernels])
    assert np.std(flat) == pytest.approx(0.02, rel=0.02)


def test_photographs_may_be_oblong():
    """Networks, pools and step, for one IMAGE_SIZE of two numbers."""
    oblong = pages.Page(PAGE)
    oblong.set(IMAGE_SIZE=(32, 48))
    found = oblong.definitions("train_step", *pages.CYCLEGAN_PARTS)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 1, 32, 48, 3)).astype("float32")
    results = found.train_step((tf.constant(images[0]), tf.constant(images[1])))
    assert all(np.isfinite(x) for x in results.values())
    assert found.generator_ab.output_shape == (None, 32, 48, 3)
    assert found.pool_a.images.shape == (50, 32, 48, 3)


def test_instance_norm_takes_each_channel_of_each_image_by_itself():
    norm = page().InstanceNorm()
    x = np.random.default_rng(0).normal(3, 2, (2, 8, 8, 5)).astype("float32")
    found = np.asarray(norm(x))
    np.testing.assert_allclose(found.mean((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std((1, 2)), 1, atol=1e-4)
    assert not norm.weights
    np.testing.assert_allclose(norm(x[:1]), found[:1], atol=2e-6)


def scalar(value):
    """Return a network that multiplies an image by one number."""
    weight = keras.initializers.Constant(value * np.eye(3).reshape(1, 1, 3, 3))
    layer = layers.Conv2D(3, 1, use_bias=False, kernel_initializer=weight)
    return keras.Sequential([layers.Input((40, 40, 3)), layer])


def linear(p, q, **changes):
    """Return the page with generators pa and qb, and discriminators that always say 0."""
    found = page(generator_ab=scalar(p), generator_ba=scalar(q), **changes)
    for name in "discriminator_a", "discriminator_b":
        blind = layers.Conv2D(1, 1, kernel_initializer="zeros")
        setattr(found, name, keras.Sequential([layers.Input((40, 40, 3)), blind]))
    for kind, of in (
        ("g", ("generator_ab", "generator_ba")),
        (
            "d",
            ("discriminator_a", "discriminator_b"),
        ),
    ):
        variables = [v for name in of for v in getattr(found, name).trainable_variables]
        optimizer = keras.optimizers.SGD(1.0)
        optimizer.build(variables)
        vars(found).update({f"{kind}_variables": variables, f"{kind}_optimizer": optimizer})
    return found


@pytest.mark.parametrize("identity", [0.0, 5.0])
def test_both_cycle_losses_reach_both_generators(identity):
    """Where pq < 1, d/dp (|pq a - a| + |pq b - b|) = -q (|a| + |b|): the means of both kinds."""
    p, q, (a, b) = 0.5, 0.8, batch()
    found = linear(p, q, LAMBDA_IDENTITY=identity)
    mean_a, mean_b = (float(tf.reduce_mean(tf.abs(x))) for x in (a, b))
    results = found.train_step((a, b))
    assert float(results["cycle"]) == pytest.approx((1 - p * q) * (mean_a + mean_b), rel=1e-4)
    for network, value, other, of_identity in (
        (found.generator_ab, p, q, mean_b),
        (found.generator_ba, q, p, mean_a),
    ):
        expected = value + 10 * other * (mean_a + mean_b) + identity * of_identity
        trace = np.trace(np.asarray(network.weights[0])[0, 0])
        assert trace == pytest.approx(3 * value + (expected - value), rel=1e-3)


def test_each_update_moves_its_own_networks_only():
    for kind, still in ("g", pages.CYCLEGAN_NETWORKS[2:]), ("d", pages.CYCLEGAN_NETWORKS[:2]):
        found = page()
        other = keras.optimizers.SGD(0.0)
        other.build(found.d_variables if kind == "g" else found.g_variables)
        setattr(found, "d_optimizer" if kind == "g" else "g_optimizer", other)
        before = {name: arrays(getattr(found, name).variables) for name in pages.CYCLEGAN_NETWORKS}
        found.train_step(batch())
        for name in pages.CYCLEGAN_NETWORKS:
            assert same(before[name], arrays(getattr(found, name).variables)) == (name in still)


def test_exchanging_a_and_b_exchanges_the_losses():
    found, mirror, (a, b) = page(), page(), batch()
    for ours, theirs in zip(
        pages.CYCLEGAN_NETWORKS,
        (*pages.CYCLEGAN_NETWORKS[1::-1], *pages.CYCLEGAN_NETWORKS[:1:-1]),
        strict=True,
    ):
        getattr(mirror, theirs).set_weights(getattr(found, ours).get_weights())
    results, mirrored = found.train_step((a, b)), mirror.train_step((b, a))
    for name, value in results.items():
        assert float(value) == pytest.approx(float(mirrored[name]), rel=1e-5), name
    for ours, theirs in zip(
        pages.CYCLEGAN_NETWORKS,
        (*pages.CYCLEGAN_NETWORKS[1::-1], *pages.CYCLEGAN_NETWORKS[:1:-1]),
        strict=True,
    ):
        pairs = zip(getattr(found, ours).weights, getattr(mirror, theirs).weights, strict=True)
        for x, y in pairs:
            np.testing.assert_allclose(x, y, atol=5e-4)  # Adam's first step is a sign
    values = {k: float(v) for k, v in results.items()}
    half = [np.mean(np.square(x)) for x in (1 - values["d_real"], values["d_fake"])]
    assert values["d_loss"] >= sum(half)  # a mean square is no less than the square of a mean


def test_identity_passes_only_where_they_count():
    calls, (a, b) = [], batch()

    class Counted(layers.Layer):
        def call(self, x):
            calls.append(x.shape[0])
            return x

    network = keras.Sequential([layers.Input((40, 40, 3)), Counted(), scalar(0.5)])
    calls.clear()
    fake, nothing = page(LAMBDA_IDENTITY=0.0).translate(network, a, b)
    assert (calls, nothing) == ([2], 0.0)
    both, identity = page(LAMBDA_IDENTITY=5.0).translate(network, a, b)
    assert calls == [2, 4]
    np.testing.assert_allclose(both, fake, atol=1e-6)
    assert float(identity) == pytest.approx(float(tf.reduce_mean(tf.abs(b))) / 2, rel=1e-5)


def test_real_and_fake_in_one_batch_are_as_by_themselves():
    found, (a, b) = page(), batch()
    for answers, images in zip(found.judge(found.discriminator_a, a, b), (a, b), strict=True):
        np.testing.assert_allclose(answers, found.discriminator_a(images, training=True), atol=1e-5)


def test_the_pool():
    """Full after 50; then half of what it gives is old, and each image waits 100 on average."""
    pool = cyclegan.ImagePool(50, (1,), tf.random.Generator.from_seed(1))
    exchange = tf.function(pool.exchange)
    kept, ages = [], []
    for i in range(0, 3000, 2):
        new = [float(i), float(i + 1)]
        given = [float(x[0]) for x in exchange(tf.constant(new)[:, None])]
        for x, y in zip(new, given, strict=True):
            if len(kept) < 50:
                assert y == x
                kept.append(x)
            elif y != x:
                kept[kept.index(y)] = x  # it was there, and the new one takes its place
                ages.append(x - y)
        assert sorted(pool.images.numpy()[: len(kept), 0]) == sorted(kept)
    assert len(ages) / 2950 == pytest.approx(0.5, abs=0.03)
    assert np.mean(ages[len(ages) // 5 :]) == pytest.approx(100, rel=0.1)


def run():
    """Train the page's step on the stand-in, with pools that are full after a step."""
    found = page(ROUNDS=4)
    for name in "pool_a", "pool_b":
        setattr(found, name, cyclegan.ImagePool(2, (40, 40, 3), found.rng))
    data = pairs.horse2zebra(40, 2, seed=1)
    trainer = training.Trainer(
        "cyclegan",
        found.train_step,
        runtime.constants(vars(found)),
        {"generator_ab": 0.9},
        **{name: getattr(found, name) for name in pages.CYCLEGAN_PARTS},
    )
    trainer.fit(data, 4, 3, lambda: np.zeros((1, 2, 2, 3)))
    return trainer


def goes_on_as_straight(run):
    """Train, lose the last two rounds, train again; all is as before. Return the last Trainer.

    Args:
        run: makes networks, trains four rounds, and returns the Trainer.
    """
    straight = run()
    for number in 3, 4:
        (straight.folder / "rounds" / f"round-{number:05d}.npz").unlink()
    resumed = run()
    assert resumed.folder == straight.folder
    expected, found = straight.state.values(), resumed.state.values()
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(value, found[key], err_msg=key)
    rows = [[{**row, "seconds": 0} for row in x.history] for x in (straight, resumed)]
    assert rows[0] == rows[1]
    return resumed


def test_a_resumed_run_is_the_straight_one_with_pool_and_rate(monkeypatch, capsys):
    monkeypatch.setenv("STANDIN", "always")
    resumed = goes_on_as_straight(run)
    assert "Continuing after round 2 of 4" in capsys.readouterr().out
    assert {"pool_a", "pool_b"} <= {key.split("/")[0] for key in resumed.state.variables}
    rate = float(resumed.parts["g_optimizer"].learning_rate)
    halfway = resumed.parts["g_optimizer"]._learning_rate.steps / 2
    assert resumed.history[-1]["step"] == 12 > halfway
    assert 0 <= rate < 2e-4
