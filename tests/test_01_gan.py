"""Lesson 01: what stands in the page is the GAN of 2014, and does what the page says."""

import ast

import keras
import numpy as np
import pytest
import tensorflow as tf

from tools import pages, records

NAMES = {*pages.PARTS, "train_step", "second_step", "copies", "constants", "unused"}


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


def test_gradients_of_both_losses_of_the_generator(page):
    """With respect to a logit: D - 1, and -D, which vanishes where D is sure of a fake."""
    logits = tf.constant([[-6.0], [0.0], [6.0]])
    d = tf.sigmoid(logits)
    for loss, expected in (page.generator_loss, d - 1), (page.saturating_loss, -d):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(logits)
        gradient = 3 * tape.gradient(value, logits)  # the loss is a mean of three
        np.testing.assert_allclose(gradient, expected, rtol=1e-4)


def test_the_saturating_loss_is_the_second_term_of_the_value(page):
    logits = np.random.default_rng(0).normal(0, 3, (16, 1))
    term = np.log(1 - 1 / (1 + np.exp(-logits))).mean()
    assert float(page.saturating_loss(tf.constant(logits, tf.float32))) == pytest.approx(term)


def test_the_second_training_is_of_copies(page):
    """It moves its own networks only, and both trainings are known by the same constants."""
    networks = page.generator, page.discriminator
    before = [network.get_weights() for network in networks]
    copied = [network.get_weights() for network in page.copies]
    real = tf.random.stateless_uniform((page.BATCH_SIZE, 28, 28, 1), (1, 1), -1, 1)
    page.second_step(real)
    for network, weights in zip(networks, before, strict=True):
        for a, b in zip(network.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)
    for network, weights in zip(page.copies, copied, strict=True):
        for a, b in zip(network.get_weights(), weights, strict=True):
            assert a.shape == b.shape
            assert not np.array_equal(a, b)
    assert not [name for name in page.constants if name.startswith(page.unused)]
    assert {"BATCH_SIZE", "LEARNING_RATE", "SEED"} <= page.constants.keys()
    assert records.TRAININGS["01_gan"] == ("01_gan", "01_gan_collapse")


def test_both_trainings_are_compared_after_as_many_updates():
    """The picture takes a round of the first training that ends no later than the second."""
    for preset in "smoke", "quick", "long", "paper":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PRESET", preset)
            page = pages.Page("01_gan").definitions("same")
        assert 1 <= page.same <= page.ROUNDS
        updates = page.COLLAPSE_ROUNDS * page.COLLAPSE_STEPS
        assert 0.5 < page.same * page.STEPS_PER_ROUND / updates <= 1


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
