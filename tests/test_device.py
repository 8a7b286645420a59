"""Precision, and several devices that compute what one would with the whole batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import toy
from tests.train_page import SMALL, fifty_updates
from tools import pages
from utils import datasets, device, fingerprint, layers, runtime, training
from utils.topics import critics, plane, ring
from utils.topics.cyclegan import ImagePool


@pytest.fixture
def two(monkeypatch):
    """Two logical CPU devices (conftest.py made them) share every batch."""
    monkeypatch.setenv("DEVICES", "all")
    device.set_strategy()
    assert device.replicas() == 2
    yield
    tf.distribute.experimental_set_strategy(None)


# Of lessons that are alike, one in each `make test`, all in `make test-devices`.
ALIKE = "04_lsgan", "06_cgan", "08_stargan", "10_pggan"  # 02_dcgan, and twice 05_wgan_gp
OFTEN = [name for name in SMALL if name not in ALIKE]
SELDOM = [pytest.param(name, marks=pytest.mark.slow) for name in SMALL if name in ALIKE]


# Precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(9, 0)], "bfloat16"),  # H100
        ([(8, 0)], "bfloat16"),  # A100
        ([(7, 5)], "float32"),  # T4
        ([(7, 0)], "float32"),  # V100
        ([None], "float32"),  # not of NVIDIA
        ([(8, 0), (7, 5)], "float32"),
    ],
)
def test_a_gpu_decides_by_its_compute_capability(capabilities, expected, monkeypatch):
    details = [{"compute_capability": found} if found else {} for found in capabilities]
    monkeypatch.setattr(device, "GPUS", range(len(details)))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda i: details[i])
    assert device.fastest_precision() == expected


def test_float16_is_not_offered(monkeypatch):
    monkeypatch.setenv("PRECISION", "float16")
    with pytest.raises(ValueError, match="Use one of: auto, float32, bfloat16"):
        runtime.start(1)


def test_precision_is_a_switch_of_the_block_only():
    def switched():
        options = tf.config.optimizer.get_experimental_options()
        return options.get(device.ONEDNN_BFLOAT16, False)

    assert not switched()
    with device.precision("bfloat16"):
        assert switched()
        with device.precision("float32"):
            assert not switched()
        assert switched()
    assert not switched()


def test_on_a_gpu_all_layers_take_it_and_outputs_are_float32(monkeypatch):
    monkeypatch.setattr(device, "GPUS", ["one"])
    inner = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(4)])
    network = keras.Sequential([inner, keras.layers.Dense(3), keras.layers.Dense(2)])
    network.build((None, 4))
    with device.precision("bfloat16", [network]):
        dtypes = {layer.compute_dtype for layer in device.inner_layers(network)}
        outputs = network(np.ones((1, 4)))
    assert dtypes == {"bfloat16"}
    assert outputs.dtype == "float32"
    assert {layer.compute_dtype for layer in device.inner_layers(network)} == {"float32"}
    assert network.layers[-1].kernel.dtype == "float32"


def penalty(network, images):
    """The gradient penalty of WGAN-GP."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        answers = network(images, training=True)
    slopes = tape.gradient(answers, images)
    norm = tf.sqrt(tf.reduce_sum(slopes**2, axis=(1, 2, 3)) + 1e-12)
    return tf.reduce_mean((norm - 1) ** 2)


@tf.function
def second_derivative(network, images):
    """The gradient of the penalty with respect to the weights; biases have none."""
    with tf.GradientTape() as tape:
        loss = penalty(network, images)
    return tape.gradient(loss, kernels_of(network))


def kernels_of(network):
    return [variable for variable in network.trainable_variables if "kernel" in variable.path]


@pytest.fixture
def critic_and_images():
    keras.utils.set_random_seed(1)
    network = layers.dcgan_discriminator((32, 16, 8), noise=0.0, batch_norm=False)
    for kernel in kernels_of(network):  # larger than N(0, .02), as after training
        kernel.assign(kernel * 5)
    return network, tf.random.stateless_normal((8, 28, 28, 1), (1, 2))


def test_the_second_derivative_is_the_slope_of_the_penalty(critic_and_images):
    """Against a difference quotient, along the gradient itself."""
    network, images = critic_and_images
    gradients = [g.numpy() for g in second_derivative(network, images)]
    length = np.sqrt(sum(np.sum(g**2) for g in gradients))
    start = [kernel.numpy() for kernel in kernels_of(network)]
    step = 1e-3
    found = []
    for sign in 1, -1:
        for kernel, value, gradient in zip(kernels_of(network), start, gradients, strict=True):
            kernel.assign(value + sign * step * gradient / length)
        found.append(float(penalty(network, images)))
    assert length > 0
    assert (found[0] - found[1]) / (2 * step) == pytest.approx(length, rel=0.02)


@pytest.mark.parametrize("gpus", [[], ["one"]], ids=["CPU", "GPU"])
def test_the_second_derivative_in_bfloat16_is_that_of_float32(gpus, critic_and_images, monkeypatch):
    """On a CPU without bfloat16 units the switch changes nothing."""
    expected = second_derivative(*critic_and_images)
    monkeypatch.setattr(device, "GPUS", gpus)
    with device.precision("bfloat16", critic_and_images[:1]):
        found = tf.function(second_derivative.python_function)(*critic_and_images)
    a, b = (np.concatenate([np.ravel(g) for g in one]) for one in (found, expected))
    assert np.linalg.norm(a - b) / np.linalg.norm(b) < 0.05


def test_fit_computes_in_the_precision_of_training(monkeypatch):
    monkeypatch.setattr(device, "_training_precision", "bfloat16")
    monkeypatch.setattr(device, "GPUS", ["one"])
    monkeypatch.setattr(device, "name", lambda: "a GPU")
    trainer, seen = toy.make(), []
    layer = trainer.parts["discriminator"].layers[0]
    note = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append(layer.compute_dtype)
    )
    toy.fit(trainer, 1, [note])
    assert (seen, layer.compute_dtype) == (["bfloat16"], "float32")


@pytest.mark.parametrize(
    ("lesson", "environment", "precision", "expected"),
    [
        (True, "auto", "float32", True),
        (False, "auto", "float32", False),
        (True, "0", "float32", False),
        (False, "1", "float32", True),
        (True, "auto", "bfloat16", False),  # XLA does not know oneDNN's bfloat16
    ],
)
def test_xla_is_a_constant_and_an_option(lesson, environment, precision, expected, monkeypatch):
    monkeypatch.setenv("XLA", environment)
    monkeypatch.setattr(device, "_training_precision", precision)
    assert device.xla(lesson) == expected


# Several devices


@pytest.fixture
def in_float64():
    """The game amplifies rounding tenfold in five updates: so let there be less of it."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    keras.mixed_precision.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before)
    keras.mixed_precision.set_dtype_policy(before)


@pytest.mark.parametrize("lesson", [*OFTEN, *SELDOM])
def test_two_devices_compute_what_one_does(lesson, in_float64, monkeypatch, request, capsys):
    """The real steps, 50 updates: batch norm synchronized, the same z."""
    monkeypatch.setenv("STANDIN", "always")
    one = fifty_updates(lesson)
    expected = one.state.values()
    request.getfixturevalue("two")
    shared = fifty_updates(lesson)
    assert "changed: " in capsys.readouterr().out  # another number is another run, by name
    found = shared.state.values()
    assert expected.keys() == found.keys()
    floats = [name for name, value in expected.items() if value.dtype.kind == "f"]
    off = {name: np.abs(found[name] - expected[name]).max() for name in floats}
    print(lesson, "largest difference after 50 updates:", max(off.values()))
    assert max(off.values()) < 1e-6
    moved = np.abs(expected["generator/000"] - one.state.start["generator/000"]).max()
    assert moved > 1e-4
    for variable in shared.state.variables.values():  # the devices hold the same
        first, second = (copy.numpy() for copy in device.copies(variable))
        np.testing.assert_array_equal(first, second)
    for a, b in zip(one.history, shared.history, strict=True):
        for name in "d_loss", "g_loss", "d_real", "d_fake":
            assert a[name] == pytest.approx(b[name], abs=2e-5)


def test_another_number_of_devices_is_another_run_by_name(two):
    shared = toy.make()
    shared.dataset, shared.steps_per_round = toy.data(), toy.STEPS
    identity = shared.identity()
    assert identity["machine"]["replicas"] == 2
    other = {**identity, "machine": {**identity["machine"], "replicas": 1}}
    assert "replicas 1 → 2" in fingerprint.differences(other, identity)


def test_devices_draw_differently_but_z_is_that_of_one(two):
    strategy = tf.distribute.get_strategy()
    network = keras.Sequential([keras.Input((1000,)), keras.layers.Dropout(0.5)])
    device.share("network", network)
    device.share("network", network)  # a Trainer's cell that is run again
    rng = device.generator(3)

    @tf.function
    def draw():
        return strategy.run(
            lambda: (network(tf.ones((1, 1000)), training=True), device.part(rng.normal((4, 2))))
        )

    dropped, z = draw()
    first, second = (x.numpy() > 0 for x in strategy.experimental_local_results(dropped))
    assert 0.4 < np.mean(first == second) < 0.6  # as two coins
    parts = [x.numpy() for x in strategy.experimental_local_results(z)]
    tf.distribute.experimental_set_strategy(None)
    expected = tf.random.Generator.from_seed(3).normal((4, 2)).numpy()
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_what_is_drawn_for_one_is_put_together_and_cut_again(two):
    """As the permuted labels of lesson 08 are: `whole` is the reverse of `part`."""
    strategy = tf.distribute.get_strategy()
    all_rows = tf.reshape(tf.range(8.0), (4, 2))
    turned = tf.constant([2, 0, 3, 1])

    @tf.function
    def move():
        mine = device.part(all_rows)
        return strategy.run(
            lambda: device.part(tf.gather(device.whole(device.part(all_rows)), turned))
        ), mine

    moved, alone = move()
    parts = [x.numpy() for x in strategy.experimental_local_results(moved)]
    np.testing.assert_array_equal(np.concatenate(parts), all_rows.numpy()[turned])
    np.testing.assert_array_equal(alone, all_rows)  # outside of `run` there is one part
    np.testing.assert_array_equal(device.whole(all_rows), all_rows)


def test_with_dropout_and_noise_resume_is_exact_on_two_devices(two):
    straight = toy.make(lesson="straight")
    toy.fit(straight, 4)
    toy.fit(toy.make(lesson="halves"), 2)
    resumed = toy.make(lesson="halves")
    toy.fit(resumed, 4)
    expected, found = straight.state.values(), resumed.state.values()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name], err_msg=name)


def small_games():
    """Return what the games of a few points learn; lessons 01, 04 and 05 play them."""
    wasserstein = lambda real, fake: tf.reduce_mean(fake) - tf.reduce_mean(real)  # noqa: E731
    saturating = lambda fake: -tf.reduce_mean(fake)  # noqa: E731
    games = [
        plane.play(saturating, wasserstein, rounds=1, updates=2).generator,
        critics.trained(wasserstein, gap=1.0, updates=3),
    ]
    played = ring.play(saturating, wasserstein, updates=10)
    return [*(weights for game in games for weights in game.get_weights()), played.points[-1]]


def test_small_games_are_played_on_one_device(monkeypatch, request):
    expected = small_games()
    request.getfixturevalue("two")
    found = small_games()
    assert device.replicas() == 2
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("lesson", pages.trained())
def test_every_page_runs_on_two_devices_or_says_why(lesson, two, monkeypatch):
    monkeypatch.setenv("STANDIN", "always")
    page = pages.Page(lesson)
    if lesson == "07_cyclegan":
        with pytest.raises(ValueError, match=r"this lesson trains on one device. Set DEVICES=one"):
            page.execute({})
    else:
        page.execute({})


def test_a_batch_that_cannot_be_shared_is_refused(two):
    odd = datasets.ImageData(
        name="noise",
        standin=False,
        batch_size=7,
        seed=1,
        images=toy.data().images,
        labels=toy.data().labels,
    )
    with pytest.raises(
        ValueError, match=r"BATCH_SIZE=7 cannot be cut into equal parts for 2 devices.*DEVICES=one"
    ):
        toy.make().fit(odd, 1, 1, lambda: np.zeros((1, 28, 28, 1)))


def test_a_pool_of_images_is_refused(two):
    pool = ImagePool(4, (8, 8, 3), device.generator(1))
    with pytest.raises(ValueError, match=r"pool keeps one state.*Set DEVICES=one"):
        training.Trainer("07_cyclegan", lambda batch: {}, {}, pool=pool)
