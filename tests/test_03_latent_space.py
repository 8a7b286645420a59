"""Lesson 03: the tools that its answers rest on, against closed forms and brute force."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.test_02_dcgan import described
from tools import pages
from utils import evaluation
from utils.layers import dcgan_discriminator, dcgan_generator

LESSON_02 = pages.PARTS
NAMES = {"generator", "discriminator", "untrained", "directions", "convolutions"}


@pytest.fixture(scope="module")
def page():
    keras.utils.set_random_seed(1)
    return pages.Page("03_latent_space").definitions(*NAMES)


def test_the_networks_are_those_of_lesson_02(page):
    lesson = pages.Page("02_dcgan").definitions(*LESSON_02)
    for name in "LATENT_DIM", "WIDTH", "NOISE":
        assert getattr(page, name) == getattr(lesson, name)
    generator = dcgan_generator(page.LATENT_DIM, page.WIDTH)
    discriminator = dcgan_discriminator(page.WIDTH, page.NOISE)
    assert described(generator) == described(lesson.generator)
    assert described(discriminator) == described(lesson.discriminator)
    for network in generator, discriminator:  # the test would see a difference
        other = dcgan_discriminator(page.WIDTH, page.NOISE, batch_norm=False)
        assert described(network) != described(other)


def test_the_walk_is_that_of_lesson_02(page):
    lesson = pages.Page("02_dcgan").definitions(*LESSON_02)
    z0, z1 = np.random.default_rng(0).normal(size=(2, page.LATENT_DIM)).astype("float32")
    np.testing.assert_allclose(page.walk(z0, z1, 7), lesson.walk(z0, z1, 7), atol=1e-4)


def test_the_walk_keeps_its_length_and_its_pace(page):
    z0, z1 = page.to_sphere(np.random.default_rng(0).normal(size=(2, page.LATENT_DIM)))
    path = page.walk(z0, z1, 9)
    np.testing.assert_allclose(path[[0, -1]], [z0, z1], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 10, rtol=1e-5)
    angles = np.arccos((path[:-1] * path[1:]).sum(axis=1) / 100)
    np.testing.assert_allclose(angles, np.arccos(z0 @ z1 / 100) / 8, rtol=1e-4)


def test_terms_are_the_papers_arithmetic(page):
    """With one z in each group there is nothing to draw: bold a - thin a + thin b."""
    page.z = np.random.default_rng(0).normal(size=(20, page.LATENT_DIM))
    page.groups = {(k, "thin"): [k] for k in range(10)} | {(k, "bold"): [10 + k] for k in range(10)}
    page.rng = np.random.default_rng(0)
    bold_a, thin_a, thin_b, total = page.terms(3, [1, 2], [5, 6])
    np.testing.assert_allclose(bold_a, page.z[[11, 12]])
    np.testing.assert_allclose(thin_a, page.z[[1, 2]])
    np.testing.assert_allclose(thin_b, page.z[[5, 6]])
    np.testing.assert_allclose(total, bold_a - thin_a + thin_b)


def test_lengths_of_means_and_sums_are_as_the_page_says(page):
    """10 / sqrt(n) for a mean, 10 sqrt(3 / n) for the sum of three: 10 for n = 3."""
    rng = np.random.default_rng(0)
    for n in 1, 3, 10:
        means = rng.normal(size=(3, 400, n, page.LATENT_DIM)).mean(axis=2)
        length = np.linalg.norm(means[0], axis=1).mean()
        assert length == pytest.approx(10 / np.sqrt(n), rel=0.02)
        length = np.linalg.norm(means[0] - means[1] + means[2], axis=1).mean()
        assert length == pytest.approx(10 * np.sqrt(3 / n), rel=0.02)


def test_directions_are_orthonormal_and_the_first_is_the_strongest(page):
    d = page.directions
    assert d.shape == (page.LATENT_DIM, page.LATENT_DIM)
    np.testing.assert_allclose(d @ d.T, np.eye(page.LATENT_DIM), atol=1e-5)
    gains = np.linalg.norm(d @ np.asarray(page.generator.layers[0].kernel), axis=1)
    assert (np.diff(gains) <= 1e-5).all()
    others = np.random.default_rng(0).normal(size=(500, page.LATENT_DIM))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    found = np.linalg.norm(others @ np.asarray(page.generator.layers[0].kernel), axis=1)
    assert gains[-1] <= found.min()
    assert found.max() <= gains[0]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_receptive_field_is_where_a_unit_has_a_gradient(page, level):
    size, jump, first = page.receptive_field(page.convolutions[: level + 1])
    model = keras.Model(page.untrained.inputs[0], page.outputs_of(page.untrained)[level])
    image = tf.random.stateless_uniform((1, 28, 28, 1), (1, level), -1, 1)
    side = model.output_shape[1]
    for row, column in (0, 0), (side // 2, 1), (side - 1, side - 1):
        with tf.GradientTape() as tape:
            tape.watch(image)
            answer = tf.reduce_sum(model(image, training=False)[0, row, column])
        seen = tape.gradient(answer, image).numpy()[0, :, :, 0] != 0
        expected = np.zeros((28, 28), bool)
        top, left = (max(0, first + place * jump) for place in (row, column))
        expected[top : first + row * jump + size, left : first + column * jump + size] = True
        np.testing.assert_array_equal(seen, expected)


def test_best_patches_are_what_excites_the_unit(page, monkeypatch):
    """On the patch alone, the convolutions without padding give the unit's peak in the image."""
    network = dcgan_discriminator(4, noise=0.2)
    convolutions = [x for x in network.layers if isinstance(x, keras.layers.Conv2D)]
    for layer in convolutions:  # bright is exciting, so that no peak lies at the border
        layer.kernel.assign(tf.abs(layer.kernel))
    pictures = np.zeros((12, 28, 28, 1), "uint8")
    pictures[:, 7:21, 7:21] = np.random.default_rng(0).integers(150, 255, (12, 14, 14, 1))
    monkeypatch.setattr(page, "held_out", pictures, raising=False)
    patches = page.best_patches(network, 1, units=3, best=4)
    assert patches.shape == (12, 10, 10, 1)

    x = tf.constant(page.scaled(patches))
    for layer in network.layers[:6]:
        if isinstance(layer, keras.layers.Conv2D):
            x = tf.nn.conv2d(x, layer.kernel, 2, "VALID")
            x = x + layer.bias if layer.use_bias else x
        else:
            x = layer(x, training=False)
    maps = keras.Model(network.inputs[0], page.outputs_of(network)[1])(page.scaled(pictures))
    peaks = -np.sort(-maps.numpy().max(axis=(1, 2)), axis=0)[:4, :3]
    alone = [x.numpy()[4 * unit : 4 * unit + 4, 0, 0, unit] for unit in range(3)]
    np.testing.assert_allclose(np.transpose(alone), peaks, rtol=1e-4)


@pytest.mark.parametrize("side", [14, 7, 4])
def test_pooling_gives_2_x_2_and_loses_no_peak(page, side):
    x = np.random.default_rng(0).normal(size=(5, side, side, 3)).astype("float32")
    found = np.array(page.pooled(keras.ops.convert_to_tensor(x)))
    assert found.shape == (5, 2, 2, 3)
    cut = -(-side // 2)
    for i, rows in enumerate((slice(0, cut), slice(cut, side))):
        for j, columns in enumerate((slice(0, cut), slice(cut, side))):
            np.testing.assert_array_equal(found[:, i, j], x[:, rows, columns].max(axis=(1, 2)))


def test_features_are_896_and_standardised_by_the_training_images(page, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), "uint8")
    monkeypatch.setattr(page, "real", pictures, raising=False)
    monkeypatch.setattr(page, "held_out", pictures[:7], raising=False)
    found, found_held_out = page.features_of(page.untrained)
    assert found.shape == (40, 896)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-2)
    np.testing.assert_allclose(found_held_out, found[:7], atol=1e-3)


def test_neighbours_find_a_copy(page, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (30, 28, 28, 1), "uint8")

    def classifier(x, training):
        return [tf.reshape(x, (len(x), -1))[:, ::50], x]

    monkeypatch.setattr(page, "classifier", classifier, raising=False)
    features = classifier(page.scaled(pictures), training=False)[0].numpy()
    wanted = [9, 3, 20]
    for found in page.neighbours(page.scaled(pictures[wanted]), pictures, features):
        assert list(found) == wanted


def test_the_judge_is_as_good_as_the_page_says():
    facts = json.loads((evaluation.DIGITS_FOLDER / "metrics.json").read_text(encoding="utf-8"))
    text = "\n".join(pages.Page("03_latent_space").texts)
    assert f"{facts['test_accuracy']:.1%}".replace("%", " %") in text


def test_widgets_leave_no_state_and_little_output():
    for cell in pages.Page("03_latent_space").code:
        if "ipywidgets" in cell.source:
            assert len(json.dumps(cell.outputs)) < 5000
            return
    pytest.fail("no cell with the explorer")
