"""Seconds of training until the digits are good: lesson 02 against three public tutorials.

    python -m benchmarks.time_to_quality [HOURS [SIDE ...]]

TensorFlow's DCGAN tutorial, the GAN of Keras' guide and Keras' example of WGAN-GP, with their own
networks and settings, and lesson 02 train on real MNIST in float32. After each epoch of a tutorial
(of the example of WGAN-GP: after each sixth of one) and each round of lesson 02, 10,000 samples
are scored: their Fréchet distance as a multiple of the floor (utils/evaluation.py). A side ends
when it has reached the last threshold, or after so many hours (1 by default). Then updates of all
are timed in turns; a time is the number of updates times the median seconds of one. Can be
stopped, and goes on when it is run again; nothing else may run while it times. Sides: tutorial,
guide, wgan_gp, lesson; all by default.
"""

from __future__ import annotations

import functools
import os
import statistics
import sys
import time
from collections.abc import Callable

import keras
import tensorflow as tf
from keras import layers

from benchmarks import timing
from benchmarks.speedrun import trainer_of
from benchmarks.steps import plain_wgan_gp
from tools import pages
from utils import datasets, device, runtime, training
from utils.evaluation import Evaluation, digit_classifier, in_batches

THRESHOLDS = (300, 100, 50, 20, 10)
EPOCHS = 50  # of a tutorial
SEED = 1
Side = tuple[training.Trainer, datasets.ImageData, int, int]  # rounds, steps a round


def parts_of(
    generator: keras.Model, discriminator: keras.Model, rate: float, **betas: float
) -> dict:
    """Return the parts of a tutorial's Trainer: both networks, Adam for each, and what draws z."""
    parts = {"generator": generator, "discriminator": discriminator}
    for name, network in ("g_optimizer", generator), ("d_optimizer", discriminator):
        parts[name] = keras.optimizers.Adam(rate, **betas)
        parts[name].build(network.trainable_variables)
    return parts | {"rng": device.generator(SEED)}


def tutorial() -> Side:
    """Build what https://www.tensorflow.org/tutorials/generative/dcgan trains."""
    keras.utils.set_random_seed(SEED)
    dataset = datasets.mnist(batch_size=256, seed=SEED)
    slope = {"negative_slope": 0.3}
    wide = {"padding": "same", "use_bias": False}
    generator = keras.Sequential(
        [
            layers.Input((100,)),
            layers.Dense(7 * 7 * 256, use_bias=False),
            layers.BatchNormalization(),
            layers.LeakyReLU(**slope),
            layers.Reshape((7, 7, 256)),
            layers.Conv2DTranspose(128, 5, 1, **wide),
            layers.BatchNormalization(),
            layers.LeakyReLU(**slope),
            layers.Conv2DTranspose(64, 5, 2, **wide),
            layers.BatchNormalization(),
            layers.LeakyReLU(**slope),
            layers.Conv2DTranspose(1, 5, 2, **wide, activation="tanh"),
        ]
    )
    discriminator = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(64, 5, 2, "same"),
            layers.LeakyReLU(**slope),
            layers.Dropout(0.3),
            layers.Conv2D(128, 5, 2, "same"),
            layers.LeakyReLU(**slope),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    parts = parts_of(generator, discriminator, 1e-4)
    g_optimizer = parts["g_optimizer"]
    d_optimizer = parts["d_optimizer"]
    rng = parts["rng"]
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    def train_step(real: tf.Tensor) -> dict[str, tf.Tensor]:
        noise = rng.normal((256, 100))
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = generator(noise, training=True)
            real_logits = discriminator(real, training=True)
            fake_logits = discriminator(fake, training=True)
            g_loss = cross_entropy(tf.ones_like(fake_logits), fake_logits)
            d_loss = cross_entropy(tf.ones_like(real_logits), real_logits)
            d_loss += cross_entropy(tf.zeros_like(fake_logits), fake_logits)
        for loss, tape, network, optimizer in (
            (g_loss, g_tape, generator, g_optimizer),
            (d_loss, d_tape, discriminator, d_optimizer),
        ):
            gradients = tape.gradient(loss, network.trainable_variables)
            optimizer.apply(gradients, network.trainable_variables)
        return {"d_loss": d_loss, "g_loss": g_loss}

    return public("tutorial", train_step, dataset, parts)


def public(name: str, train_step: Callable, dataset: datasets.ImageData, parts: dict) -> Side:
    """Return a public tutorial, which shows its last weights, not averaged ones."""
    trainer = training.Trainer(
        f"benchmarks/{name}",
        train_step,
        constants={"SEED": SEED},
        average={"generator": 0.0},
        **parts,
    )
    return trainer, dataset, EPOCHS, len(dataset.images) // dataset.batch_size


def guide() -> Side:
    """Build the GAN of https://keras.io/guides/writing_a_custom_training_loop_in_tensorflow/.

    It has images in [0, 1], so a last layer brings them to [-1, 1] and a first one back.
    """
    keras.utils.set_random_seed(SEED)
    dataset = datasets.mnist(batch_size=64, seed=SEED)
    slope = {"negative_slope": 0.2}
    generator = keras.Sequential(
        [
            layers.Input((128,)),
            layers.Dense(7 * 7 * 128),
            layers.LeakyReLU(**slope),
            layers.Reshape((7, 7, 128)),
            layers.Conv2DTranspose(128, 4, 2, padding="same"),
            layers.LeakyReLU(**slope),
            layers.Conv2DTranspose(128, 4, 2, padding="same"),
            layers.LeakyReLU(**slope),
            layers.Conv2D(1, 7, padding="same", activation="sigmoid"),
            layers.Rescaling(2.0, -1.0),
        ]
    )
    discriminator = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Rescaling(0.5, 0.5),
            layers.Conv2D(64, 3, 2, "same"),
            layers.LeakyReLU(**slope),
            layers.Conv2D(128, 3, 2, "same"),
            layers.LeakyReLU(**slope),
            layers.GlobalMaxPooling2D(),
            layers.Dense(1),
        ]
    )
    parts = parts_of(generator, discriminator, 3e-4)
    g_optimizer = parts["g_optimizer"]
    d_optimizer = parts["d_optimizer"]
    rng = parts["rng"]
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    def train_step(real: tf.Tensor) -> dict[str, tf.Tensor]:
        fake = generator(rng.normal((64, 128)), training=True)
        labels = tf.concat([tf.ones((64, 1)), tf.zeros((64, 1))], 0)  # 1: fake
        labels += 0.05 * rng.uniform((128, 1))  # as the guide has it
        with tf.GradientTape() as tape:
            logits = discriminator(tf.concat([fake, real], 0), training=True)
            d_loss = cross_entropy(labels, logits)
        gradients = tape.gradient(d_loss, discriminator.trainable_variables)
        d_optimizer.apply(gradients, discriminator.trainable_variables)
        z = rng.normal((64, 128))
        with tf.GradientTape() as tape:
            logits = discriminator(generator(z, training=True), training=True)
            g_loss = cross_entropy(tf.zeros((64, 1)), logits)
        gradients = tape.gradient(g_loss, generator.trainable_variables)
        g_optimizer.apply(gradients, generator.trainable_variables)
        return {"d_loss": d_loss, "g_loss": g_loss}

    return public("guide", train_step, dataset, parts)


def wgan_gp() -> Side:
    """Build what https://keras.io/examples/generative/wgan_gp trains, on MNIST.

    Each update of G follows three of the critic (benchmarks/steps.py).
    """
    keras.utils.set_random_seed(SEED)
    dataset = datasets.mnist(batch_size=512, seed=SEED)
    critic = keras.Sequential([layers.Input((28, 28, 1)), layers.ZeroPadding2D(2)])
    for channels, rate in (64, 0.0), (128, 0.3), (256, 0.3), (512, 0.2):
        critic.add(layers.Conv2D(channels, 5, 2, "same"))
        critic.add(layers.LeakyReLU(negative_slope=0.2))
        if channels == 512:
            critic.add(layers.Flatten())
        if rate:
            critic.add(layers.Dropout(rate))
    critic.add(layers.Dense(1))
    generator = keras.Sequential([layers.Input((128,)), layers.Dense(4 * 4 * 256, use_bias=False)])
    generator.add(layers.BatchNormalization())
    generator.add(layers.LeakyReLU(negative_slope=0.2))
    generator.add(layers.Reshape((4, 4, 256)))
    for channels in 128, 64, 1:
        generator.add(layers.UpSampling2D())
        generator.add(layers.Conv2D(channels, 3, padding="same", use_bias=False))
        generator.add(layers.BatchNormalization())
        last = channels == 1
        generator.add(layers.Activation("tanh") if last else layers.LeakyReLU(negative_slope=0.2))
    generator.add(layers.Cropping2D(2))
    parts = parts_of(generator, critic, 2e-4, beta_1=0.5, beta_2=0.9)
    optimizers = parts["g_optimizer"], parts["d_optimizer"]
    train_step = plain_wgan_gp(generator, critic, *optimizers, parts["rng"], 512, 128, updates=3)
    trainer, *_ = public("wgan_gp", train_step, dataset, parts)
    return trainer, dataset, 6 * 20, 20  # 20 epochs, as there


def lesson() -> Side:
    """Build what lesson 02 trains, from its page, at `long`."""
    keras.utils.set_random_seed(SEED)
    trainer, page = trainer_of(pages.Page("02_dcgan"), "benchmarks/lesson_02")
    dataset = datasets.mnist(page.BATCH_SIZE, page.SEED)
    return trainer, dataset, page.ROUNDS, page.STEPS_PER_ROUND


SIDES = {"tutorial": tutorial, "guide": guide, "wgan_gp": wgan_gp, "lesson": lesson}


def seconds_an_update(trainers: list[training.Trainer], batches: list[tf.Tensor]) -> list[float]:
    """Return each side's median over 15 turns. Moves the weights, saves nothing.

    A turn has 20 updates, or as few as the slowest side makes in half a minute.
    """
    slowest = max(t.history[-1]["seconds"] / t.history[-1]["step"] for t in trainers)
    calls = max(1, min(20, int(30 / slowest)))
    updates = {}
    for i, (trainer, batch) in enumerate(zip(trainers, batches, strict=True)):
        updates[i] = functools.partial(trainer._compiled(), batch)  # as it trained
    return [statistics.median(x) for x in timing.in_turns(updates, turns=15, calls=calls).values()]


def seconds_to(threshold: float, trainer: training.Trainer, seconds: float) -> str:
    """Return the seconds of training until the score first was at a threshold or below."""
    for row in trainer.history:
        if row["score"] <= threshold:
            return f"{row['step'] * seconds:,.0f} s"
    return "not reached"


def best(trainer: training.Trainer) -> float:
    """Return the best score so far."""
    return min(row["score"] for row in trainer.history)


def train(side: Side, evaluation: Evaluation, hours: float) -> None:
    """Train until the last threshold is reached, or for so many hours, scoring every round.

    Raises:
        KeyboardInterrupt: the training was interrupted.
    """
    trainer, dataset, rounds, steps_per_round = side
    network = trainer.averaged["generator"]
    z = tf.random.stateless_normal((10_000, network.input_shape[-1]), seed=(SEED, 3))
    ends = time.monotonic() + 3600 * hours
    for goal in range(1, rounds + 1):
        trainer.fit(
            dataset,
            goal,
            steps_per_round,
            lambda: network(z[:16], training=False),
            score=lambda: evaluation.frechet(in_batches(network, z)),
        )
        if len(trainer.history) < goal:
            raise KeyboardInterrupt
        if best(trainer) <= THRESHOLDS[-1] or time.monotonic() > ends:
            return


def main(hours: str = "1", *names: str) -> None:
    """Train some sides or all, time them, then print the table in Markdown."""
    runtime.start(SEED)
    sides = {name: SIDES[name]() for name in names or SIDES}
    digits, test = datasets.mnist(), datasets.mnist(split="test")
    evaluation = Evaluation(digit_classifier(), digits.images, test.images)
    for side in sides.values():
        train(side, evaluation, float(hours))

    trainers = [trainer for trainer, *_ in sides.values()]
    batches = [next(iter(dataset.from_step(0))) for _, dataset, *_ in sides.values()]
    seconds = seconds_an_update(trainers, batches)
    rows = {
        f"to {threshold} × floor": [
            seconds_to(threshold, *pair) for pair in zip(trainers, seconds, strict=True)
        ]
        for threshold in THRESHOLDS
    }
    rows["updates"] = [f"{t.history[-1]['step']:,}" for t in trainers]
    rows["seconds an update, median"] = [f"{s:.4f}" for s in seconds]
    rows["best until then, × floor"] = [f"{best(t):.1f}" for t in trainers]
    print(f"\n{device.name()}, float32, {runtime.versions()}\n")
    print("| | " + " | ".join(sides) + " |\n" + "|---" * (1 + len(sides)) + "|")
    for label, cells in rows.items():
        print(f"| {label} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    os.environ |= {"PRESET": "long", "PRECISION": "float32", "STANDIN": "never"}
    main(*sys.argv[1:])
