"""Lesson 01: what stands in the page is the GAN of 2014, and does what the page says."""

import ast

import keras
import numpy as np
import pytest
import tensorflow as tf

from tools import pages

NAMES = {*pages.PARTS, "train_step"}


@pytest.fixture(scope="module")
def page():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRESET", "quick")
        keras.utils.set_random_seed(1)
        return pages.Page("01_gan").definitions(*NAMES)


def test_the_answer_that_gains_most_is_the_share_of_the_real_density():
    """The derivation under Idea, by a search: of p_r log y + p_g log(1 - y) over many y."""
    logits = tf.reshape(tf.linspace(-4.0, 4.0, 8001), (-1, 1))
    for p_r, p_g in (0.3, 0.1), (0.2, 0.2), (0.05, 0.6):
        losses = p_r * tf.nn.softplus(-logits) + p_g * tf.nn.softplus(logits)
        best = tf.sigmoid(logits)[int(tf.argmin(losses[:, 0]))]
        assert float(best[0]) == pytest.approx(p_r / (p_r + p_g), abs=1e-3)


def test_parameters_and_shapes(page):
    """By hand: each dense layer has inputs * units weights and a bias a unit."""
    h, z, m, k = page.HIDDEN, page.LATENT_DIM, page.MAXOUT, page.PIECES
    by_hand = z * h + h + h * h + h + h * 784 + 784
    assert page.generator.count_params() == by_hand
    by_hand = 784 * m * k + m * k + m * m * k + m * k + m + 1
    assert page.discriminator.count_params() == by_hand
    assert page.generator.output_shape == (None, 28, 28, 1)
    assert page.discriminator.output_shape == (None, 1)
    kinds = [type(layer).__name__ for layer in page.generator.layers + page.discriminator.layers]
    assert kinds.count("Dense") == 6
    assert not [kind for kind in kinds if "Conv" in kind or "Normalization" in kind]


def test_numbers_of_the_paper_that_the_page_keeps(page):
    assert (page.LATENT_DIM, page.MAXOUT, page.PIECES) == (100, 240, 5)


def test_maxout_passes_the_largest_of_its_sums(page):
    dense, *rest = page.maxout(3)
    x = np.random.default_rng(0).normal(size=(4, 7)).astype("float32")
    out = dense(x)
    kernel, bias = dense.get_weights()
    for layer in rest:
        out = layer(out, training=False) if "Dropout" in type(layer).__name__ else layer(out)
    sums = [x @ kernel[:, 3 * i : 3 * i + 3] + bias[3 * i : 3 * i + 3] for i in range(5)]
    np.testing.assert_allclose(out, np.max(sums, axis=0), rtol=1e-5, atol=1e-6)
    assert kernel.shape == (7, 3 * page.PIECES)


def test_dropout_is_on_in_the_step_and_off_in_samples_and_scores(page):
    x = tf.random.stateless_uniform((4, 28, 28, 1), (1, 1), -1, 1)
    on = [np.asarray(page.discriminator(x, training=True)) for _ in range(2)]
    assert not np.array_equal(*on)
    off = [np.asarray(page.discriminator(x, training=False)) for _ in range(2)]
    np.testing.assert_array_equal(*off)


def test_noise_is_that_of_single_pixels(page):
    """A dot of height h in a flat image gives h^2 once among 26 x 26; an edge gives nothing."""
    flat = np.full((1, 28, 28, 1), -1.0)
    dotted, halved = flat.copy(), flat.copy()
    dotted[0, 10, 10] += 1.5
    halved[0, 14:] = 1
    assert page.noise_in(flat) == 0
    assert page.noise_in(dotted) == pytest.approx(1.5**2 / 26**2)
    assert page.noise_in(halved) == 0
    random = np.random.default_rng(0).normal(size=(50, 28, 28, 1))
    assert 0.5 < page.noise_in(random) < 1.5


def test_the_pytorch_sketch_is_python_and_has_none_of_the_four_faults():
    source = "\n".join(pages.Page("01_gan").texts)
    code = source.split("```python\n")[1].split("```")[0]
    tree = ast.parse(code)
    calls = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    targets = [ast.unparse(node.args[1]) for node in ast.walk(tree) if is_loss(node)]
    assert len(targets) == 3
    assert all(target.startswith(("torch.ones_like(", "torch.zeros_like(")) for target in targets)
    assert calls.count("fake.detach()") == 1
    assert sum("lr=0.0002" in call for call in calls) == 2
    order = ("zero_grad()", "backward()", "step()")
    for d, loss in ("d_optimizer", "d_loss"), ("g_optimizer", "g_loss"):
        places = [code.index(f"{x}.{call}") for x, call in zip((d, loss, d), order, strict=True)]
        assert places == sorted(places)


def is_loss(node):
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "loss"
