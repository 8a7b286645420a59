"""A GAN that trains in seconds, with dropout and batch normalisation, for the tests."""

import os

import imageio.v3 as iio
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from utils import datasets, device, runtime, steps, training
from utils.topics.faces import FaceData

BATCH, LATENT, STEPS = 8, 4, 5


def data(seed=3):
    """Return 50 images of noise: six full batches and two images over."""
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28, 1)).astype("uint8")
    return datasets.ImageData(
        name="noise",
        standin=False,
        batch_size=BATCH,
        seed=seed,
        images=images,
        labels=np.zeros(50, "int64"),
        split="all",
    )


def faces(batch_size=BATCH, attributes=5, size=64):
    """Return 50 colour images of noise with labels, half of which are mirrored."""
    rng = np.random.default_rng(0)
    return FaceData(
        name="noise",
        standin=False,
        batch_size=batch_size,
        seed=3,
        images=rng.integers(0, 256, (50, size, size, 3)).astype("uint8"),
        labels=rng.integers(0, 2, (50, attributes)).astype("float32"),
        classes=tuple(f"attribute {i}" for i in range(attributes)),
        numbers=np.arange(50),
        split="train",
        with_labels=True,
    )


def generator_loss(fake_logits):
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


def discriminator_loss(real_logits, fake_logits):
    return tf.reduce_mean(tf.nn.softplus(-real_logits) + tf.nn.softplus(fake_logits))


def leaky_relu():
    return layers.LeakyReLU(negative_slope=0.2)


def networks(width=8, sight=1.0, activation=leaky_relu):
    generator = keras.Sequential(
        [
            layers.Input((LATENT,)),
            layers.Rescaling(sight),
            layers.Dense(14 * 14 * width, use_bias=False),
            layers.BatchNormalization(),
            layers.Reshape((14, 14, width)),
            layers.Conv2DTranspose(1, 4, 2, "same", activation="tanh"),
        ]
    )
    discriminator = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(width, 4, 2, "same"),
            activation(),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    return generator, discriminator


def make(
    seed=1,
    width=8,
    rate=1e-3,
    d_rate=None,
    g_loss=generator_loss,
    d_loss=discriminator_loss,
    constants=None,
    lesson="toy",
    sight=1.0,
    record=None,
    activation=leaky_relu,
    before=lambda generator: None,
):
    """Return a Trainer of fresh networks, on toy data."""
    keras.utils.set_random_seed(seed)
    generator, discriminator = networks(width, sight, activation)
    before(generator)
    d_rate = rate if d_rate is None else d_rate
    g_optimizer, d_optimizer = keras.optimizers.Adam(rate), keras.optimizers.Adam(d_rate)
    g_optimizer.build(generator.trainable_variables)
    d_optimizer.build(discriminator.trainable_variables)
    rng = device.generator(seed)
    step = steps.gan_step(
        generator,
        discriminator,
        g_optimizer,
        d_optimizer,
        g_loss,
        d_loss,
        rng,
        BATCH,
        LATENT,
    )
    return training.Trainer(
        lesson,
        step,
        constants=constants or {"SEED": seed},
        average={"generator": 0.9},
        record=record,
        generator=generator,
        discriminator=discriminator,
        g_optimizer=g_optimizer,
        d_optimizer=d_optimizer,
        rng=rng,
    )


def fit(trainer, rounds, callbacks=(), steps=STEPS, averaged=None, **options):
    z = tf.random.stateless_normal((4, LATENT), seed=(0, 0))
    averaged = averaged or trainer.averaged["generator"]
    sample = lambda: averaged(z, training=False)  # noqa: E731
    return trainer.fit(data(), rounds, steps, sample, callbacks=callbacks, **options)


def straight_and_in_halves(make, dataset, steps=2):
    """Return the values after two rounds: of a run, and of one that a new Trainer went on with.

    Args:
        make: lesson -> a Trainer as it begins.
        dataset: what they are trained on.
        steps: a round.
    """
    sample = lambda: np.zeros((4, *dataset.images.shape[1:]))  # noqa: E731
    found = []
    for lesson, halves in ("straight", (2,)), ("halves", (1, 2)):
        for rounds in halves:
            keras.utils.clear_session()  # layers are called as in a new process
            trainer = make(lesson)
            trainer.fit(dataset, rounds, steps, sample)
        found.append(trainer.state.values())
    return found


def moved(step, networks):
    """Return which trainable variables of each network a step moves, a list of bool each."""
    before = [[v.numpy() for v in network.trainable_variables] for network in networks]
    step()
    return [
        [
            not np.array_equal(a, b.numpy())
            for a, b in zip(old, new.trainable_variables, strict=True)
        ]
        for old, new in zip(before, networks, strict=True)
    ]


def train(rounds, output, file, precision="float32"):
    """Train, and write all state to a file."""
    os.environ |= {"OUTPUT_DIR": output, "PRECISION": precision}
    runtime.start(1)
    trainer = make()
    averaged = trainer.averaged["generator"]
    z = tf.random.stateless_normal((8, LATENT), seed=(0, 1))
    # An image like no other is the best: the score goes up and down.
    score = lambda: float(np.sin(1e4 * np.mean(averaged(z, training=False))))  # noqa: E731
    fit(trainer, rounds, score=score)
    frames = {f"frame/{i}": iio.imread(path) for i, path in enumerate(trainer.frames)}
    np.savez(file, **frames, **trainer.state.values())


def train_all(runs):
    """Train one after another in one process: arguments of `train`."""
    for run in runs:
        train(*run)
