"""Lesson 08: labels as planes, D's two answers, the losses by hand, who learns from what."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import toy
from tools import pages
from utils import steps, training
from utils.topics.faces import judges

LESSON = "08_stargan"
PARTS = ("generator", "discriminator", "g_optimizer", "d_optimizer", "rng")


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setenv("PRESET", "smoke")
    return pages.Page(LESSON).definitions(*PARTS, "train_step")


@pytest.fixture
def batch(page):
    n = page.N_CRITIC * page.BATCH_SIZE
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (n, len(page.ATTRIBUTES))).astype("float32")
    real = rng.uniform(-1, 1, (n, page.IMAGE_SIZE, page.IMAGE_SIZE, 3)).astype("float32")
    return tf.constant(real), tf.constant(labels)


def values(network):
    return [v.numpy() for v in network.trainable_variables]


# Networks


def test_a_label_is_the_same_at_all_pixels(page):
    """Trap 1: what enters the first convolution, beside the image."""
    joined = next(x for x in page.generator.layers if isinstance(x, keras.layers.Concatenate))
    seen = keras.Model(page.generator.inputs, joined.output)
    label = tf.constant([[1.0, 0.0, 0.5, 0.0, 1.0]])
    planes = seen([tf.zeros((1, page.IMAGE_SIZE, page.IMAGE_SIZE, 3)), label])[..., 3:].numpy()
    np.testing.assert_array_equal(planes, np.broadcast_to(label, planes.shape))


def test_the_generator_has_zero_padding_and_learned_normalisation(page):
    kinds = [type(x).__name__ for x in page.generator.layers]
    assert "ReflectionPadding2D" not in kinds
    norms = [x for x in page.generator.layers if type(x).__name__ == "InstanceNorm"]
    assert norms
    assert all(x.center and x.scale for x in norms)
    assert page.generator.output_shape == (None, page.IMAGE_SIZE, page.IMAGE_SIZE, 3)


def test_the_discriminator_gives_two_answers_and_knows_no_label(page, batch):
    real, _ = batch
    answers, logits = page.discriminator(real)
    assert answers.shape[::3] == (len(real), 1)  # patches
    assert logits.shape == (len(real), len(page.ATTRIBUTES))
    assert len(page.discriminator.inputs) == 1
    alone, _ = page.discriminator(real[:1])
    np.testing.assert_allclose(alone, answers[:1], atol=1e-6)  # no normalisation over the batch


# Losses


def test_the_classification_loss_by_hand(page):
    """Choi et al. 2018, eq. 2 and 3, summed over the attributes."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (4, 5))
    labels = rng.integers(0, 2, (4, 5))
    p = 1 / (1 + np.exp(-logits))
    expected = -np.log(np.where(labels == 1, p, 1 - p)).sum(axis=1).mean()
    found = page.classification_loss(labels.astype("float32"), logits.astype("float32"))
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_reconstruction_loss_by_hand(page):
    x, y = np.random.default_rng(2).normal(size=(2, 3, 4, 4, 3)).astype("float32")
    assert float(page.reconstruction_loss(x, y)) == pytest.approx(np.abs(x - y).mean(), rel=1e-5)


def test_the_penalty_is_that_of_lesson_05(page, batch):
    other = pages.Page("05_wgan_gp").definitions("gradient_penalty")
    real, _ = batch
    fake, alpha = real[::-1], tf.random.stateless_uniform((len(real), 1, 1, 1), (1, 1))
    found = page.LAMBDA_GP * steps.gradient_penalty(page.answer_of, real, fake, alpha)
    expected = other.gradient_penalty(page.answer_of, real, fake, alpha)
    assert other.LAMBDA_GP == page.LAMBDA_GP
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


def test_the_penalty_looks_at_the_sum_of_the_patches(page, batch):
    """With their mean, the adversarial loss would be four times as strong."""
    real, _ = batch
    patches, _ = page.discriminator(real)
    assert patches.shape[1:3] == (2, 2)
    expected = np.asarray(patches).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(page.answer_of(real, training=True), expected, rtol=1e-4, atol=1e-6)


# Targets


def test_targets_are_the_labels_of_the_batch_in_another_order(page):
    labels = tf.reshape(tf.range(5.0 * page.BATCH_SIZE), (page.BATCH_SIZE, 5))
    drawn = [page.permuted(labels).numpy() for _ in range(20)]
    for targets in drawn:
        np.testing.assert_array_equal(targets[targets[:, 0].argsort()], labels)
    assert len(np.unique(drawn, axis=0)) > 5


@pytest.mark.parametrize("name", ["Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"])
def test_a_target_changes_one_thing_and_hair_has_one_colour(page, name):
    every = np.array(np.meshgrid(*[[0, 1]] * 5)).reshape(5, -1).T.astype("float32")
    before = every.copy()
    found = page.target(every, name)
    np.testing.assert_array_equal(every, before)
    place = page.ATTRIBUTES.index(name)
    if name in page.HAIR:
        assert (found[:, :3].sum(axis=1) == 1).all()
        assert (found[:, place] == 1).all()
        np.testing.assert_array_equal(found[:, 3:], every[:, 3:])
    else:
        np.testing.assert_array_equal(found[:, place], 1 - every[:, place])
        np.testing.assert_array_equal(
            np.delete(found, place, axis=1), np.delete(every, place, axis=1)
        )


# What is measured


@pytest.mark.parametrize("name", ["Blond_Hair", "Young"])
@pytest.mark.parametrize("obeys", [True, False])
def test_translations_count_among_faces_that_lack_the_target_by_the_judge(monkeypatch, name, obeys):
    """Here the judge reads attributes from the first pixels, and disagrees with some labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (60, 5)).astype("float32")
    seen = np.where(rng.random((60, 5)) < 0.8, labels, 1 - labels)  # by the judge
    faces = np.zeros((60, 8, 8, 3), "float32")
    faces[:, 0, :5, 0] = 2 * seen - 1

    def network(inputs, training):
        x, targets = (np.array(value) for value in inputs)
        if obeys:
            x[:, 0, :5, 0] = 2 * targets - 1
        x[:, -1] += 0.01  # so that the way back has an error
        return tf.constant(x)

    page = pages.Page(LESSON).definitions("target")
    names = page.ATTRIBUTES

    def found(_, images):
        answers = {k: np.asarray(images)[:, 0, i, 0] > 0 for i, k in enumerate(names)}
        return answers | dict.fromkeys(("Eyeglasses", "Smiling"), np.zeros(len(images), bool))

    monkeypatch.setattr(judges, "found", found)
    given = {"faces": faces, "labels": labels, "judge": None, "before": found(None, faces)}
    measured = pages.Page(LESSON).definitions("measured", **given).measured
    assert measured(network, name)["called"] == (1.0 if obeys else 0.0)


# Step


def test_each_update_moves_its_own_network(page, batch):
    real, labels = (x[: page.BATCH_SIZE] for x in batch)
    for update, moved, other in (
        (page.update_discriminator, page.discriminator, page.generator),
        (page.update_generator, page.generator, page.discriminator),
    ):
        before, kept = values(moved), values(other)
        update(real, labels)
        changed = [not np.array_equal(a, b) for a, b in zip(before, values(moved), strict=True)]
        # A bias before a linear answer may have a gradient of 0 in the first update.
        assert sum(changed) >= len(changed) - 2
        for a, b in zip(kept, values(other), strict=True):
            np.testing.assert_array_equal(a, b)


class Noted:
    """Stands in for an optimizer, and keeps what it is given."""

    def apply(self, gradients, variables):
        self.gradients = [np.asarray(gradient) for gradient in gradients]


def test_the_losses_are_put_together_with_the_weights_of_the_paper(page, batch, monkeypatch):
    """Choi et al. 2018, eq. 5 to 8: λ_cls 1, λ_rec 10, λ_gp 10; gradients of both totals."""
    real, labels = (x[: page.BATCH_SIZE] for x in batch)
    g, d = page.generator, page.discriminator
    noted = {name: Noted() for name in ("d_optimizer", "g_optimizer")}
    for name, stands_in in noted.items():
        monkeypatch.setattr(page, name, stands_in)
    state = page.rng.state.numpy()
    page.update_discriminator(real, labels)
    page.rng.state.assign(state)
    fake = g([real, page.permuted(labels)], training=True)
    alpha = page.rng.uniform((page.BATCH_SIZE, 1, 1, 1))
    with tf.GradientTape() as tape:
        answers, logits = d(real, training=True)
        difference = tf.reduce_mean(d(fake, training=True)[0]) - tf.reduce_mean(answers)
        penalty = steps.gradient_penalty(page.answer_of, real, fake, alpha)
        d_total = difference + 10 * penalty + page.classification_loss(labels, logits)
    expected = tape.gradient(d_total, d.trainable_variables)
    for a, b in zip(noted["d_optimizer"].gradients, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    page.rng.state.assign(state)
    page.update_generator(real, labels)
    page.rng.state.assign(state)
    targets = page.permuted(labels)
    with tf.GradientTape() as tape:
        fake = g([real, targets], training=True)
        answers, logits = d(fake, training=True)
        cycle = tf.reduce_mean(tf.abs(real - g([fake, labels], training=True)))
        g_total = -tf.reduce_mean(answers) + page.classification_loss(targets, logits) + 10 * cycle
    expected = tape.gradient(g_total, g.trainable_variables)
    for a, b in zip(noted["g_optimizer"].gradients, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_the_discriminator_learns_attributes_from_real_images_only(page, batch, monkeypatch):
    real, labels = (x[: page.BATCH_SIZE] for x in batch)
    seen = []
    original = page.classification_loss

    def noted(labels, logits):
        seen.append((labels, logits))
        return original(labels, logits)

    monkeypatch.setattr(page, "classification_loss", noted)
    _, expected = page.discriminator(real, training=True)
    page.update_discriminator(real, labels)
    ((used, logits),) = seen
    np.testing.assert_array_equal(used, labels)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_the_generator_is_asked_for_the_targets_and_for_the_way_back(page, batch, monkeypatch):
    real, labels = (x[: page.BATCH_SIZE] for x in batch)
    calls = []
    generator = page.generator

    def spy(inputs, training):
        calls.append([np.asarray(x) for x in inputs])
        return generator(inputs, training=training)

    spy.trainable_variables = generator.trainable_variables
    targets = labels[::-1]
    monkeypatch.setattr(page, "generator", spy)
    monkeypatch.setattr(page, "permuted", lambda labels: targets)
    expected = generator([real, targets], training=True).numpy()
    page.update_generator(real, labels)
    (first, asked), (second, back) = calls
    np.testing.assert_array_equal(first, real)
    np.testing.assert_array_equal(asked, targets)
    np.testing.assert_allclose(second, expected, atol=1e-5)
    np.testing.assert_array_equal(back, labels)


def test_each_update_of_the_discriminator_has_new_images(page, batch, monkeypatch):
    seen = []
    one = tf.zeros(())
    results = dict.fromkeys(("d_loss", "d_class", "d_real", "d_fake"), one)
    monkeypatch.setattr(
        page, "update_discriminator", lambda real, labels: seen.append((real, labels)) or results
    )
    page.train_step(batch)
    assert len(seen) == page.N_CRITIC
    for i, whole in enumerate(batch):
        parts = np.concatenate([np.asarray(x[i]) for x in seen])
        order = np.concatenate(
            [np.arange(len(whole))[k :: page.N_CRITIC] for k in range(page.N_CRITIC)]
        )
        np.testing.assert_array_equal(parts, np.asarray(whole)[order])


def test_resume_is_exact_with_labels_and_several_updates_of_d(monkeypatch):
    monkeypatch.setenv("PRESET", "smoke")

    def make(lesson):
        page = pages.Page(LESSON)
        page.set(BLOCKS=1)
        found = page.definitions(*PARTS, "train_step")
        parts = {name: getattr(found, name) for name in PARTS}
        return training.Trainer(lesson, found.train_step, {}, {"generator": 0.9}, **parts)

    straight, resumed = toy.straight_and_in_halves(make, toy.faces())
    for name, value in straight.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)
