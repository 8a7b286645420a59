"""Which loss trains which network: seven networks, three losses, for lesson 05.

    python -m benchmarks.which_networks [NUMBER ...]

Listed, with all settings, before the first was trained. Each loss has the step of its lesson
(02, 04, 05) and one seed. Learning rates are constant: of RATES, each loss has the one that is
best on lesson 02's networks after TRIED updates of G, measured on training digits that were held
out. Then all three train lesson 02's networks, until each has had 20 x or less once: the updates
of G that this takes are the length for all networks. Where one does not get there in MOST updates,
the limit is 50 x for all.

Each run is scored EVERY updates of G, and can be stopped: it goes on when the command is run again.
With numbers (0 to 20), only these runs of the table are trained. The tables are printed, and the
failures' digits are written to outputs/gallery/05_networks.png.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import sys
from collections.abc import Callable

os.environ |= {"PRESET": "long", "STANDIN": "never"}

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tools import pages
from utils import datasets, device, evaluation, images, panel, run, runtime, steps, tables, training
from utils.layers import dcgan_discriminator, dcgan_generator
from utils.options import ROOT, output_dir

FOLDER = output_dir() / "benchmarks" / "which_networks"
LESSONS = {"cross-entropy": "02_dcgan", "least squares": "04_lsgan", "Wasserstein": "05_wgan_gp"}
NETWORKS = (
    "lesson 02's networks",
    "no batch norm",
    "dense D",
    "deeper",
    "rate x 4",
    "Adam with .9",
    "tanh in D",
)
RATES = 5e-4, 1e-3, 2e-3
TRIED, MOST, EVERY = 2000, 12_000, 500  # updates of G
SEED = 1
AVERAGE = 0.999
HELD_OUT = 10_000  # training digits
DRAWN = 32  # digits of a failure in the picture


@functools.cache
def page_of(loss: str) -> object:
    """Return the definitions of the page that a loss is from."""
    wanted = ("generator_loss", "critic_loss" if loss == "Wasserstein" else "discriminator_loss")
    return pages.Page(LESSONS[loss]).definitions(*wanted)


def build(loss: str, network: str) -> tuple[keras.Model, keras.Model]:
    """Build G and D, or the critic, which has no noise and no batch normalisation."""
    keras.utils.set_random_seed(SEED)
    page = page_of(loss)
    is_critic = loss == "Wasserstein"
    noise = 0.0 if is_critic else page.NOISE
    batch_norm = network != "no batch norm"
    generator = dcgan_generator(page.LATENT_DIM, page.CHANNELS, batch_norm)
    discriminator = dcgan_discriminator(page.CHANNELS, noise, batch_norm and not is_critic)
    if network == "dense D":
        discriminator = dense(noise)
    if network == "deeper":
        generator, discriminator = (deeper(x) for x in (generator, discriminator))
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
            found.append(layers.Conv2D(channels, 3, padding="same", kernel_initializer=initial))
            found += [layers.BatchNormalization()] if has_norm else []
            found.append(type(layer).from_config(layer.get_config() | {"name": None}))
    return keras.Sequential(found)


def with_tanh(network: keras.Model) -> keras.Model:
    """Exchange each LeakyReLU for tanh."""
    found = [
        layers.Activation("tanh") if isinstance(layer, layers.LeakyReLU) else layer
        for layer in network.layers
    ]
    return keras.Sequential([layers.Input(network.input_shape[1:]), *found])


def trainer_of(loss: str, network: str, rate: float, name: str) -> training.Trainer:
    """Return a Trainer with the step of the loss's lesson and a constant rate."""
    page = page_of(loss)
    generator, discriminator = build(loss, network)
    rate *= 4 if network == "rate x 4" else 1
    beta_1 = 0.9 if network == "Adam with .9" else page.BETA_1
    rates = {"g_optimizer": rate, "d_optimizer": rate * getattr(page, "CRITIC_FASTER", 1)}
    parts = {"generator": generator, "discriminator": discriminator}
    for kind, model in zip(rates, (generator, discriminator), strict=True):
        parts[kind] = keras.optimizers.Adam(rates[kind], beta_1=beta_1, beta_2=page.BETA_2)
        parts[kind].build(model.trainable_variables)
    parts["rng"] = device.generator(SEED)
    constants = runtime.constants(vars(page)) | {"SEED": SEED, "XLA": page.XLA}
    return training.Trainer(
        name, step_of(loss, parts), constants, average={"generator": AVERAGE}, **parts
    )


def step_of(loss: str, parts: dict) -> Callable:
    """Return the training step of the loss's lesson."""
    page = page_of(loss)
    if loss == "Wasserstein":
        given = {name: parts[name] for name in ("generator", "g_optimizer", "d_optimizer", "rng")}
        given["critic"] = parts["discriminator"]
        return pages.Page(LESSONS[loss]).definitions("train_step", **given).train_step
    probability = tf.sigmoid if loss == "cross-entropy" else tf.identity
    return steps.gan_step(
        *(parts[name] for name in pages.PARTS[:4]),
        page.generator_loss,
        page.discriminator_loss,
        parts["rng"],
        page.BATCH_SIZE,
        page.LATENT_DIM,
        page.G_UPDATES,
        probability,
    )


def data(loss: str, held_out: bool) -> tuple[datasets.ImageData, np.ndarray]:
    """Return the training digits and those that scores compare with."""
    page = page_of(loss)
    found = datasets.mnist(page.BATCH_SIZE * getattr(page, "N_CRITIC", 1), seed=SEED)
    if not held_out:
        return found, datasets.mnist(split="test").images
    kept = {"images": found.images[:-HELD_OUT], "labels": found.labels[:-HELD_OUT]}
    return dataclasses.replace(found, **kept), found.images[-HELD_OUT:]


def train(
    loss: str, network: str, rate: float, updates: int, held_out: bool = False
) -> tuple[list[float], training.Trainer]:
    """Train, go on, or open, and return the scores, one each EVERY updates of G."""
    page = page_of(loss)
    name = f"{loss}_{network}_{rate:g}{'_held_out' * held_out}".replace(" ", "_").replace("'", "")
    trainer = trainer_of(loss, network, rate, name)
    dataset, real = data(loss, held_out)
    measured = evaluation.Evaluation(evaluation.digit_classifier(), dataset.images, real)
    averaged = trainer.averaged["generator"]
    fixed_z = tf.random.stateless_normal((DRAWN, page.LATENT_DIM), (SEED, 1))

    def sample() -> tf.Tensor:
        return averaged(fixed_z, training=False)

    def score() -> float:
        drawn = evaluation.draw(averaged, measured.n, page.LATENT_DIM, seed=(SEED, 3))
        return measured.frechet(drawn)

    each = EVERY // getattr(page, "G_UPDATES", 1)
    game = {"cross-entropy": panel.CROSS_ENTROPY, "least squares": panel.LEAST_SQUARES}
    options = {"game": game.get(loss, panel.WASSERSTEIN)}
    history = trainer.fit(dataset, updates // EVERY, each, sample, score, **options)
    return [row["score"] for row in history], trainer


def settled() -> dict:
    """Return the rate of each loss, the length and the limit; found once, then kept."""
    if known := run.read_json(FOLDER / "settled.json"):
        return known
    tried = {
        loss: {rate: train(loss, NETWORKS[0], rate, TRIED, held_out=True)[0][-1] for rate in RATES}
        for loss in LESSONS
    }
    rates = {loss: min(found, key=found.get) for loss, found in tried.items()}
    scores = {loss: train(loss, NETWORKS[0], rates[loss], MOST)[0] for loss in LESSONS}
    limit = 20 if all(min(found) <= 20 for found in scores.values()) else 50
    needed = [next(i for i, x in enumerate(found) if x <= limit) for found in scores.values()]
    tried = {loss: {str(rate): x for rate, x in found.items()} for loss, found in tried.items()}
    found = {"rates": rates, "updates": (max(needed) + 1) * EVERY, "limit": limit, "tried": tried}
    run.write_json(FOLDER / "settled.json", found | {"scores": scores})
    return found


def main(numbers: list[str]) -> None:
    """Train all runs, or some; print the tables and draw the failures."""
    os.environ["OUTPUT_DIR"] = str(FOLDER)
    runtime.start(SEED)
    found = settled()
    print(found)
    updates, limit = found["updates"], found["limit"]
    runs = [*itertools.product(NETWORKS, LESSONS)]
    rows = {network: [network] for network in NETWORKS}
    failed = {}
    for number in map(int, numbers or range(len(runs))):
        network, loss = runs[number]
        scores, trainer = train(loss, network, found["rates"][loss], MOST)
        best = min(scores[: updates // EVERY])
        rows[network].append(f"{best:.1f}{'' if best <= limit else ' (fails)'}")
        print(network, loss, [round(x, 1) for x in scores], flush=True)
        if best > limit:
            failed[f"{network}, {loss}"] = np.asarray(trainer.sample())
    if numbers:
        return
    print(tables.markdown([f"best in {updates:,} updates of G", *LESSONS], list(rows.values())))
    if failed:
        drawn = np.concatenate([x[:16] for x in failed.values()])
        picture = images.frame(drawn, "after all updates", columns=16)
        images.save_png(ROOT / "outputs" / "gallery" / "05_networks.png", picture)
    print(f"\n{device.name()}, {device.training_precision()}")


if __name__ == "__main__":
    main(sys.argv[1:])
