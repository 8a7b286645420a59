"""Seconds of training until the digits are good: lesson 02 against TensorFlow's DCGAN tutorial.

    python -m benchmarks.time_to_quality

Both train on real MNIST in float32, in turns, so that whatever else the machine does slows both.
After each round of lesson 02 and each epoch of the tutorial 10,000 samples are scored: their
Fréchet distance as a multiple of the floor (utils/metrics.py). A time is the number of updates
times the median seconds of an update. Can be stopped, and goes on when it is run again.
"""

from __future__ import annotations

import csv
import os
import statistics
import time
from collections.abc import Callable

os.environ |= {"PRESET": "long", "PRECISION": "float32", "STANDIN": "never"}

import keras
import tensorflow as tf
from keras import layers

from tests import pages
from utils import datasets, metrics, runtime, steps, training

THRESHOLDS = (300, 100, 50, 20, 10)
EPOCHS = 50  # of the tutorial
SEED = 1


class StepTimes(keras.callbacks.Callback):
    """Appends to step_seconds.csv the median seconds of an update in each round."""

    def __init__(self, trainer: training.Trainer) -> None:
        super().__init__()
        self.trainer = trainer

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.ends.append(time.perf_counter())

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        median = statistics.median(b - a for a, b in zip(self.ends, self.ends[1:], strict=False))
        with (self.trainer.folder / "step_seconds.csv").open("a", newline="") as file:
            csv.writer(file).writerow([epoch + 1, median])


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
    rng = tf.random.Generator.from_seed(SEED)
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
    return trainer, dataset, EPOCHS, dataset.steps_per_epoch


def lesson() -> tuple[training.Trainer, datasets.ImageData, int, int]:
    """Build what lesson 02 trains, from its page, at `long`."""
    names = ("generator", "discriminator", "g_optimizer", "d_optimizer", "rng")
    keras.utils.set_random_seed(SEED)
    page = pages.definitions("02_dcgan", {*names, "cross_entropy", "stride_2"})
    parts = {name: getattr(page, name) for name in names}
    step = steps.gan_step(
        *list(parts.values())[:4],
        page.generator_loss,
        page.discriminator_loss,
        page.rng,
        page.BATCH_SIZE,
        page.LATENT_DIM,
    )
    trainer = training.Trainer(
        "benchmarks/lesson_02",
        step,
        constants=runtime.constants(vars(page)),
        average={"generator": page.AVERAGE},
        **parts,
    )
    dataset = datasets.mnist(page.BATCH_SIZE, page.SEED)
    return trainer, dataset, page.ROUNDS, page.STEPS_PER_ROUND


def seconds_to(threshold: float, trainer: training.Trainer, seconds: float) -> str:
    """Return the seconds of training until the score first was at a threshold or below."""
    for row in trainer.history:
        if row["score"] <= threshold:
            return f"{row['step'] * seconds:,.0f} s"
    return "not reached"


def main() -> None:
    """Train in turns, then print the table in Markdown."""
    runtime.start(SEED)
    evaluation: metrics.Evaluation | None = None
    z = tf.random.stateless_normal((10_000, 100), seed=(SEED, 3))
    sides = {"TensorFlow's tutorial": tutorial(), "lesson 02": lesson()}
    _, dataset, _, _ = sides["lesson 02"]
    test = datasets.mnist(split="test")
    evaluation = metrics.Evaluation(metrics.digit_classifier(), dataset.images, test.images)

    def score_of(trainer: training.Trainer) -> Callable[[], float]:
        network = trainer.averaged["generator"]
        return lambda: evaluation.frechet(metrics.in_batches(network, z))

    for turn in range(1, EPOCHS + 1):
        for trainer, dataset, rounds, steps_per_round in sides.values():
            network, goal = trainer.averaged["generator"], -(-rounds * turn // EPOCHS)
            trainer.fit(
                dataset,
                goal,
                steps_per_round,
                lambda network=network: network(z[:16], training=False),
                score=score_of(trainer),
                callbacks=[StepTimes(trainer)],
            )
            if len(trainer.history) < goal:
                return  # interrupted

    seconds = {}
    for name, (trainer, *_) in sides.items():
        lines = (trainer.folder / "step_seconds.csv").read_text().splitlines()
        seconds[name] = statistics.median(float(line.split(",")[1]) for line in lines)
    print(f"\n{runtime.device()}, float32, {runtime.versions()}\n")
    print("| | " + " | ".join(sides) + " |\n|---" * (1 + len(sides)) + "|")
    rows = {f"to {t} × floor": [] for t in THRESHOLDS}
    for threshold, row in zip(THRESHOLDS, rows.values(), strict=True):
        row += [seconds_to(threshold, t, seconds[name]) for name, (t, *_) in sides.items()]
    rows["updates"] = [f"{t.history[-1]['step']:,}" for t, *_ in sides.values()]
    rows["seconds an update, median"] = [f"{s:.4f}" for s in seconds.values()]
    for word, pick in ("best", min), ("final", lambda scores: scores[-1]):
        found = [pick([row["score"] for row in t.history]) for t, *_ in sides.values()]
        rows[f"{word}, × floor"] = [f"{score:.1f}" for score in found]
    for label, cells in rows.items():
        print(f"| {label} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
