"""Lesson 06: three ways to tell D a label, held against sums by hand, and the step with labels."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import toy
from tools import pages
from utils import device, training

WAYS = "planes", "classifier", "projection"
# What is equal in lesson 02, so that only the label is new.
SHARED = [
    *("LATENT_DIM", "CHANNELS", "NOISE", "BATCH_SIZE", "G_UPDATES", "LEARNING_RATE", "CONSTANT"),
    *("BETA_1", "BETA_2", "XLA", "AVERAGE", "STEPS_PER_ROUND", "SAMPLES", "SEED"),
]
N = 6


def labelled(batch_size=16):
    """Return toy data with the ten classes of MNIST."""
    data = toy.data()
    labels = np.arange(len(data.images)) % 10
    told = {"labels": labels, "classes": tuple("0123456789"), "with_labels": True}
    return dataclasses.replace(data, batch_size=batch_size, **told)


def made(way, monkeypatch, **constants):
    monkeypatch.setenv("PRESET", "quick")
    page = pages.Page("06_cgan")
    page.set(WAY=way, **constants)
    return page.definitions("train_step", "discriminator", dataset=labelled())


@pytest.fixture(params=WAYS)
def page(request, monkeypatch):
    return made(request.param, monkeypatch, NOISE=0.0)


@pytest.fixture
def one(monkeypatch):
    """For what all ways share."""
    return made("projection", monkeypatch, NOISE=0.0)


@pytest.fixture
def images():
    return tf.random.stateless_uniform((N, 28, 28, 1), (1, 1), -1, 1)


def one_hot(*numbers):
    return tf.one_hot(numbers, 10)


def spread(network, factor=20.0):
    """Make weights larger than N(0, .02), as after training, so that what differs is seen."""
    for variable in network.trainable_variables:
        variable.assign(factor * variable)


def test_the_constants_are_those_of_lesson_02(monkeypatch):
    for preset in "smoke", "quick", "long", "paper":
        monkeypatch.setenv("PRESET", preset)
        found, other = (
            pages.Page("06_cgan").definitions("SEED", dataset=labelled()),
            pages.Page("02_dcgan").definitions("SEED"),
        )
        for name in SHARED:
            if (preset, name) != ("smoke", "SAMPLES"):  # as many of each class
                assert getattr(found, name) == getattr(other, name), (preset, name)


# The generator


def test_the_label_stands_beside_z(one):
    """The first layer reads (z, label): W z + U y, by hand."""
    body = one.generator.layers[-1]
    kernel = body.layers[0].kernel.numpy()
    assert kernel.shape[0] == one.LATENT_DIM + 10
    z = tf.random.stateless_normal((N, one.LATENT_DIM), (1, 2))
    y = one_hot(3, 1, 4, 1, 5, 9)
    dense = body.layers[0]
    expected = z @ kernel[: one.LATENT_DIM] + tf.gather(
        kernel[one.LATENT_DIM :], [3, 1, 4, 1, 5, 9]
    )
    np.testing.assert_allclose(dense(tf.concat([z, y], 1)), expected, atol=1e-5)
    found = one.generator([z, y], training=False)
    np.testing.assert_allclose(found, body(tf.concat([z, y], 1), training=False), atol=1e-6)


def test_the_generator_is_that_of_lesson_02_with_ten_more_inputs(one):
    other = pages.Page("02_dcgan").definitions("generator").generator
    shapes = [w.shape for w in one.generator.weights]
    expected = [w.shape for w in other.weights]
    assert shapes[0] == (expected[0][0] + 10, expected[0][1])
    assert shapes[1:] == expected[1:]


# The three ways


def test_planes_are_constant_and_say_the_label():
    """The trap of a popular tutorial: planes made by `repeat` without an axis are not."""
    page = pages.Page("06_cgan").definitions("planes", dataset=labelled())
    seen = []

    def discriminator(channels, noise, inputs):
        assert inputs == 11
        layer = keras.layers.Lambda(lambda x: seen.append(x) or x[:, 0, 0, :1])
        return layer

    page.dcgan_discriminator = discriminator
    x = tf.random.stateless_normal((3, 28, 28, 1), (1, 2))
    page.planes(x, one_hot(3, 0, 9))
    (joined,) = seen
    np.testing.assert_array_equal(joined[..., :1], x)
    for image, label in zip(joined.numpy(), (3, 0, 9), strict=True):
        for k in range(10):
            np.testing.assert_array_equal(image[..., 1 + k], np.float32(0.1) * (k == label))


def test_with_planes_the_label_changes_the_answer(images, monkeypatch):
    page = made("planes", monkeypatch, NOISE=0.0)
    spread(page.discriminator)
    answers = [page.discriminator([images, one_hot(*[k] * N)], training=False) for k in (3, 4)]
    assert np.abs(answers[0] - answers[1]).min() > 1e-4


def test_the_classifier_does_not_see_the_label(images, monkeypatch):
    page = made("classifier", monkeypatch, NOISE=0.0)
    spread(page.discriminator)
    answers = [page.discriminator([images, one_hot(*[k] * N)], training=False) for k in (3, 4)]
    assert answers[0].shape == (N, 11)
    np.testing.assert_array_equal(answers[0], answers[1])
    assert np.std(answers[0]) > 0


def test_the_projection_by_hand(images, monkeypatch):
    """w φ(x) + b + v_y φ(x) (Miyato and Koyama 2018, eq. 5)."""
    page = made("projection", monkeypatch, NOISE=0.0)
    spread(page.discriminator)
    body = next(x for x in page.discriminator.layers if isinstance(x, keras.Sequential))
    dense = [x for x in page.discriminator.layers if isinstance(x, keras.layers.Dense)]
    ((vectors,), (w, b)) = (
        [weight.numpy() for weight in layer.weights]
        for layer in sorted(dense, key=lambda layer: len(layer.weights))
    )
    labels = 3, 1, 4, 1, 5, 9
    phi = body(images, training=False).numpy().astype("float64")
    expected = phi @ w + b + (phi * vectors[list(labels)]).sum(axis=1, keepdims=True)
    found = page.discriminator([images, one_hot(*labels)], training=False)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert vectors.shape == (10, phi.shape[1])


def test_the_body_is_lesson_02s_discriminator_but_its_last_layer(monkeypatch):
    other = pages.Page("02_dcgan").definitions("discriminator").discriminator
    for way in "classifier", "projection":
        page = made(way, monkeypatch)
        body = next(x for x in page.discriminator.layers if isinstance(x, keras.Sequential))
        kinds = [type(layer).__name__ for layer in body.layers]
        assert kinds == [type(layer).__name__ for layer in other.layers[:-1]]
        assert body.output_shape == (None, 2048)


# Losses


def test_losses_are_the_closed_forms(one):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 3, (2, 16, 1))
    d_real, d_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    tensors = [tf.constant(x, tf.float32) for x in (real, fake)]
    expected = -np.log(d_real).mean() - np.log(1 - d_fake).mean()
    assert float(one.discriminator_loss(*tensors)) == pytest.approx(expected, rel=1e-5)
    assert float(one.generator_loss(tensors[1])) == pytest.approx(-np.log(d_fake).mean(), rel=1e-5)


def test_the_class_loss_is_the_cross_entropy_of_the_right_class(page):
    answers = tf.random.stateless_normal((N, 11), (1, 2))
    labels = 3, 1, 4, 1, 5, 9
    found = page.class_loss(answers, one_hot(*labels))
    if page.WAY != "classifier":
        assert found == 0
        return
    logits = answers.numpy()[:, 1:].astype("float64")
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    expected = -logs[np.arange(N), list(labels)].mean()
    assert float(found) == pytest.approx(expected, rel=1e-5)


# The step


@pytest.fixture
def batch(page):
    real = tf.random.stateless_uniform((page.BATCH_SIZE, 28, 28, 1), (1, 1), -1, 1)
    return real, tf.constant(np.arange(page.BATCH_SIZE) % 10, tf.int64)


def test_d_sees_each_image_with_its_own_label(page, batch, monkeypatch):
    made_by_g, seen = [], []
    generator, discriminator = page.generator, page.discriminator

    def noted_g(inputs, training):
        assert training is True
        made_by_g.append([*inputs, generator(inputs, training=training)])
        return made_by_g[-1][-1]

    def noted_d(inputs, training):
        assert training is True
        seen.append(inputs)
        return discriminator(inputs, training=training)

    noted_g.trainable_variables = generator.trainable_variables
    noted_d.trainable_variables = discriminator.trainable_variables
    monkeypatch.setattr(page, "generator", noted_g)
    monkeypatch.setattr(page, "discriminator", noted_d)
    page.train_step(batch)
    real, *fakes = seen
    np.testing.assert_array_equal(real[0], batch[0])
    np.testing.assert_array_equal(tf.argmax(real[1], 1), batch[1])
    assert len(fakes) == len(made_by_g) == 1 + page.G_UPDATES
    for (image, label), (_, asked, fake) in zip(fakes, made_by_g, strict=True):
        np.testing.assert_array_equal(image, fake)
        np.testing.assert_array_equal(label, asked)
        np.testing.assert_array_equal(np.sort(label, axis=1), np.eye(10)[[9]] * np.ones((16, 1)))
    z = np.concatenate([x[0] for x in made_by_g])
    assert len(np.unique(z, axis=0)) == len(z)


def test_fakes_are_asked_for_in_all_classes_alike(one):
    labels = np.concatenate([one.draw_inputs()[1].numpy() for _ in range(200)])
    counts = labels.sum(axis=0)
    expected = len(labels) / 10
    assert np.abs(counts - expected).max() < 4 * np.sqrt(expected)


@pytest.mark.parametrize("trained", ["generator", "discriminator"])
def test_each_update_moves_its_own_network_only(page, batch, trained, monkeypatch):
    other = "discriminator" if trained == "generator" else "generator"
    monkeypatch.setattr(getattr(page, f"{other[0]}_optimizer"), "apply", lambda *_: None)
    networks = [getattr(page, name) for name in (trained, other)]
    moved, not_moved = toy.moved(lambda: page.train_step(batch), networks)
    assert all(moved)
    assert not any(not_moved)


def test_only_the_vectors_of_classes_that_were_seen_move(monkeypatch):
    page = made("projection", monkeypatch)
    monkeypatch.setattr(page, "draw_inputs", lambda: (tf.ones((16, 32)), one_hot(*[2] * 16)))
    (vectors,) = (w for w in page.discriminator.trainable_variables if w.shape[0] == 10)
    before = vectors.numpy()
    real = tf.random.stateless_uniform((16, 28, 28, 1), (1, 1), -1, 1)
    page.train_step((real, tf.fill((16,), tf.constant(7, tf.int64))))
    moved = np.abs(vectors.numpy() - before).max(axis=1) > 0
    assert np.flatnonzero(moved).tolist() == [2, 7]


def test_an_unknown_way_is_an_error(monkeypatch):
    with pytest.raises(KeyError, match="planet"):
        made("planet", monkeypatch)


def test_what_is_measured_makes_no_other_run():
    page = pages.Page("06_cgan").definitions("constants", dataset=labelled())
    assert {"WAY", "CLASSES", *SHARED[:10]} <= page.constants.keys()
    assert not {"TRAINED_ON", "EPOCHS"} & page.constants.keys()


def test_networks_with_two_inputs_are_copied_as_the_trainer_does(one):
    copy = device.copy(one.generator)
    z = tf.random.stateless_normal((N, one.LATENT_DIM), (1, 2))
    inputs = [z, one_hot(3, 1, 4, 1, 5, 9)]
    expected = one.generator(inputs, training=False)
    np.testing.assert_array_equal(copy(inputs, training=False), expected)


def test_resume_is_exact_with_labels():
    def make(lesson):
        page = pages.Page("06_cgan")
        page.set(BATCH_SIZE=4)
        found = page.definitions(*pages.PARTS, "train_step", dataset=labelled(4))
        parts = {name: getattr(found, name) for name in pages.PARTS}
        return training.Trainer(lesson, found.train_step, {}, {"generator": 0.9}, **parts)

    straight, resumed = toy.straight_and_in_halves(make, labelled(4))
    for name, value in straight.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)
