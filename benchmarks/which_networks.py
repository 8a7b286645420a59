"""Which loss trains which network: seven networks, three losses, for lesson 05.

    python -m benchmarks.which_networks [NUMBER ...]

Listed, with all settings, before the first run was trained. Each loss has the networks, the step
and the settings of its lesson (02, 04, 05) at `quick`, a constant learning rate and seed 1. A run
is scored after every 1,000 updates of G, and ends when its score is at most 20 times the floor.

The first three runs train the unchanged networks, for at most 10,000 updates of G. Where all three
losses reach 20 x, this is the limit, else 50 x. The most updates that one of them needs are the
length for all runs; the most seconds (updates times the median of a step, all steps timed in
turns) are the time for all. A run that fails within the length goes on until its time is over, too.

A run can be stopped: it goes on when the command is run again. With numbers (0 to 20), only these
runs are trained. Without numbers the tables are printed, and a film strip of the runs that failed
is written to outputs/gallery/05_networks.png.
"""

from __future__ import annotations

import functools
import os
import statistics
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import imageio.v3 as imageio
import keras
import matplotlib.pyplot as plt
import tensorflow as tf
from keras import layers

from benchmarks import arms, timing
from tools import pages
from utils import datasets, device, evaluation, panel, run, runtime, steps, tables, training
from utils.layers import dcgan_discriminator, dcgan_generator
from utils.options import ROOT, output_dir

FOLDER = output_dir() / "benchmarks" / "which_networks"
LESSONS = {"cross-entropy": "02_dcgan", "least squares": "04_lsgan", "Wasserstein": "05_wgan_gp"}
GAMES = {
    "cross-entropy": panel.CROSS_ENTROPY,
    "least squares": panel.LEAST_SQUARES,
    "Wasserstein": panel.WASSERSTEIN,
}
NETWORKS = (
    "unchanged",
    "without batch norm",
    "dense D",
    "deeper",
    "rate x 4",
    "Adam with .9",
    "tanh in D",
)
RUNS = {f"{network}, {loss}": (network, loss) for network in NETWORKS for loss in LESSONS}
LIMITS = 20.0, 50.0  # times the floor
MOST, EVERY = 10_000, 1000  # updates of G
AVERAGED = 500  # updates of G that the averaged generator looks back on
SEED = 1
DRAWN = 16  # digits in a frame
TIMES = 3  # frames of a failure in the film strip


@functools.cache
def page_of(loss: str) -> ModuleType:
    """Return the definitions of the page that a loss is from."""
    losses = "generator_loss", "critic_loss" if loss == "Wasserstein" else "discriminator_loss"
    return pages.Page(LESSONS[loss]).definitions(*losses)


def g_updates(loss: str) -> int:
    """Return how often a step of this loss updates G."""
    return getattr(page_of(loss), "G_UPDATES", 1)


def build(network: str, loss: str) -> tuple[keras.Model, keras.Model]:
    """Build G, and D or the critic, which has no noise and no batch normalisation."""
    keras.utils.set_random_seed(SEED)
    page = page_of(loss)
    is_critic = loss == "Wasserstein"
    noise = 0.0 if is_critic else page.NOISE
    batch_norm = network != "without batch norm"
    generator = dcgan_generator(page.LATENT_DIM, page.CHANNELS, batch_norm)
    discriminator = dcgan_discriminator(page.CHANNELS, noise, batch_norm and not is_critic)
    if network == "dense D":
        discriminator = dense(noise)
    if network == "deeper":
        generator, discriminator = deeper(generator), deeper(discriminator)
    if network == "tanh in D":
        discriminator = with_tanh(discriminator)
    return generator, discriminator


def dense(noise: float) -> keras.Model:
    """Build a discriminator of dense layers, 512 and 256 units wide."""
    x = [layers.Input((28, 28, 1)), layers.Flatten()]
    x += [layers.GaussianNoise(noise)] if noise else []
    for units in 512, 256:
        x += [layers.Dense(units), layers.LeakyReLU(negative_slope=0.2)]
    return keras.Sequential([*x, layers.Dense(1)])


def deeper(network: keras.Model) -> keras.Model:
    """Put a 3 x 3 convolution after each activation on maps, with what follows the others."""
    found = [layers.Input(network.input_shape[1:])]
    has_norm = any(isinstance(x, layers.BatchNormalization) for x in network.layers)
    for layer in network.layers:
        found.append(layer)
        if isinstance(layer, layers.ReLU | layers.LeakyReLU):
            initial = keras.initializers.RandomNormal(stddev=0.02)
            channels = layer.output.shape[-1]
            conv = layers.Conv2D(channels, 3, padding="same", kernel_initializer=initial)
            norm = [layers.BatchNormalization()] if has_norm else []
            found += [conv, *norm, type(layer).from_config(layer.get_config() | {"name": None})]
    return keras.Sequential(found)


def with_tanh(network: keras.Model) -> keras.Model:
    """Exchange each LeakyReLU for tanh."""
    found = [
        layers.Activation("tanh") if isinstance(layer, layers.LeakyReLU) else layer
        for layer in network.layers
    ]
    return keras.Sequential([layers.Input(network.input_shape[1:]), *found])


def trainer_of(network: str, loss: str) -> training.Trainer:
    """Return a Trainer with the step of the loss's lesson and a constant rate."""
    page = page_of(loss)
    generator, discriminator = build(network, loss)
    rate = page.LEARNING_RATE * (4 if network == "rate x 4" else 1)
    beta_1 = 0.9 if network == "Adam with .9" else page.BETA_1
    parts = {"generator": generator, "discriminator": discriminator}
    for kind, model in ("g_optimizer", generator), ("d_optimizer", discriminator):
        parts[kind] = keras.optimizers.Adam(rate, beta_1=beta_1, beta_2=page.BETA_2)
        parts[kind].build(model.trainable_variables)
    parts["rng"] = device.generator(SEED)
    decay = 1 - g_updates(loss) / AVERAGED
    name = f"{network}, {loss}".replace(", ", "_").replace(" ", "_")
    constants = {"XLA": page.XLA, "SEED": SEED}
    average = {"generator": decay}
    return training.Trainer(name, step_of(loss, parts), constants, average, **parts)


def step_of(loss: str, parts: dict[str, Any]) -> Callable:
    """Return the training step of the loss's lesson, over these parts."""
    page = page_of(loss)
    if loss == "Wasserstein":
        given = {name: parts[name] for name in ("generator", "g_optimizer", "d_optimizer", "rng")}
        given["critic"] = parts["discriminator"]
        return pages.Page(LESSONS[loss]).definitions("train_step", **given).train_step
    return steps.gan_step(
        *(parts[name] for name in pages.PARTS[:4]),
        page.generator_loss,
        page.discriminator_loss,
        parts["rng"],
        page.BATCH_SIZE,
        page.LATENT_DIM,
        page.G_UPDATES,
        tf.sigmoid if loss == "cross-entropy" else tf.identity,
    )


def data(loss: str) -> datasets.Dataset:
    """Return the training digits in the batches of the loss's step."""
    page = page_of(loss)
    return datasets.mnist(page.BATCH_SIZE * getattr(page, "N_CRITIC", 1), seed=SEED)


class Reached(keras.callbacks.Callback):
    """Ends the training at a score."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit = limit

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Compare."""
        if (logs or {})["score"] <= self.limit:
            self.model.stop_training = True


def train(network: str, loss: str, updates: int, limit: float) -> dict[str, Any]:
    """Train, go on, or open a run; return its scores, one each EVERY updates of G, and frames."""
    page = page_of(loss)
    trainer = trainer_of(network, loss)
    dataset = data(loss)
    test = datasets.mnist(split="test")
    digits = evaluation.Evaluation(evaluation.digit_classifier(), dataset.images, test.images)
    averaged = trainer.averaged["generator"]
    fixed_z = tf.random.stateless_normal((DRAWN, page.LATENT_DIM), (SEED, 1))

    def sample() -> tf.Tensor:
        return averaged(fixed_z, training=False)

    def score() -> float:
        return digits.frechet(evaluation.draw(averaged, digits.n, page.LATENT_DIM, (SEED, 3)))

    length = updates // EVERY, EVERY // g_updates(loss)
    options = {"game": GAMES[loss], "callbacks": [Reached(limit)]}
    history = trainer.fit(dataset, *length, sample, score, **options)
    return {
        "scores": [row["score"] for row in history],
        "frames": [str(path) for path in trainer.frames],
    }


def seconds_an_update() -> dict[str, float]:
    """Return the median seconds of an update of G of all runs, timed in turns; once, then kept."""
    file = FOLDER / "seconds.json"
    if known := run.read_json(file):
        return known
    calls = {}
    for name, (network, loss) in RUNS.items():
        trainer = trainer_of(network, loss)
        compiled = tf.function(trainer.step, jit_compile=trainer.xla)
        calls[name] = functools.partial(compiled, next(iter(data(loss).from_step(0))))
    found = timing.in_turns(calls, turns=7, calls=5)
    per_step = {name: statistics.median(seconds) for name, seconds in found.items()}
    seconds = {name: per_step[name] / g_updates(loss) for name, (_, loss) in RUNS.items()}
    run.write_json(file, seconds)
    return seconds


def needed(scores: list[float], limit: float) -> int | None:
    """Return the updates of G after which a score is at most the limit; None: after none."""
    reached = [i for i, score in enumerate(scores, start=1) if score <= limit]
    return reached[0] * EVERY if reached else None


def unchanged() -> dict[str, dict[str, Any]]:
    """Return what the first three runs found.

    Raises:
        FileNotFoundError: they are not trained yet.
    """
    found = {}
    for number, loss in enumerate(LESSONS):
        found[loss] = run.read_json(FOLDER / str(number) / "measured.json")
        if not found[loss]:
            raise FileNotFoundError(
                f"Run {number}, {NETWORKS[0]}, {loss}, decides the length of all others: train "
                "it first with `python -m benchmarks.which_networks 0 1 2`."
            )
    return found


def settled() -> tuple[float, int, float]:
    """Return the limit (times the floor), the length (updates of G) and the time (seconds).

    Raises:
        ValueError: a loss does not reach the larger limit on the unchanged networks.
    """
    scores = {loss: found["scores"] for loss, found in unchanged().items()}
    limits = [x for x in LIMITS if all(needed(s, x) for s in scores.values())]
    if not limits:
        raise ValueError(
            f"After {MOST:,} updates of G, a loss is not at {LIMITS[-1]:g} x: {scores}."
        )
    limit = limits[0]
    length = {loss: needed(found, limit) for loss, found in scores.items()}
    seconds = seconds_an_update()
    time = max(length[loss] * seconds[f"{NETWORKS[0]}, {loss}"] for loss in LESSONS)
    return limit, max(length.values()), time


def measured(name: str) -> dict[str, Any]:
    """Train a run as long as is settled."""
    runtime.start(SEED)
    network, loss = RUNS[name]
    if network == NETWORKS[0]:
        return train(network, loss, MOST, LIMITS[0])
    limit, length, time = settled()
    in_time = int(time / seconds_an_update()[name] // EVERY * EVERY)
    return train(network, loss, max(length, in_time), limit)


def cell(scores: list[float], limit: float, most: int) -> str:
    """Return after how many updates a run is at the limit, or that it is not, and its best."""
    counted = scores[: most // EVERY]
    if found := needed(counted, limit):
        return f"{found:,}"
    return f"no ({min(counted):.0f} ×)" if counted else "no (not scored)"


def film_strip(failed: dict[str, dict[str, Any]]) -> None:
    """Draw the digits of the runs that failed, at equal distances in time, two runs in a row."""
    rows = (len(failed) + 1) // 2
    figure, grid = plt.subplots(rows, 2 * TIMES, figsize=(11, 1.9 * rows), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    cells = grid.reshape(-1, TIMES)
    for row, (name, found) in zip(cells, failed.items(), strict=False):
        frames = found["frames"][1:]
        for column, axes in enumerate(row):
            number = (column + 1) * len(frames) // TIMES - 1
            axes.imshow(imageio.imread(frames[max(number, 0)]), cmap="gray")
        row[0].set_title(name, fontsize=9, loc="left")
    figure.tight_layout()
    figure.savefig(ROOT / "outputs" / "gallery" / "05_networks.png", dpi=64)


def main(numbers: list[str]) -> None:
    """Train; unless only some runs were asked for, print the tables and draw the failures."""
    found = arms.train(FOLDER, [*RUNS], numbers, arms.measured_once(measured))
    if numbers:
        return
    limit, length, time = settled()
    seconds = seconds_an_update()
    for title, most in (
        (f"at most {length:,} updates of G", dict.fromkeys(RUNS, length)),
        (f"at most {time:.0f} seconds", {name: int(time / s) for name, s in seconds.items()}),
    ):
        rows = []
        for network in NETWORKS:
            names = [f"{network}, {loss}" for loss in LESSONS]
            rows.append([network, *(cell(found[x]["scores"], limit, most[x]) for x in names)])
        columns = list(zip(*rows, strict=True))[1:]
        reached = [sum(not x.startswith("no") for x in column) for column in columns]
        rows.append(["reach it", *(f"{n} of {len(NETWORKS)}" for n in reached)])
        print(f"\nUpdates of G until {limit:g} x the floor, {title}:\n")
        print(tables.markdown(["", *LESSONS], rows))
    failed = {name: x for name, x in found.items() if not needed(x["scores"], limit)}
    if failed:
        film_strip(failed)
    for name, x in found.items():
        print(name, f"{1000 * seconds[name]:.1f} ms", [round(score, 1) for score in x["scores"]])
    print(f"\n{device.name()}, {device.training_precision()}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "quick", "STANDIN": "never"}
    main(sys.argv[1:])
