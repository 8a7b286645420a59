"""Lesson 12: what it says that units see, prefer and are good for, against brute force."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.test_02_dcgan import described
from tools import pages
from utils import evaluation
from utils.layers import dcgan_discriminator

LESSON_02 = pages.PARTS
NAMES = {"discriminator", "untrained", "convolutions"}


@pytest.fixture(scope="module")
def page():
    keras.utils.set_random_seed(1)
    return pages.Page("12_features").definitions(*NAMES)


def test_the_discriminators_are_that_of_lesson_02(page):
    lesson = pages.Page("02_dcgan").definitions(*LESSON_02)
    for name in "CHANNELS", "NOISE":
        assert getattr(page, name) == getattr(lesson, name)
    for network in page.discriminator, page.untrained:
        assert described(network) == described(lesson.discriminator)
    other = dcgan_discriminator(page.CHANNELS, page.NOISE, batch_norm=False)
    assert described(page.discriminator) != described(other)  # the test would see a difference


def test_filters_are_the_first_layers_weights(page):
    filters = page.filters_of(page.untrained)
    assert filters.shape == (page.CHANNELS[-1], 4, 4, 1)
    image = np.random.default_rng(0).normal(size=(1, 28, 28, 1)).astype("float32")
    found = page.maps_of(page.untrained, 0, image)[0, 5, 6]  # sees rows 9 to 12, columns 11 to 14
    expected = (filters * image[0, 9:13, 11:15]).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found, np.where(expected > 0, expected, 0.2 * expected), atol=1e-6)


def test_what_is_left_on_even_areas(page):
    even = np.ones((4, 4, 1))
    edge = np.concatenate([np.ones((4, 2, 1)), -np.ones((4, 2, 1))], axis=1)
    mostly = np.where(np.arange(16).reshape(4, 4, 1) < 12, 1, -1)  # 12 - 4 of 16
    assert page.left_on_even(np.stack([even])) == 1
    assert page.left_on_even(np.stack([edge])) == 0
    found = page.left_on_even(-3 * np.stack([even, edge, mostly]))
    np.testing.assert_allclose(found, [1, 0, 0.5])
    assert page.left_on_even(np.ones((7, 5, 4, 4, 1))).shape == (7, 5)
    # Normal weights: the sum of 16 has the standard deviation 4, and each the mean size √(2/π).
    many = np.random.default_rng(0).normal(size=(20_000, 4, 4, 1))
    assert page.left_on_even(many).mean() == pytest.approx(0.25, abs=0.01)


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


def test_sizes_of_fields_are_as_the_page_says(page):
    text = "\n".join(pages.Page("12_features").texts)
    sizes = [page.receptive_field(page.convolutions[:i])[0] for i in (1, 2, 3)]
    assert sizes == [4, 10, 22]
    assert "4, 10, 22 pixels" in text
    assert f"{sizes[1]} × {sizes[1]} pixels" in text


def test_best_patches_are_what_excites_the_unit(page, monkeypatch):
    """On the patch alone, the convolutions without padding give the unit's peak in the image."""
    network = dcgan_discriminator((16, 8, 4), noise=0.2)
    convolutions = [x for x in network.layers if isinstance(x, keras.layers.Conv2D)]
    for layer in convolutions:  # bright is exciting, so that no peak lies at the border
        layer.kernel.assign(tf.abs(layer.kernel))
    pictures = np.zeros((12, 28, 28, 1), "uint8")
    pictures[:, 7:21, 7:21] = np.random.default_rng(0).integers(150, 255, (12, 14, 14, 1))
    monkeypatch.setattr(page, "held_out", pictures, raising=False)
    patches = page.best_patches(network, 1, units=3, best=4)
    assert patches.shape == (12, 10, 10, 1)

    x = tf.constant(page.pixels(patches).reshape(patches.shape))
    for layer in network.layers[:6]:
        if isinstance(layer, keras.layers.Conv2D):
            x = tf.nn.conv2d(x, layer.kernel, 2, "VALID")
            x = x + layer.bias if layer.use_bias else x
        else:
            x = layer(x, training=False)
    peaks = -np.sort(-page.maps_of(network, 1, pictures).max(axis=(1, 2)), axis=0)[:4, :3]
    alone = [x.numpy()[4 * unit : 4 * unit + 4, 0, 0, unit] for unit in range(3)]
    np.testing.assert_allclose(np.transpose(alone), peaks, rtol=1e-4)


def test_pieces_at_the_border_have_what_the_unit_sees_there(page, monkeypatch):
    """The convolution's padding is 0, which is grey in D's scale."""
    network = dcgan_discriminator((16, 8, 4), noise=0.2)
    pictures = np.random.default_rng(0).integers(0, 2, (300, 28, 28, 1), "uint8") * 255
    pictures[:, 2:-2, 2:-2] = 128  # so that all peaks lie at the border
    monkeypatch.setattr(page, "held_out", pictures, raising=False)
    patches = page.best_patches(network, 0, units=4, best=4)
    first = network.layers[1]
    x = tf.constant(page.pixels(patches).reshape(patches.shape))
    alone = tf.nn.leaky_relu(tf.nn.conv2d(x, first.kernel, 2, "VALID") + first.bias, 0.2)
    peaks = -np.sort(-page.maps_of(network, 0, pictures).max(axis=(1, 2)), axis=0)[:4, :4]
    found = [alone.numpy()[4 * unit : 4 * unit + 4, 0, 0, unit] for unit in range(4)]
    np.testing.assert_allclose(np.transpose(found), peaks, rtol=0.03)  # 128 is .004, not 0


def test_alike_is_the_mean_correlation_of_pairs(page):
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (2 * 12, 10, 10, 1), "uint8")
    x = patches.reshape(2, 12, 100)
    pairs = [np.corrcoef(unit)[np.triu_indices(12, 1)].mean() for unit in x]
    assert page.alike(patches) == pytest.approx(np.mean(pairs), abs=1e-6)
    same = np.repeat(patches[:3], 12, axis=0)
    assert page.alike(same) == pytest.approx(1)
    same[:12] = 0  # black pieces are like nothing
    assert page.alike(same) == pytest.approx(2 / 3)


@pytest.mark.parametrize("side", [14, 7, 4])
def test_pooling_gives_2_x_2_and_loses_no_peak(page, side):
    x = np.random.default_rng(0).normal(size=(5, side, side, 3)).astype("float32")
    found = np.array(page.pooled(keras.ops.convert_to_tensor(x)))
    assert found.shape == (5, 2, 2, 3)
    cut = -(-side // 2)
    for i, rows in enumerate((slice(0, cut), slice(cut, side))):
        for j, columns in enumerate((slice(0, cut), slice(cut, side))):
            np.testing.assert_array_equal(found[:, i, j], x[:, rows, columns].max(axis=(1, 2)))


def test_each_unit_gives_four_features_standardised_by_the_training_images(page, monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), "uint8")
    monkeypatch.setattr(page, "real", pictures, raising=False)
    monkeypatch.setattr(page, "held_out", pictures[:7], raising=False)
    found, found_held_out = page.features_of(page.untrained)
    assert found.shape == (40, 4 * sum(page.CHANNELS))
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(found.std(axis=0), 1, atol=1e-2)
    np.testing.assert_allclose(found_held_out, found[:7], atol=1e-3)


def test_accuracy_is_of_held_out_images_in_percent(page, monkeypatch):
    """Two classes that one feature separates, but for one wrong label in four among the tests."""
    rng = np.random.default_rng(0)
    train = rng.normal(size=(400, 5))
    test = rng.normal(size=(100, 5))
    test[:, 0] = np.where(test[:, 0] > 0, 3, -3)
    wrong = np.arange(100) % 4 == 0
    monkeypatch.setattr(page, "rng", rng, raising=False)
    monkeypatch.setattr(page, "labels", (train[:, 0] > 0).astype(int), raising=False)
    labels = (test[:, 0] > 0) ^ wrong
    monkeypatch.setattr(page, "held_out_labels", labels.astype(int), raising=False)
    for n in 100, 400, 1000:
        assert page.accuracy(train, test, n) == pytest.approx(75)


def test_the_supervised_classifier_is_as_good_as_the_page_says():
    facts = json.loads((evaluation.DIGITS_FOLDER / "metrics.json").read_text(encoding="utf-8"))
    text = "\n".join(pages.Page("12_features").texts)
    assert f"{facts['test_accuracy']:.1%}".replace("%", " %") in text
