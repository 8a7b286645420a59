"""Seconds a step: lesson 07 against the step of TensorFlow's CycleGAN tutorial.

    python -m benchmarks.cyclegan_step

Both train the same networks, those of the paper (9 residual blocks at 256, 6 at 128), batch 1, on
the same random images, in turns, in float32 and in the default precision. Nothing else may run.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time

os.environ["PRESET"] = "smoke"

import keras
import tensorflow as tf

from tests import pages
from utils import runtime

PAGE = "07_cyclegan"
TURNS = {128: 9, 256: 5}
CALLS = {128: 3, 256: 1}


def lesson(size: int, identity: bool):
    """Return the page's step at a size of the paper, and its four networks."""
    values = {"IMAGE_SIZE": size, "WIDTH": 64, "BLOCKS": 9 if size == 256 else 6}
    values |= {"BATCH_SIZE": 1, "LAMBDA_IDENTITY": 5.0 * identity}
    changes = [
        (line, f"{line.split(' = ')[0]} = {values[line.split(' = ')[0]]}")
        for cell in pages.cells(PAGE)
        for line in cell.source.splitlines()
        if line.split(" = ")[0] in values
    ]
    page = pages.definitions(PAGE, pages.CYCLEGAN_NAMES, changes)
    return page.train_step, [getattr(page, name) for name in pages.CYCLEGAN_NETWORKS]


def tutorial(networks: list[keras.Model], identity: bool):
    """Return the step of https://www.tensorflow.org/tutorials/generative/cyclegan.

    One persistent tape, four losses, four gradients, four optimizers; cross-entropy, no pool.
    """
    g, f, d_x, d_y = networks
    optimizers = [keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in networks]
    for optimizer, network in zip(optimizers, networks, strict=True):
        optimizer.build(network.trainable_variables)
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    def of_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        loss = cross_entropy(tf.ones_like(real), real)
        return 0.5 * (loss + cross_entropy(tf.zeros_like(fake), fake))

    def distance(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.abs(x - y))

    def train_step(batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        real_x, real_y = batch
        with tf.GradientTape(persistent=True) as tape:
            fake_y = g(real_x, training=True)
            cycled_x = f(fake_y, training=True)
            fake_x = f(real_y, training=True)
            cycled_y = g(fake_x, training=True)
            real = d_x(real_x, training=True), d_y(real_y, training=True)
            fake = d_x(fake_x, training=True), d_y(fake_y, training=True)
            cycle = 10 * (distance(real_x, cycled_x) + distance(real_y, cycled_y))
            g_loss = cross_entropy(tf.ones_like(fake[1]), fake[1]) + cycle
            f_loss = cross_entropy(tf.ones_like(fake[0]), fake[0]) + cycle
            if identity:
                g_loss += 5 * distance(real_y, g(real_y, training=True))
                f_loss += 5 * distance(real_x, f(real_x, training=True))
            losses = [g_loss, f_loss, *map(of_discriminator, real, fake)]
        for loss, network, optimizer in zip(losses, networks, optimizers, strict=True):
            variables = network.trainable_variables
            optimizer.apply(tape.gradient(loss, variables), variables)
        return {"g_loss": g_loss, "f_loss": f_loss}

    return train_step


def main() -> None:
    """Time all, print the table in Markdown."""
    runtime.start(1)
    precisions = dict.fromkeys(("float32", runtime.training_precision()))
    print("| size | precision | identity loss | tutorial | lesson 07 | ratio |")
    print("|---|---|---|---|---|---|")
    for size, precision in itertools.product(TURNS, precisions):
        batch = tuple(tf.random.stateless_uniform((2, 1, size, size, 3), (1, 1), -1, 1))
        lessons = {identity: lesson(size, identity) for identity in (True, False)}
        steps = {}
        for identity, (ours, networks) in lessons.items():
            steps["tutorial", identity] = tf.function(tutorial(networks, identity))
            steps["lesson", identity] = tf.function(ours)
        found = {name: [] for name in steps}
        with runtime.precision(precision):
            for turn in range(TURNS[size] + 1):
                for name, step in steps.items():
                    began = time.perf_counter()
                    for _ in range(CALLS[size]):
                        results = step(batch)
                    [float(x) for x in results.values()]  # waits for the last one
                    if turn:  # the first compiles
                        found[name].append((time.perf_counter() - began) / CALLS[size])
        for identity in lessons:
            theirs, ours = (
                statistics.median(found[name, identity]) for name in ("tutorial", "lesson")
            )
            cells = f"{'yes' if identity else 'no'} | {theirs:.2f} s | {ours:.2f} s"
            print(f"| {size} | {precision} | {cells} | {theirs / ours:.2f} |", flush=True)
    print(f"\n{runtime.device()}, {runtime.versions()}")


if __name__ == "__main__":
    main()
