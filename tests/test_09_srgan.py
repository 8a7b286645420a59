"""Lesson 09: the networks of the paper, its losses, and two stages that resume exactly."""

import math
import types

import keras
import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from keras import layers

from tests.test_07_cyclegan import goes_on_as_straight
from tools import pages
from utils import fingerprint, images, runtime, training
from utils.topics import enlarging, superresolution

PAGE = "09_srgan"
NETWORKS = ("generator", "discriminator", "content")


def page():
    """Return the page's definitions at `smoke`, with networks and optimizers of one seed."""
    keras.utils.set_random_seed(1)
    found = pages.Page(PAGE).definitions("cross_entropy", "mean_square")
    found.generator = found.srresnet(found.WIDTH, found.BLOCKS, True)
    found.discriminator = found.crop_discriminator(found.HR_SIZE, found.WIDTH)
    found.content = keras.Sequential(
        [layers.Input((None, None, 3)), layers.Conv2D(4, 3, activation="relu")]
    )
    found.content.trainable = False
    found.optimizer, found.g_optimizer = (found.adam(found.generator, 1e-3, 1) for _ in range(2))
    found.d_optimizer = found.adam(found.discriminator, 1e-3, 1)
    return found


def crops():
    photos = [skimage.data.chelsea(), skimage.data.coffee()]
    return superresolution.Crops(
        name="two photographs", standin=False, batch_size=2, seed=1, photographs=photos, size=48
    )


def batch():
    return next(iter(crops().from_step(0)))


def arrays(network):
    return [keras.ops.convert_to_numpy(v).copy() for v in network.variables]


def changed(before, network):
    pairs = zip(before, arrays(network), strict=True)
    return any(not np.array_equal(x, y) for x, y in pairs)


def test_the_papers_sizes():
    """Convolutions with biases, a slope a channel, and four numbers of batch norm a channel."""
    found = page()

    def conv(kernel, before, after):
        return kernel**2 * before * after + after

    block = 2 * (conv(3, 64, 64) + 4 * 64) + 64
    double = conv(3, 64, 256) + 64
    expected = conv(9, 3, 64) + 64 + 16 * block + conv(3, 64, 64) + 4 * 64
    assert expected + 2 * double + conv(9, 64, 3) == 1_554_883
    assert found.srresnet(64, 16, True).count_params() == 1_554_883
    plan = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512)]
    expected = sum(conv(3, *sides) for sides in (*plan, (512, 512)))
    expected += sum(4 * after for _, after in plan[1:]) + 4 * 512
    expected += 6 * 6 * 512 * 1024 + 1024 + 1024 + 1
    discriminator = found.crop_discriminator(96, 64)
    assert discriminator.count_params() == expected
    assert discriminator.output_shape == (None, 1)


def test_the_generator_takes_any_size_and_stays_in_range():
    generator = page().generator
    for size in (12, 12), (7, 30):
        image = generator(np.random.default_rng(0).uniform(0, 1, (1, *size, 3)))
        assert image.shape == (1, 4 * size[0], 4 * size[1], 3)
        assert np.abs(image).max() <= 1


def test_the_untrained_generator_draws_no_checkerboard():
    """Its first convolutions to the shuffles make four equal channels."""
    found = page()
    generator = found.srresnet(8, 1, True)
    last = generator.layers[-1]
    before = keras.Model(generator.input, last.input)
    large = before(np.random.default_rng(0).uniform(0, 1, (1, 6, 6, 3)).astype("float32"))
    squares = np.asarray(large).reshape(12, 2, 12, 2, 8)
    np.testing.assert_allclose(squares, squares[:, :1, :, :1] + 0 * squares, atol=1e-6)


def test_measuring_uses_the_averages_of_batch_norm():
    generator, small = page().generator, np.zeros((8, 8, 3), "uint8")
    before = arrays(generator)
    made = enlarging.enlarge(generator, small)
    assert not changed(before, generator)
    expected = generator(np.zeros((1, 8, 8, 3)), training=False)
    np.testing.assert_allclose(made / 127.5 - 1, expected[0], atol=1 / 127)


def test_losses_by_hand():
    found = page()
    undecided = tf.zeros((4, 1))
    assert float(found.discriminator_loss(undecided, undecided)) == pytest.approx(math.log(4))
    assert float(found.generator_loss(undecided)) == pytest.approx(math.log(2))
    logits = tf.constant([[2.0], [-1.0]])
    expected = np.mean(np.log1p(np.exp([-2.0, 1.0])))  # -log sigmoid
    assert float(found.generator_loss(logits)) == pytest.approx(expected, rel=1e-5)
    assert float(found.mean_square(tf.ones((2, 3)), -tf.ones((2, 3)))) == 4


def test_each_update_moves_its_own_network_and_never_the_content():
    for still in ("generator", "discriminator"):
        found = page()
        optimizer = keras.optimizers.SGD(0.0)
        optimizer.build(getattr(found, still).trainable_variables)
        setattr(found, f"{still[0]}_optimizer", optimizer)
        before = {n: [np.array(v) for v in getattr(found, n).trainable_variables] for n in NETWORKS}
        kept = arrays(found.content)
        found.train_step(batch())
        for name in NETWORKS[:2]:
            now = getattr(found, name).trainable_variables
            same = all(np.array_equal(x, y) for x, y in zip(before[name], now, strict=True))
            assert same == (name == still), name
        assert not changed(kept, found.content)


def test_the_weight_of_the_adversarial_loss():
    """Without features the generator's gradient is that of the adversarial loss, by its weight."""
    found, (lr, hr) = page(), batch()
    assert found.LAMBDA_ADVERSARIAL == 3e-3
    found.content = keras.Sequential([layers.Input((48, 48, 3)), layers.Rescaling(0.0)])
    variables = found.generator.trainable_variables
    found.g_optimizer = keras.optimizers.SGD(1.0)
    found.g_optimizer.build(variables)
    with tf.GradientTape() as tape:
        sr = found.generator(lr, training=True)
        logits = found.discriminator(sr, training=True)
        loss = found.LAMBDA_ADVERSARIAL * found.generator_loss(logits)
    gradients = tape.gradient(loss, variables)
    before = [np.array(v) for v in variables]
    found.train_step((lr, hr))
    moved = [x - np.array(v) for x, v in zip(before, variables, strict=True)]
    largest = max(np.abs(g).max() for g in gradients)
    for step, gradient in zip(moved, gradients, strict=True):
        np.testing.assert_allclose(step, gradient, atol=2e-3 * largest + 1e-7)


def test_the_first_stage_learns_a_crop():
    found, (lr, hr) = page(), batch()
    found.optimizer = keras.optimizers.Adam(1e-3)
    found.optimizer.build(found.generator.trainable_variables)
    losses = [float(found.mse_step((lr, hr))["mse"]) for _ in range(20)]
    assert losses[-1] < losses[0] / 2


def run(stage):
    found = page()
    parts = {"generator": found.generator, "optimizer": found.optimizer}
    if stage == "train_step":
        parts = {"generator": found.generator, "discriminator": found.discriminator}
        parts |= {"g_optimizer": found.g_optimizer, "d_optimizer": found.d_optimizer}
    trainer = training.Trainer(
        stage,
        getattr(found, stage),
        runtime.constants(vars(found)),
        {"generator": 0.9},
        **parts,
    )
    trainer.fit(crops(), 4, 2, lambda: np.zeros((1, 2, 2, 3)))
    return trainer


@pytest.mark.parametrize("stage", ["mse_step", "train_step"])
def test_a_resumed_run_is_the_straight_one(stage):
    found = goes_on_as_straight(lambda: run(stage))
    assert "content" not in {key.split("/")[0] for key in found.state.values()}


def cell(text):
    (source,) = [cell.source for cell in pages.Page(PAGE).code if text in cell.source]
    return source


def test_another_first_stage_is_another_run_of_the_second(monkeypatch):
    """The second is known by the weights that it begins with, as precise as a record keeps them."""
    found, starts = page(), []

    class Reached(Exception):
        pass

    make = training.Trainer

    def trainer(*arguments, **parts):
        starts.append(make(*arguments, **parts).state.described_start())
        raise Reached

    monkeypatch.setattr(training, "Trainer", trainer)
    weights = found.generator.get_weights()
    rounded = [x.astype("float16").astype("float32") for x in weights]
    for given in weights, rounded, [1.1 * x for x in weights]:
        found.generator.set_weights(given)
        best = keras.models.clone_model(found.generator)
        best.set_weights(given)
        found.first = types.SimpleNamespace(best={"generator": best})
        with pytest.raises(Reached):
            exec(cell("second = training.Trainer("), vars(found))
    assert fingerprint.unlike(starts[0], starts[1]) == []
    others = fingerprint.unlike(starts[0], starts[2])
    assert {name.split("/")[0] for name in others} == {"generator"}


def test_a_greyscale_photograph_of_ones_own_is_enlarged(monkeypatch, tmp_path):
    found, shown = page(), []
    monkeypatch.setattr(images, "show", lambda pictures, **_: shown.append(pictures))
    found.methods = {"bicubic": superresolution.bicubic, "SRGAN": found.enlarge(found.generator)}
    grey = skimage.data.camera()[:200, :300, None]
    found.held_out, found.folder, found.title = [grey], tmp_path, ""
    exec(cell("four times larger"), vars(found))
    assert [x.shape for x in shown] == [(2, 256, 256, 3)]
    assert [path.name for path in tmp_path.iterdir()] == ["a crop, four times larger.png"]


@pytest.mark.parametrize("letter", ["한", "\N{SLIGHTLY SMILING FACE}"], ids=ascii)
def test_long_names_of_photographs_are_cut_and_stay_apart(letter, monkeypatch, tmp_path):
    monkeypatch.setattr(images, "show", lambda *_, **__: None)
    photo = skimage.data.camera()[:64, :64, None]
    names = [f"{letter * ((250 - 5) // len(letter.encode()))}{i}.jpg" for i in range(2)]
    source = cell("four times larger").replace("own.items()", "photos.items()")
    space = {"keras": keras, "np": np, "images": images, "enlarging": enlarging, "title": ""}
    space |= {"methods": {"SRGAN": superresolution.bicubic}, "held_out": [photo]}
    exec(source, space | {"folder": tmp_path, "photos": dict.fromkeys(names, photo)})
    assert len({path.name for path in tmp_path.iterdir()}) == 2


@pytest.mark.parametrize("sizes", [[(100, 130)] * 3, [(190, 150), (300, 400), (64, 100)]], ids=str)
def test_small_photographs_of_ones_own_are_trained_on_and_shown(sizes, tmp_path):
    rng = np.random.default_rng(0)
    for i, size in enumerate(sizes):
        image = rng.integers(0, 256, (*size, 3), "uint8")
        keras.utils.save_img(tmp_path / f"{i}.png", image, scale=False)
    page = pages.Page("09_srgan")
    page.change("crops(HR_SIZE, BATCH_SIZE, SEED)", f"crops(48, 2, SEED, {str(tmp_path)!r})")
    page.change("held_out[:3]]\nsmall", "[*held_out, *crops.photographs]]\nsmall")
    page.change("for photo in held_out[:3]", "for photo in [*held_out, *crops.photographs]")
    found = page.definitions("blurred", "chosen", "some")
    side = min(96, min(map(min, sizes)) // 4 * 4)
    assert found.blurred.shape == (3, side, side, 3)
    assert {x.shape for x in found.chosen} == {(side, side, 3)}


def test_a_part_lies_inside_and_is_a_multiple_of_4_where_the_photograph_is_smaller():
    photo = np.arange(60 * 90).reshape(60, 90, 1)
    np.testing.assert_array_equal(enlarging.part(photo, 8, 12, 20, 30), photo[20:28, 30:42])
    np.testing.assert_array_equal(enlarging.part(photo, 8, 12, 99, 99), photo[52:, 78:])
    assert enlarging.part(photo, 96, 96, 80, 80).shape == (60, 88, 1)
