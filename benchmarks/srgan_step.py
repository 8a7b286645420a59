"""Seconds a step: lesson 09 against the same step written plainly, and the share of waiting.

    python -m benchmarks.srgan_step

The plain step is that of many public repositories: D is trained on crops that G makes for it,
then G makes them again for its own update, and D judges them again. Same networks, batch and
crops, in turns, in float32 and in the default precision. Nothing else may run. Real photographs
are needed for the share of waiting.
"""

from __future__ import annotations

import os
import statistics
import time

os.environ |= {"PRESET": "quick", "STANDIN": "never"}

import keras
import tensorflow as tf

from tests import pages
from utils import features, runtime, superresolution

PAGE = "drafts/09_srgan"
TURNS = 15


def lesson():
    """Return the page's definitions with the networks of the paper's size."""
    page = pages.definitions(PAGE, ("cross_entropy", "mean_square"))
    page.content = features.content_network()
    page.generator = page.srresnet(64, 16, page.BATCH_NORM)
    page.discriminator = page.crop_discriminator(96, 64)
    page.optimizer, page.g_optimizer = (page.adam(page.generator, 1e-4, 1) for _ in range(2))
    page.d_optimizer = page.adam(page.discriminator, 1e-4, 1)
    return page


def plain(page):
    """Return the second stage's step with a pass of its own for each loss."""
    generator, discriminator, content = page.generator, page.discriminator, page.content
    optimizers = [page.adam(network, 1e-4, 1) for network in (generator, discriminator)]
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    def train_step(batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        lr, hr = batch
        sr = generator(lr, training=True)
        with tf.GradientTape() as tape:
            real, fake = discriminator(hr, training=True), discriminator(sr, training=True)
            d_loss = cross_entropy(tf.ones_like(real), real)
            d_loss += cross_entropy(tf.zeros_like(fake), fake)
        variables = discriminator.trainable_variables
        optimizers[1].apply(tape.gradient(d_loss, variables), variables)
        with tf.GradientTape() as tape:
            sr = generator(lr, training=True)
            fake = discriminator(sr, training=True)
            loss = tf.reduce_mean(tf.square(content(hr) - content(sr)))
            loss += 1e-3 * cross_entropy(tf.ones_like(fake), fake)
        variables = generator.trainable_variables
        optimizers[0].apply(tape.gradient(loss, variables), variables)
        return {"d_loss": d_loss, "g_loss": loss}

    return train_step


def main() -> None:
    """Time all, print the tables in Markdown."""
    runtime.start(1)
    crops, _ = superresolution.crops(96, 16, 1)
    batch = next(iter(crops.from_step(0)))
    print("| precision | plain | lesson 09, second stage | ratio | first stage |")
    print("|---|---|---|---|---|")
    for precision in dict.fromkeys(("float32", runtime.training_precision())):
        page = lesson()
        steps = {"plain": plain(page), "second": page.train_step, "first": page.mse_step}
        steps = {name: tf.function(step) for name, step in steps.items()}
        found = {name: [] for name in steps}
        with runtime.precision(precision):
            for turn in range(TURNS + 1):
                for name, step in steps.items():
                    began = time.perf_counter()
                    [float(x) for x in step(batch).values()]
                    if turn:  # the first compiles
                        found[name].append(time.perf_counter() - began)
            a, b, c = (statistics.median(x) for x in found.values())
            print(f"| {precision} | {a:.3f} s | {b:.3f} s | {a / b:.2f} | {c:.3f} s |", flush=True)
            waited, began, data = 0.0, time.perf_counter(), iter(crops.from_step(0))
            for _ in range(TURNS):
                asked = time.perf_counter()
                batch = next(data)
                waited += time.perf_counter() - asked
                [float(x) for x in steps["first"](batch).values()]
            share = waited / (time.perf_counter() - began)
            print(f"\n{precision}: {share:.1%} of the first stage is spent waiting for crops\n")
    print(f"\n{runtime.device()}, {runtime.versions()}, {page.content.name}")


if __name__ == "__main__":
    main()
