"""Lesson 03: the tools that its answers rest on, against closed forms and brute force."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.test_02_dcgan import described
from tools import pages
from utils import evaluation
from utils.layers import dcgan_generator

LESSON_02 = pages.PARTS
NAMES = {"generator", "directions"}


@pytest.fixture(scope="module")
def page():
    keras.utils.set_random_seed(1)
    return pages.Page("03_latent_space").definitions(*NAMES)


def test_the_generator_is_that_of_lesson_02(page):
    lesson = pages.Page("02_dcgan").definitions(*LESSON_02)
    for name in "LATENT_DIM", "CHANNELS":
        assert getattr(page, name) == getattr(lesson, name)
    generator = dcgan_generator(page.LATENT_DIM, page.CHANNELS)
    assert described(generator) == described(lesson.generator)
    assert described(page.generator) == described(lesson.generator)
    other = dcgan_generator(page.LATENT_DIM, page.CHANNELS, batch_norm=False)
    assert described(generator) != described(other)  # the test would see a difference


def test_the_walk_is_that_of_lesson_02(page):
    lesson = pages.Page("02_dcgan").definitions(*LESSON_02)
    z0, z1 = np.random.default_rng(0).normal(size=(2, page.LATENT_DIM)).astype("float32")
    np.testing.assert_allclose(page.walk(z0, z1, 7), lesson.walk(z0, z1, 7), atol=1e-4)


def test_the_walk_keeps_its_length_and_its_pace(page):
    z0, z1 = page.to_sphere(np.random.default_rng(0).normal(size=(2, page.LATENT_DIM)))
    path = page.walk(z0, z1, 9)
    np.testing.assert_allclose(path[[0, -1]], [z0, z1], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), page.RADIUS, rtol=1e-5)
    angles = np.arccos((path[:-1] * path[1:]).sum(axis=1) / page.RADIUS**2)
    np.testing.assert_allclose(angles, np.arccos(z0 @ z1 / page.RADIUS**2) / 8, rtol=1e-4)


def test_radius_is_the_typical_length_and_to_sphere_gives_any(page):
    z = np.random.default_rng(0).normal(size=(2000, page.LATENT_DIM))
    assert np.linalg.norm(z, axis=1).mean() == pytest.approx(page.RADIUS, rel=0.02)
    for length in page.RADIUS, 0.5 * page.RADIUS, 7.0:
        found = page.to_sphere(z, length)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), length, rtol=1e-5)
        np.testing.assert_allclose(found * z[:, :1], z * found[:, :1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(page.to_sphere(z), page.to_sphere(z, page.RADIUS))


def test_the_largest_step_sees_a_jump(page):
    """Ten even walks from -1 to 1, then one of them in a single step."""
    levels = np.linspace(-1, 1, 9, dtype="float32")
    even = np.ones((10, 9, 28, 28, 1), "float32") * levels[:, None, None, None]
    pictures = even.reshape(90, 28, 28, 1)
    assert page.largest_step(pictures) == pytest.approx(28 * 2 / 8)
    even[3] = np.where(levels[:, None, None, None] > 0, 1, -1)
    pictures = even.reshape(90, 28, 28, 1)
    assert page.largest_step(pictures) == pytest.approx(28 * (9 * 2 / 8 + 2) / 10)


@pytest.mark.parametrize("wanted", [-0.5, -0.1, 0.0, 0.3, 0.8])
def test_slant_is_that_of_a_sheared_stroke(page, wanted):
    """A line of any thickness, sheared by s, has the slant s: also off centre, also faint."""
    y, x = np.mgrid[14:-14:-1, -14:14]
    for width, right, up, strength in (1.0, 0, 0, 1), (1.5, 1.5, -2, 1), (1.0, -2, 1, 0.4):
        line = np.exp(-((x - right - wanted * (y - up)) ** 2) / (2 * width**2))
        picture = 2 * strength * (line * (abs(y - up) < 9))[None, ..., None] - 1
        assert page.slant(picture) == pytest.approx(wanted, abs=0.005)


def test_slant_grows_by_what_an_image_is_sheared_by(page):
    """In closed form: rows of any image, moved right by s pixels for each pixel upwards."""
    rng = np.random.default_rng(0)
    image = np.full((1, 28, 28, 1), -1.0)
    image[:, 9:19, 10:18] = rng.uniform(-1, 1, (1, 10, 8, 1))
    before = page.slant(image)
    for shear in -1, 1:
        moved = image.copy()
        for row in range(28):
            moved[0, row] = np.roll(image[0, row], shear * (14 - row), axis=0)
        assert page.slant(moved) == pytest.approx(before + shear, abs=1e-9)
    assert page.slant(image[:, :, ::-1]) == pytest.approx(-before)  # in a mirror
    assert page.slant(image[:, ::-1]) == pytest.approx(-before)


def test_the_slants_that_the_page_prints_are_those_of_its_strokes(page):
    for wanted in -0.25, 0, 0.25, 0.5:
        assert page.slant(page.stroke(wanted)[None]) == pytest.approx(wanted, abs=0.005)


def test_terms_are_the_papers_arithmetic(page):
    """With one z in each group there is nothing to draw: slanted a - upright a + upright b."""
    page.z = np.random.default_rng(0).normal(size=(20, page.LATENT_DIM))
    upright = {(k, "upright"): [k] for k in range(10)}
    slanted = {(k, "slanted"): [10 + k] for k in range(10)}
    page.groups = upright | slanted
    page.rng = np.random.default_rng(0)
    slanted_a, upright_a, upright_b, total = page.terms(3, [1, 2], [5, 6])
    np.testing.assert_allclose(slanted_a, page.z[[11, 12]])
    np.testing.assert_allclose(upright_a, page.z[[1, 2]])
    np.testing.assert_allclose(upright_b, page.z[[5, 6]])
    np.testing.assert_allclose(total, slanted_a - upright_a + upright_b)


def test_lengths_of_means_and_sums_are_as_the_page_says(page):
    """RADIUS / sqrt(n) for a mean, RADIUS sqrt(3 / n) for the sum of three: RADIUS for n = 3."""
    rng = np.random.default_rng(0)
    for n in 1, 3, 10:
        means = rng.normal(size=(3, 400, n, page.LATENT_DIM)).mean(axis=2)
        length = np.linalg.norm(means[0], axis=1).mean()
        assert length == pytest.approx(page.RADIUS / np.sqrt(n), rel=0.02)
        length = np.linalg.norm(means[0] - means[1] + means[2], axis=1).mean()
        assert length == pytest.approx(page.RADIUS * np.sqrt(3 / n), rel=0.02)


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
