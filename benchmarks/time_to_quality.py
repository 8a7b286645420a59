"""Seconds of training until the digits are good: lesson 02 against TensorFlow's DCGAN tutorial.

    python -m benchmarks.time_to_quality

Both train on real MNIST in float32. After each epoch of the tutorial and each round of lesson 02
10,000 samples are scored: their Fréchet distance as a multiple of the floor (utils/evaluation.py).
A side ends within ten rounds of reaching the last threshold. Then updates of both are timed in
turns; a time is the number of updates times the median seconds of one. Can be stopped, and goes
on when it is run again; nothing else may run while it times.
"""

from __future__ import annotations

import functools
import os
import statistics

os.environ |= {"PRESET": "long", "PRECISION": "float32", "STANDIN": "never"}

import keras
import tensorflow as tf
from keras import layers

from benchmarks import timing
from benchmarks.speedrun import trainer_of
from tools import pages
from utils import datasets, device, runtime, training
from utils.evaluation import Evaluation, digit_classifier, in_batches

THRESHOLDS = (300, 100, 50, 20, 10)
EPOCHS = 50  # of the tutorial
SEED = 1


def tutorial() -> tuple[training.Trainer, datasets.ImageData, int, int]:
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
    g_optimizer, d_optimizer = keras.optimizers.Adam(1e-4), keras.optimizers.Adam(1e-4)
    g_optimizer.build(generator.trainable_variables)
    d_optimizer.build(discriminator.trainable_variables)
    rng = device.generator(SEED)
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

    trainer = training.Trainer(
        "benchmarks/tutorial",
        train_step,
        constants={"SEED": SEED},
        average={"generator": 0.0},  # the tutorial shows the last weights
        generator=generator,
        discriminator=discriminator,
        g_optimizer=g_optimizer,
        d_optimizer=d_optimizer,
        rng=rng,
    )
    return trainer, dataset, EPOCHS, len(dataset.images) // dataset.batch_size


def lesson() -> tuple[training.Trainer, datasets.ImageData, int, int]:
    """Build what lesson 02 trains, from its page, at `long`."""
    keras.utils.set_random_seed(SEED)
    trainer, page = trainer_of(pages.Page("02_dcgan"), "benchmarks/lesson_02")
    dataset = datasets.mnist(page.BATCH_SIZE, page.SEED)
    return trainer, dataset, page.ROUNDS, page.STEPS_PER_ROUND


def seconds_an_update(trainers: list[training.Trainer], batches: list[tf.Tensor]) -> list[float]:
    """Return each side's median over 15 turns of 20 updates. Moves the weights, saves nothing."""
    updates = {}
    for i, (trainer, batch) in enumerate(zip(trainers, batches, strict=True)):
        updates[i] = functools.partial(trainer._compiled(), batch)  # as it trained
    return [statistics.median(x) for x in timing.in_turns(updates, turns=15, calls=20).values()]


def seconds_to(threshold: float, trainer: training.Trainer, seconds: float) -> str:
    """Return the seconds of training until the score first was at a threshold or below."""
    for row in trainer.history:
        if row["score"] <= threshold:
            return f"{row['step'] * seconds:,.0f} s"
    return "not reached"


def best(trainer: training.Trainer) -> float:
    """Return the best score so far."""
    return min(row["score"] for row in trainer.history)


def main() -> None:
    """Train both, time both, then print the table in Markdown."""
    runtime.start(SEED)
    sides = {"TensorFlow's tutorial": tutorial(), "lesson 02": lesson()}
    digits, test = datasets.mnist(), datasets.mnist(split="test")
    evaluation = Evaluation(digit_classifier(), digits.images, test.images)
    z = tf.random.stateless_normal((10_000, 100), seed=(SEED, 3))
    for trainer, dataset, rounds, steps_per_round in sides.values():
        network = trainer.averaged["generator"]
        for goal in (*range(10, rounds, 10), rounds):
            trainer.fit(
                dataset,
                goal,
                steps_per_round,
                lambda network=network: network(z[:16], training=False),
                score=lambda network=network: evaluation.frechet(in_batches(network, z)),
            )
            if len(trainer.history) < goal:
                return  # interrupted
            if best(trainer) <= THRESHOLDS[-1]:
                break

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
    main()
