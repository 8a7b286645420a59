"""Lesson 11: lesson 02's networks at 64 x 64 in colour, and arithmetic with a judge."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tools import pages
from utils import steps

LESSON = "11_faces"
PARTS = (*pages.PARTS, "train_step")


@pytest.fixture
def page(monkeypatch):
    monkeypatch.setenv("PRESET", "quick")
    return pages.Page(LESSON).definitions(*PARTS)


def kinds(network):
    return [type(layer).__name__ for layer in network.layers]


def test_the_networks_are_those_of_lesson_02_with_a_stage_more(page):
    """The layers after the first block repeat; only a crop is missing, and there are colours."""
    other = pages.Page("02_dcgan").definitions("generator", "discriminator")
    block = ["Conv2DTranspose", "BatchNormalization", "ReLU"]
    expected = [name for name in kinds(other.generator) if name != "Cropping2D"]
    place = expected.index("Conv2DTranspose")
    assert kinds(page.generator) == expected[:place] + block + expected[place:]
    block = ["Conv2D", "BatchNormalization", "LeakyReLU"]
    expected = kinds(other.discriminator)
    place = expected.index("Flatten")
    assert kinds(page.discriminator) == expected[:place] + block + expected[place:]
    assert page.generator.output_shape == (None, 64, 64, 3)
    assert page.discriminator.input_shape == (None, 64, 64, 3)
    assert page.discriminator.output_shape == (None, 1)


def test_weights_begin_as_in_lesson_02(page):
    for network in page.generator, page.discriminator:
        for variable in network.trainable_variables:
            values = variable.numpy()
            if "gamma" in variable.path:
                assert abs(values.mean() - 1) < 0.02
            elif "kernel" in variable.path:
                assert values.std() == pytest.approx(0.02, rel=0.15)
                assert abs(values.mean()) < 0.005
            else:
                assert (values == 0).all()


def test_the_losses_are_those_of_lesson_02(page):
    other = pages.Page("02_dcgan").definitions("generator_loss")
    real, fake = tf.unstack(tf.random.stateless_normal((2, 8, 1), (1, 1), stddev=3.0))
    assert float(page.generator_loss(fake)) == float(other.generator_loss(fake))
    assert float(page.discriminator_loss(real, fake)) == float(other.discriminator_loss(real, fake))


def test_the_step_is_that_of_lesson_02(page):
    assert page.train_step.__qualname__ == f"{steps.gan_step.__name__}.<locals>.train_step"


# Arithmetic


def cell(text):
    (found,) = (cell.source for cell in pages.Page(LESSON).code if text in cell.source)
    return found


@pytest.fixture
def names():
    """What the cells of the arithmetic use, with a z whose first number is the glasses."""
    rng = np.random.default_rng(0)
    many_z = rng.normal(size=(400, 8)).astype("float32")
    logits = np.zeros((400, 40), "float32")
    made = {"np": np, "LATENT_DIM": 8, "SEED": 1, "many_z": many_z, "logits": logits}
    made["ATTRIBUTES"] = (*(f"a{i}" for i in range(38)), "Male", "Eyeglasses")
    logits[:, 39] = many_z[:, 0]
    logits[:, 38] = many_z[:, 1]
    made["runtime"] = type("runtime", (), {"pick": staticmethod(lambda **values: 20)})
    return made


def test_groups_are_the_faces_that_the_judge_is_surest_about(names):
    exec(cell("def surest("), names)
    z, groups = names["many_z"], names["groups"]
    assert {name: len(group) for name, group in groups.items()} == {
        "man with glasses": 20,
        "man": 20,
        "woman": 20,
        "any man": 100,
    }
    margin = np.minimum(z[:, 1], z[:, 0])
    inside = groups["man with glasses"]
    assert margin[inside].min() >= np.delete(margin, inside).max()
    assert (z[groups["man"], 0] < 0).all()
    assert (z[groups["man"], 1] > 0).all()
    assert (z[groups["woman"], :2] < 0).all()


def test_a_sum_has_the_glasses_of_the_first_and_the_rest_of_the_last(names):
    exec(cell("def surest("), names)
    source = cell("def to_sphere(z)")
    exec(source[: source.index("names = ")], names)
    mean_z, to_sphere = names["mean_z"], names["to_sphere"]
    terms = [mean_z(10, name, 300) for name in ("man with glasses", "man", "woman")]
    total = to_sphere(terms[0] - terms[1] + terms[2])
    np.testing.assert_allclose(np.linalg.norm(total, axis=1), np.sqrt(8), rtol=1e-5)
    assert (total[:, 0] > 0).mean() > 0.95  # glasses
    assert (total[:, 1] < 0).mean() > 0.95  # a woman


def test_the_explorer_moves_along_the_directions_and_stays_on_the_sphere(monkeypatch):
    source = cell("def explore(")
    shown = []
    names = {
        "np": np,
        "many_z": np.eye(4, dtype="float32")[:2],
        "directions": {"Smiling": np.eye(4)[2], "Male": np.eye(4)[3]},
        "drawn": lambda z: z,
        "to_sphere": lambda z: z,
        "title": "",
        "images": type("images", (), {"show": staticmethod(lambda z, **_: shown.append(z))}),
    }
    exec(source[: source.index("try:")], names)
    names["explore"](start=1, Smiling=2.0, Male=-3.0)
    np.testing.assert_allclose(shown[0], [[0, 1, 2, -3]])


def test_the_page_shows_at_most_24_real_faces():
    """CelebA's terms: eight under Data, and two neighbours of each of eight samples."""
    sources = [cell.source for cell in pages.Page(LESSON).code]
    shown = [source for source in sources if "images.show(" in source or "imshow" in source]
    real = [source for source in shown if re.search(r"\b(dataset|test|train)\.images\b", source)]
    assert len(real) == 2
    assert "dataset.images[:8]" in real[0]
    assert real[1].count("samples[:8]") == 3
