"""Lesson 10: the parts of the paper by hand, fading at both ends, stages, and its measures."""

import dataclasses

import imageio.v3 as iio
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage, stats
from skimage.measure import block_reduce
from skimage.metrics import structural_similarity

from tests import toy
from tools import pages
from utils import device, steps
from utils.topics import growing
from utils.topics.faces import drawn

LESSON = "10_pggan"
SMALL = {4: 8, 8: 6, 16: 4, 32: 4}  # channels


@pytest.fixture(scope="module")
def page():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRESET", "smoke")
        found = pages.Page(LESSON)
        found.change("runtime.pick(smoke=few,", f"runtime.pick(smoke={SMALL},")
        found.set(LATENT_DIM=12, BATCH_SIZE=8)
        return found.definitions("train_step", "stage_of", "trainer_of", "build_critic")


@pytest.fixture
def stages(page):
    """A stage of 8 x 8 pixels, and one of 16 x 16 that goes on from it."""
    first = page.stage_of(8, 2)
    for network in first.generator, first.critic:  # other than any start
        for number, variable in enumerate(network.trainable_variables):
            variable.assign_add(tf.random.stateless_normal(variable.shape, (number, 1), 0.0, 0.1))
    return first, page.stage_of(16, 2, first)


def at(alpha):
    return tf.fill((1, 1, 1, 1), alpha)


def some_z(page, n=4):
    return tf.random.stateless_normal((n, page.LATENT_DIM), (1, 2))


def some_images(size, n=8):
    return tf.random.stateless_uniform((n, size, size, 3), (3, 4), -1, 1)


# Parts of the paper


def test_an_equalized_layer_by_hand(page):
    """Karras et al. 2018, section 4.1: weights N(0, 1), times the factor of He at run time."""
    x = tf.random.stateless_normal((5, 40), (1, 1))
    inputs = keras.Input((40,))
    network = keras.Model(inputs, page.dense(inputs, 3, "d"))
    kernel = network.get_layer("d").kernel.numpy()
    network.get_layer("d").bias.assign([0.5, -0.5, 0.0])
    sums = x.numpy() @ kernel * np.sqrt(2 / 40) + [0.5, -0.5, 0.0]
    np.testing.assert_allclose(network(x), np.where(sums > 0, sums, 0.2 * sums), atol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_its_output_is_as_large_as_its_input(page, kind):
    """He et al. 2015, section 2.2: a mean square of 1 stays 1 before a ReLU's loss of half."""
    x = tf.random.stateless_normal((64, 8, 8, 32) if kind == "convolution" else (4096, 300), (1, 1))
    keras.utils.set_random_seed(0)
    inputs = keras.Input(x.shape[1:])
    sizes = (400, 3) if kind == "convolution" else (400,)
    made = getattr(page, kind)(inputs, *sizes, "x", gain=1.0, activation=None)
    found = keras.Model(inputs, made)(x).numpy()
    inner = found[:, 1:-1, 1:-1] if kind == "convolution" else found  # no padding
    assert np.mean(inner**2) == pytest.approx(1.0, rel=0.03)
    assert np.std(keras.Model(inputs, made).get_layer("x").kernel) == pytest.approx(1, rel=0.02)


def test_the_table_of_relative_steps():
    text = next(t for t in pages.Page(LESSON).texts if "a step of Adam changes" in t)
    for n in 3, 576, 1024:
        he = np.sqrt(2 / n)
        assert f"|{n:,}|{he:.3f}|{1e-3 / he:.1%}".replace("%", " %") in text


def test_each_layer_has_the_gain_of_the_paper(page):
    """Of all layers, in their order: g / sqrt(n)."""
    g = np.sqrt(2)
    c4, c8 = SMALL[4], SMALL[8]
    expected = {
        page.build_generator: [
            g / 4 / np.sqrt(page.LATENT_DIM),  # dense
            *[g / np.sqrt(9 * n) for n in (c4, c4, c8)],
            1 / np.sqrt(c4),  # colours of 4 x 4, and of 8 x 8
            1 / np.sqrt(c8),
        ],
        page.build_critic: [
            g / np.sqrt(3),
            g / np.sqrt(3),
            *[g / np.sqrt(9 * n) for n in (c8, c8, c4 + 1)],
            g / np.sqrt(16 * c4),
            1 / np.sqrt(c4),  # the answer
        ],
    }
    for build, scales in expected.items():
        found = [x.scale for x in build(8).layers if isinstance(x, keras.layers.Rescaling)]
        np.testing.assert_allclose(sorted(found), sorted(scales), rtol=1e-6)


def test_z_lies_on_a_sphere(page, stages):
    """Karras et al. 2018, table 2: so its length does not matter."""
    small, _ = stages
    z = some_z(page)
    expected = small.generator([z, at(1.0)])
    np.testing.assert_allclose(small.generator([5.0 * z, at(1.0)]), expected, rtol=1e-3, atol=1e-3)


def test_all_layers_begin_differently(page):
    """A Keras initializer that is used twice would give the same numbers twice."""
    stage = page.stage_of(16, 2)
    for network in stage.generator, stage.critic:
        kernels = [layer.kernel.numpy() for layer in network.layers if layer.weights]
        starts = [tuple(kernel.ravel()[:4]) for kernel in kernels]
        assert len(set(starts)) == len(starts)


def test_pixel_normalization_by_hand(page):
    a = np.random.default_rng(0).normal(3, 2, (2, 4, 4, 5)).astype("float32")
    expected = a / np.sqrt(np.mean(a**2, axis=-1, keepdims=True))
    np.testing.assert_allclose(page.PixelNorm()(a), expected, rtol=1e-5)


def test_the_deviation_of_a_batch_of_equal_images_is_0(page):
    x = np.repeat(np.random.default_rng(0).normal(size=(1, 4, 4, 3)), 8, axis=0).astype("float32")
    found = page.MinibatchDeviation()(x)
    np.testing.assert_array_equal(found[..., :3], x)
    np.testing.assert_allclose(found[..., 3], 0, atol=2e-4)  # the root of the 1e-8 in it


def test_the_deviation_is_that_of_four_neighbours(page):
    """So that several devices, which get neighbours, compute what one does."""
    x = np.random.default_rng(1).normal(size=(8, 4, 4, 3)).astype("float32")
    x[4:] *= 3
    found = page.MinibatchDeviation()(x)[..., 3].numpy()
    for group in np.arange(4), np.arange(4, 8):
        np.testing.assert_allclose(found[group], x[group].std(axis=0).mean(), rtol=1e-4)


def test_a_batch_that_gives_no_groups_is_refused_by_the_step(page, stages):
    _, stage = stages
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "BATCH_SIZE", 6)
        with pytest.raises(
            ValueError, match=r"A batch of 6 images .* groups of 4: take a BATCH_SIZE"
        ):
            page.train_step(stage, some_images(32, 6))


def test_the_critics_loss_by_hand(page):
    """Karras et al. 2018, appendix A.1."""
    real, fake = np.random.default_rng(2).normal(0, 3, (2, 8, 1)).astype("float32")
    expected = fake.mean() - real.mean() + 10 * 0.25 + 1e-3 * np.mean(real**2)
    assert float(page.critic_loss(real, fake, 0.25)) == pytest.approx(expected, rel=1e-5)
    assert float(page.generator_loss(fake)) == pytest.approx(-fake.mean(), abs=1e-6)


def test_the_images_have_no_activation_and_the_answer_none(page, stages):
    _, stage = stages
    assert stage.generator.get_layer("rgb_16").activation is keras.activations.linear
    assert stage.critic.get_layer("answer").activation is keras.activations.linear


@pytest.mark.parametrize("gpus", [[], ["one"]], ids=["CPU", "GPU"])
def test_the_penalty_has_the_same_slope_in_bfloat16(page, stages, gpus, monkeypatch):
    """Through the minibatch deviation and the fade, too. On a CPU without units nothing changes."""
    _, stage = stages
    kernels = [v for v in stage.critic.trainable_variables if "kernel" in v.path]
    places = tf.fill((8, 1, 1, 1), 0.5)

    @tf.function
    def slopes():
        def critic(image, training):
            return stage.critic([image, at(0.5)], training=training)

        with tf.GradientTape() as tape:
            loss = steps.gradient_penalty(critic, some_images(16), 0.1 * some_images(16), places)
        return tape.gradient(loss, kernels)

    expected = np.concatenate([np.ravel(g) for g in slopes()])
    monkeypatch.setattr(device, "GPUS", gpus)
    with device.precision("bfloat16", [stage.critic]):
        found = tf.function(slopes.python_function)()
    found = np.concatenate([np.ravel(g) for g in found])
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 0.05


# Fading


def test_at_0_the_larger_networks_are_the_smaller_ones(page, stages):
    small, large = stages
    expected = growing.resized(small.generator([some_z(page), at(1.0)]), 16)
    found = large.generator([some_z(page), at(0.0)])
    np.testing.assert_array_equal(found, expected)
    images = some_images(16)
    expected = small.critic([growing.resized(images, 8), at(1.0)])
    np.testing.assert_allclose(large.critic([images, at(0.0)]), expected, rtol=1e-5, atol=1e-6)


def test_at_1_nothing_of_the_old_output_is_left(page, stages):
    _, large = stages
    before = large.generator([some_z(page), at(1.0)]).numpy()
    answers = large.critic([some_images(16), at(1.0)]).numpy()
    for network in large.generator, large.critic:
        old = network.get_layer("rgb_8")
        old.kernel.assign(100 * old.kernel)
    np.testing.assert_array_equal(large.generator([some_z(page), at(1.0)]), before)
    np.testing.assert_array_equal(large.critic([some_images(16), at(1.0)]), answers)
    assert np.abs(large.generator([some_z(page), at(0.5)]) - before).max() > 1


def test_real_images_are_faded_in_as_well(page):
    real = some_images(32)
    means = block_reduce(real.numpy(), (1, 2, 2, 1), np.mean)
    smaller = block_reduce(means, (1, 2, 2, 1), np.mean)
    blurred = np.kron(smaller, np.ones((1, 2, 2, 1)))
    for alpha in 0.0, 0.3, 1.0:
        found = page.faded(real, 16, at(alpha))
        np.testing.assert_allclose(found, (1 - alpha) * blurred + alpha * means, atol=1e-6)
    np.testing.assert_array_equal(page.faded(real, 16, at(1.0)), growing.resized(real, 16))


def test_alpha_rises_in_the_first_half_of_a_stage(page, stages):
    small, large = stages
    assert large.fade_steps == page.STEPS_PER_ROUND  # of two rounds
    found = [page.fading(large, step).numpy().item() for step in range(5)]
    assert found == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert page.fading(small, 0).shape == (1, 1, 1, 1)
    assert page.fading(small, 0).numpy().item() == 1.0  # the first stage fades nothing


# Stages


def test_a_stage_takes_all_weights_of_the_one_before(stages):
    small, large = stages
    for old, new in (small.generator, large.generator), (small.critic, large.critic):
        # The colours of two sizes before are needed no more.
        known = [layer for layer in old.layers if layer.weights and layer.name != "rgb_4"]
        assert len(known) > 3
        for layer in known:
            pairs = zip(layer.variables, new.get_layer(layer.name).variables, strict=True)
            for before, after in pairs:
                np.testing.assert_array_equal(before, after)
    fresh = {layer.name for layer in large.generator.layers if layer.weights}
    fresh -= {layer.name for layer in small.generator.layers}
    assert fresh == {"16_1", "16_2", "rgb_16"}


def test_adam_starts_anew(page, stages):
    small, _ = stages
    page.train_step(small, some_images(16))
    assert int(small.g_optimizer.iterations) == 1
    later = page.stage_of(16, 2, small)
    for optimizer in later.g_optimizer, later.d_optimizer:
        assert int(optimizer.iterations) == 0
        moments = [v for v in optimizer.variables if "momentum" in v.path or "velocity" in v.path]
        assert moments
        assert not any(np.any(v) for v in moments)


def test_layers_of_another_size_are_refused(page):
    old, new = (
        keras.Sequential([keras.Input((n,)), keras.layers.Dense(2, name="d")]) for n in (3, 4)
    )
    with pytest.raises(
        ValueError, match=r"d has weights of \[\(3, 2\), \(2,\)\] in the old network"
    ):
        growing.copy_weights(old, new)


def test_each_update_moves_its_own_network(page, stages):
    _, stage = stages
    alpha = at(0.5)
    for update, moved, other in (
        (lambda: page.update_critic(stage, some_images(16), alpha), stage.critic, stage.generator),
        (lambda: page.update_generator(stage, alpha), stage.generator, stage.critic),
    ):
        before = [v.numpy() for v in moved.trainable_variables]
        kept = [v.numpy() for v in other.trainable_variables]
        update()
        for a, b in zip(before, moved.trainable_variables, strict=True):
            assert np.any(a != b), b.path
        for a, b in zip(kept, other.trainable_variables, strict=True):
            np.testing.assert_array_equal(a, b)


def test_at_alpha_0_the_new_layers_learn_nothing(page, stages):
    """Their share is 0, so are their gradients: in both networks."""
    _, stage = stages
    new = "16_1", "16_2", "rgb_16"
    layers = [x for net in (stage.generator, stage.critic) for x in net.layers if x.weights]
    before = {id(x): [v.numpy() for v in x.variables] for x in layers}
    page.train_step(stage, some_images(32))
    for layer in layers:
        same = [np.array_equal(*x) for x in zip(before[id(layer)], layer.variables, strict=True)]
        assert all(same) if layer.name in new else not any(same), layer.name


def test_both_updates_see_the_same_alpha(page, stages, monkeypatch):
    _, stage = stages
    seen = []
    for name in "generator", "critic":
        network = getattr(stage, name)

        def spy(inputs, training, network=network):
            seen.append(float(np.ravel(inputs[1])[0]))
            return network(inputs, training=training)

        spy.trainable_variables = network.trainable_variables
        monkeypatch.setattr(stage, name, spy)
    page.update_critic(stage, some_images(16), at(0.3))
    page.update_generator(stage, at(0.3))
    assert len(seen) == 6  # G; D of real, fake, between; G, D
    np.testing.assert_allclose(seen, 0.3, rtol=1e-6)


def test_the_step_fades_networks_and_real_images_alike(page, stages, monkeypatch):
    _, stage = stages
    seen = []
    original = steps.gradient_penalty

    def noted(critic, real, fake, places):
        seen.append((np.asarray(real), np.asarray(fake), np.asarray(places)))
        return original(critic, real, fake, places)

    monkeypatch.setattr(page.steps, "gradient_penalty", noted)
    batch = some_images(32)
    for alpha in 0.0, 0.5, 1.0, 1.0:
        page.train_step(stage, batch)
        real, fake, places = seen[-1]
        np.testing.assert_allclose(real, page.faded(batch, 16, at(alpha)), atol=1e-6)
        assert fake.shape == real.shape
        assert places.shape == (page.BATCH_SIZE, 1, 1, 1)  # trap 5: one for each image,
        assert len(np.unique(places)) == page.BATCH_SIZE
        assert places.min() >= 0  # and between the two
        assert places.max() <= 1
        is_blocky = np.allclose(fake, growing.resized(growing.resized(fake, 8), 16), atol=1e-5)
        assert is_blocky == (alpha == 0.0)


def test_a_killed_stage_resumes_in_the_midst_of_its_fade(page):
    """Two rounds in one run, or in two, of which the first ends while alpha is a half."""
    data = dataclasses.replace(toy.faces(page.BATCH_SIZE, size=16), with_labels=False)

    def run(name, *rounds):
        for number in rounds:
            stage = page.stage_of(16, 2, page.stage_of(8, 2))
            trainer = page.trainer_of(stage)
            trainer.lesson = name
            trainer.fit(data, number, 1, lambda: np.zeros((1, 16, 16, 3), "float32"))
        return trainer.state.values()

    straight, resumed = run("straight", 2), run("halves", 1, 2)
    assert straight.keys() == resumed.keys()
    for name, value in straight.items():
        np.testing.assert_array_equal(value, resumed[name], err_msg=name)


def test_a_finished_stage_that_is_opened_again_draws_with_alpha_1(page, monkeypatch):
    """A record keeps networks only: no optimizer counts the steps."""
    stage = page.stage_of(16, 2, page.stage_of(8, 2))

    class Opened:
        history = ({}, {})  # of two rounds

        def __init__(self, stage):
            self.averaged = {"generator": stage.generator}

        def fit(self, dataset, rounds, steps, sample, score, **plan):
            assert sample().dtype == np.uint8

    monkeypatch.setattr(page, "trainer_of", Opened)
    vars(page).update(dataset=None, shown_z=some_z(page, 16), IMAGE_SIZE=16)
    page.train(stage, 2)
    assert int(stage.g_optimizer.iterations) == 0
    z = some_z(page)
    expected = np.clip(stage.generator([z, at(1.0)]), -1, 1)
    np.testing.assert_allclose(stage.drawn(z), expected, atol=1e-5)
    assert np.abs(np.clip(stage.generator([z, at(0.0)]), -1, 1) - expected).max() > 0.1


# Images of another size, and histories


def test_stages_double_the_size():
    channels = dict.fromkeys((4, 8, 16, 32), 2)
    assert growing.sizes({4: 1, 8: 2, 16: 1}, channels) == (4, 8, 16)
    assert growing.sizes({16: 3, 32: 1}, channels) == (16, 32)


@pytest.mark.parametrize(
    ("rounds", "message"),
    [
        ((4, 16), r"sizes \(4, 16\): take 4, 8, 16"),
        ((8, 4), r"sizes \(8, 4\): take 4, 8, 16"),
        ((12, 24), r"sizes \(12, 24\): take 4, 8, 16"),
        ((), r"sizes \(\): take 4, 8, 16"),
        ((4, 8), "ROUNDS ends at 8: go on to 16 at least"),
        ((32, 64, 128), r"CHANNELS lacks the sizes \[64, 128\]"),
    ],
)
def test_other_sizes_are_refused(rounds, message):
    with pytest.raises(ValueError, match=message):
        growing.sizes(dict.fromkeys(rounds, 1), dict.fromkeys((4, 8, 16, 32), 2))


def test_images_become_smaller_by_averages_and_larger_by_repeats():
    images = some_images(16)
    small = block_reduce(images.numpy(), (1, 4, 4, 1), np.mean)
    np.testing.assert_allclose(growing.resized(images, 4), small, atol=1e-6)
    np.testing.assert_array_equal(growing.resized(small, 8), np.kron(small, np.ones((1, 2, 2, 1))))
    np.testing.assert_array_equal(growing.resized(images, 16), images)


@pytest.mark.parametrize("shape", [(1, 12, 12, 3), (1, 16, 12, 3)])
def test_sizes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="must be square, and one size a multiple of the other"):
        growing.resized(tf.zeros(shape), 8)


def test_histories_of_stages_go_on():
    first = [{"step": 2, "seconds": 1.5, "score": 3.0}, {"step": 4, "seconds": 3.0}]
    second = [{"step": 2, "seconds": 2.0, "round": 1}]
    found = growing.joined([first, second, second])
    assert [row["step"] for row in found] == [2, 4, 6, 8]
    assert [row["seconds"] for row in found] == [1.5, 3.0, 5.0, 7.0]
    assert found[0]["score"] == 3.0
    assert second == [{"step": 2, "seconds": 2.0, "round": 1}]


def test_frames_are_enlarged_by_whole_factors(tmp_path):
    small, large = np.arange(60, dtype="uint8").reshape(2, 10, 3), np.zeros((4, 30), "uint8")
    files = tmp_path / "small.png", tmp_path / "large.png"
    for file, picture in zip(files, (small, large), strict=True):
        iio.imwrite(file, picture)
    found = growing.enlarged(files, width=25)
    np.testing.assert_array_equal(found[0], np.kron(small, np.ones((2, 2, 1), "uint8")))
    np.testing.assert_array_equal(found[1], large)


# Measures


def test_a_pyramid_keeps_the_image():
    """Each level is what the smaller image lacks, so their sum is the image (Burt, Adelson)."""
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype="uint8")
    levels = list(growing.pyramid(images))
    assert [level.shape[1] for level in levels] == [64, 32, 16]
    whole = levels[-1]
    for level in levels[-2::-1]:
        whole = level + growing._enlarged(whole)
    np.testing.assert_allclose(whole, images, atol=1e-2)


def test_a_uniform_image_has_no_details():
    """The weights of blurring and enlarging sum to 1, at the edges too."""
    fine, middle, rough = growing.pyramid(np.full((1, 64, 64, 1), 70, "uint8"))
    np.testing.assert_allclose(fine, 0, atol=1e-3)
    np.testing.assert_allclose(middle, 0, atol=1e-3)
    np.testing.assert_allclose(rough, 70, atol=1e-3)


def test_blurring_is_that_of_burt_and_adelson():
    """Against a convolution with the matrix of 5 x 5."""
    image = np.random.default_rng(1).integers(0, 256, (32, 32), dtype="uint8")
    row = np.array([1, 4, 6, 4, 1]) / 16
    smaller = ndimage.convolve(image.astype(float), np.outer(row, row), mode="mirror")[::2, ::2]
    _, found = growing.pyramid(image[None, :, :, None])
    np.testing.assert_allclose(found[0, :, :, 0], smaller, atol=1e-3)


def test_patches_are_pieces_of_their_image_and_normalised():
    level = np.arange(2 * 16 * 16 * 2, dtype="float32").reshape(2, 16, 16, 2)
    found = growing.patches(level, seed=0).reshape(2, growing.PATCHES, 7, 7, 2)
    for channel in range(2):
        assert found[..., channel].mean() == pytest.approx(0, abs=1e-5)
        assert found[..., channel].std() == pytest.approx(1, rel=1e-5)
    right = np.diff(found, axis=3)
    assert np.ptp(right) < 1e-4  # neighbours stay neighbours
    assert found[0].max() < found[1].min()  # and the first image's pieces are its own


def test_the_sliced_distance_against_another_implementation(monkeypatch):
    """SciPy's Wasserstein distance, direction by direction."""
    monkeypatch.setattr(growing, "DIRECTIONS", 32)
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 0.3, (4, 16, 16, 3)), np.tanh(rng.normal(0, 1, (4, 16, 16, 3)))
    a = np.clip(a, -1, 1)
    found = growing.swd(a, b, seed=5)
    assert list(found) == [16]
    sets = [growing.patches(next(growing.pyramid(x)), 5) for x in (a, b)]
    directions = np.random.default_rng(6).normal(size=(147, 32)).astype("float32")
    directions /= np.linalg.norm(directions, axis=0)
    each = [stats.wasserstein_distance(*(x @ d for x in sets)) for d in directions.T]
    assert found[16] == pytest.approx(1000 * np.mean(each), rel=1e-4)
    assert growing.swd(a, a) == {16: 0.0}


def test_blurred_faces_differ_in_fine_details_only():
    faces, *_ = drawn.load("validation", 64)
    sharp, again = faces[:50], faces[50:]
    small = sharp.reshape(-1, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    blurred = np.kron(small, np.ones((1, 2, 2, 1))).round().astype("uint8")
    changed, floor = growing.swd(blurred, sharp), growing.swd(again, sharp)
    assert changed[64] > 5 * changed[16]
    assert changed[16] < floor[16]


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ((2, 16, 16, 3), (3, 16, 16, 3), "of one shape"),
        ((2, 48, 48, 3), (2, 48, 48, 3), r"16, 32, 64, ... pixels, not \(48, 48\)"),
        ((2, 8, 8, 3), (2, 8, 8, 3), r"16, 32, 64, ... pixels, not \(8, 8\)"),
    ],
)
def test_wrong_sets_are_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        growing.swd(np.zeros(a), np.zeros(b))


def test_ms_ssim_of_one_scale_is_ssim():
    """Against scikit-image, with the window of Wang et al. 2004."""
    images = np.random.default_rng(4).integers(0, 256, (2, 16, 16, 3), dtype="uint8")
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = structural_similarity(*images, channel_axis=2, data_range=255, **window)
    assert growing.ms_ssim(images, pairs=4) == pytest.approx(expected, abs=1e-4)


def test_ms_ssim_of_two_scales_by_hand():
    """Contrast and structure of the fine scale, SSIM of the rough one (Wang et al. 2003, eq. 7)."""
    rng = np.random.default_rng(5)
    first = rng.integers(0, 256, (24, 24, 1)).astype("uint8")
    second = np.clip(first + rng.normal(0, 40, first.shape), 0, 255).astype("uint8")

    def blur(x):
        return ndimage.gaussian_filter(x, 1.5, truncate=3.5)[5:-5, 5:-5]

    def terms(x, y):
        mx, my = blur(x), blur(y)
        vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        structure = (2 * vxy + c2) / (vx + vy + c2)
        return structure.mean(), ((2 * mx * my + c1) / (mx**2 + my**2 + c1) * structure).mean()

    x, y = (image[..., 0].astype(float) for image in (first, second))
    fine, _ = terms(x, y)
    _, rough = terms(*(block_reduce(image, (2, 2), np.mean) for image in (x, y)))
    powers = np.array([0.0448, 0.2856]) / (0.0448 + 0.2856)
    expected = fine ** powers[0] * rough ** powers[1]
    found = growing.ms_ssim(np.stack([first, second]), pairs=3)
    assert found == pytest.approx(expected, abs=2e-3)


def test_ms_ssim_is_1_where_all_images_are_the_same():
    same = np.repeat(toy.faces(4, size=64).images[:1], 3, axis=0)
    assert growing.ms_ssim(same, pairs=10) == pytest.approx(1.0, abs=1e-5)
    assert growing.ms_ssim(toy.faces(4, size=64).images, pairs=50) < 0.5
    with pytest.raises(ValueError, match="two images of 11 pixels or more, not 1 of 64"):
        growing.ms_ssim(same[:1])


def test_samples_stand_beside_real_images():
    images = np.random.default_rng(5).integers(0, 256, (9, 16, 16, 3), dtype="uint8")
    found = growing.compared(images[:3], images[3:])
    assert set(found) == {"SWD, level of 16 x 16", "MS-SSIM of pairs"}
    made, floor = found["SWD, level of 16 x 16"]
    assert made == growing.swd(images[:3], images[3:6])[16]
    assert floor == growing.swd(images[6:], images[3:6])[16]
    with pytest.raises(ValueError, match="3 samples are compared with 6 real images, not 5"):
        growing.compared(images[:3], images[4:])
