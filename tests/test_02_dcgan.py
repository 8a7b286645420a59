"""Lesson 02: what stands in the page is DCGAN, and does what the page says."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import toy
from tools import pages
from utils import datasets, fingerprint, record, run, runtime, sources, training

NAMES = {*pages.PARTS, "train_step"}


def made():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRESET", "quick")
        keras.utils.set_random_seed(1)
        return pages.Page("02_dcgan").definitions(*NAMES)


@pytest.fixture(scope="module")
def page():
    """The page as it begins; what updates it makes one of its own."""
    return made()


def test_parameters_and_shapes(page):
    """By hand: kernels k*k*in*out, batch normalisation 4 a channel, biases at the ends only."""
    a, b, c = page.CHANNELS
    dense, ends = page.LATENT_DIM * 16 * a, 16 * c + 1
    norms = 4 * (a + b + c)
    assert page.generator.count_params() == dense + 16 * a * b + 16 * b * c + norms + ends
    norms = 4 * (a + b)
    ends = 16 * c + c + 16 * a + 1
    assert page.discriminator.count_params() == 16 * a * b + 16 * b * c + norms + ends
    assert page.generator.output_shape == (None, 28, 28, 1)
    assert page.discriminator.output_shape == (None, 1)


def test_weights_start_as_in_the_paper(page):
    """N(0, 0.02) for convolutions, N(1, 0.02) for the scale of batch normalisation."""
    kinds = (keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Dense)
    gammas = []
    for layer in page.generator.layers + page.discriminator.layers:
        if isinstance(layer, kinds):
            kernel = keras.ops.convert_to_numpy(layer.kernel)
            assert abs(kernel.mean()) < 4 * 0.02 / np.sqrt(kernel.size)
            assert kernel.std() == pytest.approx(0.02, rel=4 / np.sqrt(2 * kernel.size))
        if isinstance(layer, keras.layers.BatchNormalization):
            gammas.append(keras.ops.convert_to_numpy(layer.gamma))
            assert layer.epsilon == 1e-3  # Keras' own, not a momentum in its place
    gammas = np.concatenate(gammas)
    assert gammas.mean() == pytest.approx(1, abs=0.01)
    assert gammas.std() == pytest.approx(0.02, rel=0.2)


def test_guidelines(page):
    """No pooling, no hidden dense layer, batch normalisation but at the ends, even overlap."""
    g, d = page.generator.layers, page.discriminator.layers
    kinds = [type(layer).__name__ for layer in g + d]
    assert not [kind for kind in kinds if "Pool" in kind or "UpSampling" in kind]
    assert kinds.count("Dense") == 2
    assert type(d[-1]).__name__ == "Dense"
    assert all(
        layer.kernel_size[0] % layer.strides[0] == 0 for layer in g + d if hasattr(layer, "strides")
    )
    assert [layer.negative_slope for layer in d if "Leaky" in type(layer).__name__] == [
        pytest.approx(0.2)
    ] * 3
    assert "BatchNormalization" not in [type(layer).__name__ for layer in d[:4]]
    assert [type(layer).__name__ for layer in g].count("BatchNormalization") == 3


def test_discriminator_sees_noise_in_training_only(page):
    layer, x = page.discriminator.layers[0], tf.zeros((64, 28, 28, 1))
    assert np.std(layer(x, training=True)) == pytest.approx(page.NOISE, rel=0.02)
    np.testing.assert_array_equal(layer(x, training=False), x)


def test_batch_statistics_move():
    page = made()
    real = tf.random.stateless_uniform((page.BATCH_SIZE, 28, 28, 1), (1, 1), -1, 1)
    for network in page.generator, page.discriminator:
        before = [keras.ops.convert_to_numpy(v) for v in network.non_trainable_variables]
        assert before
        page.train_step(real)
        after = [keras.ops.convert_to_numpy(v) for v in network.non_trainable_variables]
        assert all(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_walk_stays_on_the_sphere_and_meets_its_ends(page):
    z0, z1 = tf.random.stateless_normal((2, page.LATENT_DIM), (0, 0))
    z1 *= tf.norm(z0) / tf.norm(z1)
    path = page.walk(z0, z1, stations=5)
    np.testing.assert_allclose(path[0], z0, atol=1e-5)
    np.testing.assert_allclose(path[-1], z1, atol=1e-5)
    np.testing.assert_allclose(tf.norm(path, axis=1), [float(tf.norm(z0))] * 5, rtol=1e-5)


def test_overlap_is_even_only_where_the_stride_divides_the_kernel():
    """What the picture shows: 4, 6 and 9 patches a pixel with kernel 5, always 4 with kernel 4."""
    for kernel, expected in (5, {4, 6, 9}), (4, {4}):
        layer = keras.layers.Conv2DTranspose(1, kernel, 2, "same", kernel_initializer="ones")
        counts = keras.ops.convert_to_numpy(layer(tf.ones((1, 8, 8, 1))))[0, 2:-2, 2:-2]
        assert set(counts.ravel().astype(int)) == expected


def test_the_tracked_record_is_this_lesson(monkeypatch):
    """What `PRESET=long` shows was trained by what stands here.

    With the data at hand, test_records.py opens it, on every version of Keras.
    """
    if sources.in_data_dir("mnist.npz"):
        pytest.skip("test_records.py opens it")
    monkeypatch.setenv("PRESET", "long")
    page = pages.Page("02_dcgan").definitions(*NAMES)
    parts = {name: getattr(page, name) for name in pages.PARTS}
    constants = runtime.constants(vars(page))
    average = {"generator": page.AVERAGE}
    trainer = training.Trainer("02_dcgan", page.train_step, constants, average, **parts)
    trainer.dataset = recorded_data(page, monkeypatch)
    trainer.steps_per_round = page.STEPS_PER_ROUND
    opened = record.load_record("02_dcgan", trainer.identity(), page.ROUNDS, without_the_data)
    assert opened is not None
    state, metrics = opened
    assert (metrics["preset"], metrics["standin"]) == ("long", False)
    assert len(json.loads(str(state["history"]))) == page.ROUNDS
    frames = sorted(name for name in state if name.startswith("frame/"))
    assert frames == [f"frame/{i:05d}" for i in range(page.ROUNDS + 1)]
    last = state[frames[-1]]
    assert (last.dtype, last.ndim) == ("uint8", 2)
    assert last.shape[0] > 8 * 28 <= last.shape[1]  # a grid of 64 digits, and its caption


def recorded_data(page, monkeypatch):
    """Return toy data that say they are those of the record."""
    found = run.read_json(record.record_folder("02_dcgan") / "run.json")["data"]
    images = np.full((page.BATCH_SIZE, 28, 28, 1), 255, "uint8")
    monkeypatch.setattr(datasets.ImageData, "identity", lambda self: found)
    return datasets.ImageData(
        name="MNIST",
        standin=False,
        batch_size=page.BATCH_SIZE,
        seed=page.SEED,
        images=images,
        labels=np.zeros(page.BATCH_SIZE, "int64"),
    )


def without_the_data():
    pytest.skip("other versions, which a first update on MNIST would tell")


def described(network):
    """What a network computes, and how its weights are drawn, whatever they are."""
    owned = {f"{i:03d}": variable for i, variable in enumerate(network.variables)}
    shape = (8, *network.input_shape[1:])
    both = tf.function(lambda x: [network(x, training=training) for training in (True, False)])
    graph = both.get_concrete_function(tf.TensorSpec(shape)).graph
    drawn = [
        (key, value["class_name"], value["config"])
        for layer in network.layers
        for key, value in layer.get_config().items()
        if key.endswith("_initializer")
    ]
    return fingerprint.computed(graph, owned), drawn


def test_a_description_tells_networks_apart():
    keras.utils.set_random_seed(1)
    same = [described(toy.networks()[1]) for _ in range(2)]
    assert same[0] == same[1]
    slope = described(toy.networks(activation=keras.layers.ReLU)[1])
    width = described(toy.networks(width=4)[1])
    normal = keras.layers.Dense(1, kernel_initializer="random_normal")
    plain = keras.layers.Dense(1)
    dense = [described(keras.Sequential([keras.Input((3,)), x])) for x in (plain, normal)]
    assert slope[0] != same[0][0] != width[0]
    assert dense[0][0] == dense[1][0]
    assert dense[0] != dense[1]
