"""layers: what lessons build with, where no lesson's own test holds it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from utils.layers import summary
from utils.topics.convolution import ConvToImage
from utils.topics.cyclegan import InstanceNorm, ReflectionPadding2D
from utils.topics.upscaling import LikeNearest, PixelShuffle


@pytest.mark.parametrize("padding", [1, 3])
def test_reflection_padding_mirrors_without_repeating_the_edge(padding):
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype("float32")
    sides = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    np.testing.assert_array_equal(ReflectionPadding2D(padding)(x), np.pad(x, sides, "reflect"))


def test_reflection_padding_is_saved_and_loaded_in_safe_mode(tmp_path):
    network = keras.Sequential([layers.Input((5, 6, 3)), ReflectionPadding2D(2)])
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
    x = np.random.default_rng(0).normal(size=(1, 5, 6, 3)).astype("float32")
    np.testing.assert_array_equal(loaded(x), network(x))
    assert loaded.output_shape == (None, 9, 10, 3)


def test_summary_prints_a_network_inside_by_its_name(capsys):
    inner = keras.Sequential([layers.Dense(3)], name="block")
    summary(keras.Sequential([layers.Input((2,)), inner, layers.Dense(1)]))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["block", "3", "9"], ["Dense", "1", "4"], ["parameters", "13"]]


def test_summary_prints_every_output_of_a_layer(capsys):
    a = keras.Input((2,))
    b = keras.Input((4, 3))
    summary(keras.Model([a, b], layers.Identity()([a, b])[0]))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["Identity", "2,", "4", "x", "3", "0"] in rows


def test_pixel_shuffle_by_its_equation():
    """Output (2y + i, 2x + j, c) is input (y, x, (2i + j) C + c)."""
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 8)).astype("float32")
    found = np.asarray(PixelShuffle()(x))
    assert found.shape == (2, 6, 10, 2)
    for y, x_, i, j, c in np.ndindex(3, 5, 2, 2, 2):
        np.testing.assert_array_equal(
            found[:, 2 * y + i, 2 * x_ + j, c], x[:, y, x_, (2 * i + j) * 2 + c]
        )


def test_an_untrained_shuffle_repeats_pixels():
    keras.utils.set_random_seed(0)
    stack = [layers.Input((6, 6, 4)), layers.Conv2D(12, 3, kernel_initializer=LikeNearest())]
    network = keras.Sequential([*stack, PixelShuffle()])
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 4)).astype("float32")
    found = np.asarray(network(x))
    np.testing.assert_allclose(found, found[:, ::2, ::2].repeat(2, 1).repeat(2, 2))
    assert found.std() > 0.5
    kernel = np.asarray(network.layers[0].kernel)
    assert np.std(kernel) == pytest.approx(np.sqrt(2 / (9 * 4)), rel=0.2)


def test_what_enlarges_is_saved_and_loaded_in_safe_mode(tmp_path):
    stack = [layers.Input((None, None, 3)), layers.Conv2D(12, 3, kernel_initializer=LikeNearest(1))]
    network = keras.Sequential([*stack, PixelShuffle()])
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
    x = np.random.default_rng(0).normal(size=(1, 5, 6, 3)).astype("float32")
    np.testing.assert_array_equal(loaded(x), network(x))


@pytest.mark.parametrize(("kernel", "padding"), [(9, "same"), (7, "valid"), (3, "same")])
def test_a_convolution_to_an_image_is_the_convolution(kernel, padding):
    """Results and gradients are those of Keras' layer with the same weights."""
    options = {"padding": padding, "activation": "tanh", "bias_initializer": "normal"}
    pair = [kind(3, kernel, **options) for kind in (layers.Conv2D, ConvToImage)]
    x = tf.random.stateless_normal((2, 11, 16, 8), (1, 2))
    for layer in pair:
        layer.build(x.shape)
    pair[1].set_weights(pair[0].get_weights())
    found = []
    for layer in pair:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(y**2)
        found.append([y, *tape.gradient(loss, [x, layer.kernel, layer.bias])])
    for plain, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, plain, atol=1e-4 * np.abs(plain).max())


def test_a_convolution_to_an_image_is_saved_and_loaded_in_safe_mode(tmp_path):
    stack = [layers.Input((None, None, 4)), ConvToImage(3, 5, padding="same")]
    network = keras.Sequential(stack)
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 4)).astype("float32")
    np.testing.assert_array_equal(loaded(x), network(x))


@pytest.mark.parametrize("learned", [(), ("center",), ("scale",), ("center", "scale")])
@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize(("policy", "error"), [("float32", 1e-5), ("mixed_bfloat16", 1e-2)])
def test_instance_norm_is_group_normalisation_of_each_channel(n, policy, error, learned):
    """Results and gradients are those of Keras' layer; the size may be unknown before."""
    options = {name: name in learned for name in ("center", "scale")} | {"dtype": policy}
    group = {"groups": -1, "epsilon": 1e-5}
    pair = layers.GroupNormalization(**group, **options), InstanceNorm(**options)
    x = tf.random.stateless_normal((n, 6, 5, 4), (1, 2), 3, 2)
    weight = tf.random.stateless_normal(x.shape, (1, 3))
    found = []
    for layer in pair:
        network = keras.Sequential([layers.Input((None, None, 4)), layer])
        for variable in layer.trainable_variables:
            variable.assign([0.5, -1.0, 2.0, 1.5])
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = network(x)
            loss = tf.reduce_sum(weight * tf.cast(y, "float32") ** 2)
        by_name = sorted(layer.trainable_variables, key=lambda v: v.name)
        assert [v.name for v in by_name] == [
            {"center": "beta", "scale": "gamma"}[x] for x in learned
        ]
        found.append((y, *tape.gradient(loss, [x, *(v.value for v in by_name)])))
    for plain, ours in zip(*found, strict=True):
        assert ours.dtype == plain.dtype
        plain, ours = (np.asarray(tf.cast(values, "float32")) for values in (plain, ours))
        np.testing.assert_allclose(ours, plain, rtol=error, atol=error * np.abs(plain).max())


def test_instance_norm_is_saved_and_loaded_in_safe_mode(tmp_path):
    stack = [InstanceNorm(), InstanceNorm(center=True, scale=True)]
    network = keras.Sequential([layers.Input((None, None, 4)), *stack])
    for variable in network.variables:
        variable.assign([0.5, -1.0, 2.0, 1.5])
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 4)).astype("float32")
    np.testing.assert_array_equal(loaded(x), network(x))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("kernel_size", 4),
        ("kernel_size", 1),
        ("kernel_size", (3, 5)),
        ("strides", 2),
        ("dilation_rate", 2),
        ("groups", 3),
        ("use_bias", False),
        ("data_format", "channels_first"),
    ],
)
def test_a_convolution_to_an_image_refuses_what_it_cannot_compute(argument, value):
    with pytest.raises(ValueError, match=f"cannot compute {argument}=.*Take a layers.Conv2D"):
        ConvToImage(**{"filters": 3, "kernel_size": 3, argument: value})


@pytest.mark.parametrize("argument", ["groups", "axis", "epsilon"])
def test_instance_norm_refuses_arguments_of_group_normalisation(argument):
    with pytest.raises(ValueError, match=f"passed to InstanceNorm: .*{argument}"):
        InstanceNorm(**{argument: 1})


OURS = {
    "ReflectionPadding2D": lambda policy: ReflectionPadding2D(1, dtype=policy),
    "PixelShuffle": lambda policy: PixelShuffle(dtype=policy),
    "ConvToImage": lambda policy: ConvToImage(3, 3, padding="same", dtype=policy),
    "InstanceNorm": lambda policy: InstanceNorm(dtype=policy),
}


@pytest.mark.parametrize("made", OURS.values(), ids=OURS)
def test_our_layers_compute_in_bfloat16_and_keep_their_weights_in_float32(made):
    x = tf.random.stateless_normal((2, 6, 8, 4), (1, 2))
    layer = made("mixed_bfloat16")
    found = layer(x)
    assert found.dtype == tf.bfloat16
    assert {w.dtype for w in layer.weights} <= {"float32"}
    plain = made("float32")
    plain.build(x.shape)
    plain.set_weights(layer.get_weights())
    expected = np.asarray(plain(x))
    error = np.abs(np.asarray(tf.cast(found, "float32")) - expected).max()
    assert error < 0.02 * np.abs(expected).max()


def penalty_gradients(policy):
    """The gradient of a gradient penalty through all of our layers, for each of their weights."""
    keras.utils.set_random_seed(1)
    stack = [keras.Input((8, 8, 4)), ReflectionPadding2D(1), layers.Conv2D(16, 3, use_bias=False)]
    stack += [InstanceNorm(), layers.LeakyReLU(negative_slope=0.2), PixelShuffle()]
    stack += [ConvToImage(3, 3, padding="same", activation="tanh"), layers.Flatten()]
    critic = keras.Sequential([*stack, layers.Dense(1, dtype="float32")])
    for layer in critic.layers[:-1]:
        layer.dtype_policy = policy
    x = tf.random.stateless_normal((8, 8, 8, 4), (1, 2))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            inner.watch(x)
            logits = critic(x, training=True)
        slopes = tf.cast(inner.gradient(logits, x), "float32")
        norms = tf.sqrt(tf.reduce_sum(slopes**2, axis=(1, 2, 3)) + 1e-12)
        penalty = tf.reduce_mean((norms - 1) ** 2)
    found = outer.gradient(penalty, critic.trainable_variables)
    return [np.asarray(tf.cast(g, "float32")) for g in found if g is not None]


def test_a_second_derivative_in_bfloat16_is_that_in_float32():
    """As in a gradient penalty; a factor that cancels in a first derivative would show here."""
    precise = penalty_gradients("float32")
    rounded = penalty_gradients("mixed_bfloat16")
    for a, b in zip(precise, rounded, strict=True):
        assert np.isfinite(b).all()
        assert np.linalg.norm(b - a) <= 0.04 * np.linalg.norm(a)
    assert len(precise) >= 4
