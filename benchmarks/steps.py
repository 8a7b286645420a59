"""Every lesson's training step beside the plain way to write it: seconds, rate, memory.

    python -m benchmarks.steps [CASE]

The plain steps are those of public tutorials, over the same networks, batch and settings, in
float32: Keras' for the lessons on digits (its guide to a custom `train_step`, its examples of
WGAN-GP, also for each stage of lesson 10, and of a conditional GAN), TensorFlow's CycleGAN, the
authors' way for StarGAN, and for lesson 09 what most repositories have, where D and G each draw
their own crops.
All are timed in turns in one process, together with the largest convolution and matrix product
that show how fast the machine can be. Nothing else may run.
"""

from __future__ import annotations

import argparse
import functools
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import keras
import tensorflow as tf

from benchmarks import timing
from tools import pages
from utils import datasets, device, runtime
from utils.topics import features, superresolution

Step = Callable[..., dict[str, tf.Tensor]]
SRGAN = "09_srgan"
PGGAN_SIZES = 4, 8, 16, 32, 64
TURNS = 11


@dataclass
class Case:
    """A lesson's step beside the plain one.

    Attributes:
        page: the lesson's definitions.
        sides: both steps, "plain" and "lesson".
        batch: what they take.
        networks: that the lesson's step trains.
    """

    page: ModuleType
    sides: dict[str, Step]
    batch: tuple
    networks: list[keras.Model]

    @property
    def xla(self) -> bool:
        """Is the lesson's step compiled by XLA, as its Trainer has it?"""
        return device.xla(self.page.XLA)

    def compiled(self, side: str) -> Step:
        """Return a step as its training compiles it; the plain one never by XLA."""
        return tf.function(self.sides[side], jit_compile=side == "lesson" and self.xla)


def adam(network: keras.Model, rate: float, beta_1: float = 0.9) -> keras.optimizers.Optimizer:
    """Return an optimizer of its own, so that the two sides share none."""
    optimizer = keras.optimizers.Adam(rate, beta_1=beta_1)
    optimizer.build(network.trainable_variables)
    return optimizer


def cross_entropy(value: float, logits: tf.Tensor) -> tf.Tensor:
    """Return the mean cross-entropy of logits and one target."""
    return keras.losses.BinaryCrossentropy(from_logits=True)(
        tf.fill(tf.shape(logits), value), logits
    )


def descend(
    tape: tf.GradientTape,
    loss: tf.Tensor,
    network: keras.Model,
    optimizer: keras.optimizers.Optimizer,
) -> None:
    """Update a network."""
    variables = network.trainable_variables
    optimizer.apply(tape.gradient(loss, variables), variables)


def changed(lesson: str, values: dict[str, float]) -> pages.Page:
    """Return a page whose constants have these values."""
    page = pages.Page(lesson)
    page.set(**values)
    return page


def digits(lesson: str, **changes: int) -> Case:
    """Return https://keras.io/guides/custom_train_step_in_tensorflow and lesson 01 or 02."""
    page = changed(lesson, changes).definitions(*pages.PARTS, "train_step")
    g, d, rng = page.generator, page.discriminator, page.rng
    n, length = page.BATCH_SIZE, page.LATENT_DIM
    g_optimizer, d_optimizer = (adam(x, page.LEARNING_RATE, page.BETA_1) for x in (g, d))
    labels = tf.concat([tf.zeros((n, 1)), tf.ones((n, 1))], 0)
    of_logits = keras.losses.BinaryCrossentropy(from_logits=True)

    def plain(real: tf.Tensor) -> dict[str, tf.Tensor]:
        fake = g(rng.normal((n, length)), training=True)
        with tf.GradientTape() as tape:
            d_loss = of_logits(labels, d(tf.concat([fake, real], 0), training=True))
        descend(tape, d_loss, d, d_optimizer)
        z = rng.normal((n, length))
        with tf.GradientTape() as tape:
            g_loss = cross_entropy(1.0, d(g(z, training=True), training=True))
        descend(tape, g_loss, g, g_optimizer)
        return {"d_loss": d_loss, "g_loss": g_loss}

    batch = tf.random.stateless_uniform((n, 28, 28, 1), (1, 1), -1, 1)
    return Case(page, {"plain": plain, "lesson": page.train_step}, (batch,), [g, d])


def plain_penalty(answers_of: Callable[[tf.Tensor], tf.Tensor], between: tf.Tensor) -> tf.Tensor:
    """Return the mean of (slope - 1)² at images, as public code of WGAN-GP writes it."""
    with tf.GradientTape() as tape:
        tape.watch(between)
        answers = answers_of(between)
    gradients = tape.gradient(answers, between)
    norms = tf.sqrt(tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3]) + 1e-12)
    return tf.reduce_mean((norms - 1.0) ** 2)


def plain_wgan_gp(
    g: keras.Model,
    d: keras.Model,
    g_optimizer: keras.optimizers.Optimizer,
    d_optimizer: keras.optimizers.Optimizer,
    rng: tf.random.Generator,
    n: int,
    length: int,
    updates: int,
) -> Step:
    """Return the step of https://keras.io/examples/generative/wgan_gp.

    It updates the critic several times with the same real images, makes the fakes inside the
    critic's tape, and draws alpha from N(0, 1). The root has an epsilon here: without one, a slope
    of 0 is a NaN.

    Args:
        g, d: generator and critic.
        g_optimizer, d_optimizer: built over their variables.
        rng: draws z and alpha.
        n: images a batch; more that are given are left out.
        length: of z.
        updates: of the critic, for one of G.
    """

    def penalty(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        between = real + rng.normal((n, 1, 1, 1)) * (fake - real)
        return plain_penalty(lambda images: d(images, training=True), between)

    def plain(real: tf.Tensor) -> dict[str, tf.Tensor]:
        real = real[:n]
        for _ in range(updates):
            z = rng.normal((n, length))
            with tf.GradientTape() as tape:
                fake = g(z, training=True)
                difference = d(fake, training=True) - d(real, training=True)
                d_loss = tf.reduce_mean(difference) + 10.0 * penalty(real, fake)
            descend(tape, d_loss, d, d_optimizer)
        z = rng.normal((n, length))
        with tf.GradientTape() as tape:
            g_loss = -tf.reduce_mean(d(g(z, training=True), training=True))
        descend(tape, g_loss, g, g_optimizer)
        return {"d_loss": d_loss, "g_loss": g_loss}

    return plain


def wgan_gp() -> Case:
    """Return the step of Keras' example of WGAN-GP and that of lesson 05."""
    page = pages.Page("05_wgan_gp").definitions("train_step")
    g, d, n = page.generator, page.critic, page.BATCH_SIZE
    optimizers = [adam(x, page.LEARNING_RATE, page.BETA_1) for x in (g, d)]
    plain = plain_wgan_gp(g, d, *optimizers, page.rng, n, page.LATENT_DIM, page.N_CRITIC)
    batch = tf.random.stateless_uniform((n * page.N_CRITIC, 28, 28, 1), (1, 1), -1, 1)
    return Case(page, {"plain": plain, "lesson": page.train_step}, (batch,), [g, d])


class HalfFaded(keras.Model):
    """A network of lesson 10 in the midst of its fade, as one of images or z alone."""

    def __init__(self, network: keras.Model) -> None:
        super().__init__()
        self.network = network

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Compute what the network makes of images or z, with alpha 0.5."""
        return self.network([x, tf.fill((1, 1, 1, 1), 0.5)], training=training)


def pggan(size: int) -> Case:
    """Return the step of Keras' example of WGAN-GP over the networks of a stage of lesson 10."""
    page = changed("10_pggan", {"ROUNDS": dict.fromkeys(PGGAN_SIZES, 2)})
    page = page.definitions("train_step", "stage_of")
    stage = None
    for now in PGGAN_SIZES[: PGGAN_SIZES.index(size) + 1]:
        stage = page.stage_of(now, 2, stage)
    n, length = page.BATCH_SIZE, page.LATENT_DIM
    networks = [stage.generator, stage.critic]
    g, d = (HalfFaded(network) for network in networks)
    optimizers = [adam(x, page.LEARNING_RATE, page.BETA_1) for x in networks]
    over_networks = plain_wgan_gp(g, d, *optimizers, stage.rng, n, length, 1)
    sides = {
        "plain": lambda batch: over_networks(page.resized(batch, size)),
        "lesson": functools.partial(page.train_step, stage),
    }
    last = PGGAN_SIZES[-1]
    batch = tf.random.stateless_uniform((n, last, last, 3), (1, 1), -1, 1)
    return Case(page, sides, (batch,), networks)


def cgan(way: str) -> Case:
    """Return https://keras.io/examples/generative/conditional_gan and lesson 06.

    The example shows real images and fakes to D in one batch, and updates G once.
    """
    dataset = datasets.mnist(16, labels=True)
    page = pages.Page("06_cgan")
    page.set(WAY=way)
    page = page.definitions("train_step", "discriminator", dataset=dataset)
    g, d, rng = page.generator, page.discriminator, page.rng
    n, length = page.BATCH_SIZE, page.LATENT_DIM
    g_optimizer, d_optimizer = (adam(x, page.LEARNING_RATE, page.BETA_1) for x in (g, d))
    targets = tf.concat([tf.zeros((n, 1)), tf.ones((n, 1))], 0)
    of_logits = keras.losses.BinaryCrossentropy(from_logits=True)

    def plain(batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        real, numbers = batch
        labels = tf.one_hot(numbers, page.CLASSES)
        fake = g([rng.normal((n, length)), labels], training=True)
        both = tf.concat([fake, real], 0), tf.concat([labels, labels], 0)
        with tf.GradientTape() as tape:
            d_loss = of_logits(targets, d([*both], training=True)[:, :1])
        descend(tape, d_loss, d, d_optimizer)
        z = rng.normal((n, length))
        with tf.GradientTape() as tape:
            answers = d([g([z, labels], training=True), labels], training=True)
            g_loss = cross_entropy(1.0, answers[:, :1])
        descend(tape, g_loss, g, g_optimizer)
        return {"d_loss": d_loss, "g_loss": g_loss}

    batch = next(iter(dataset.from_step(0)))
    return Case(page, {"plain": plain, "lesson": page.train_step}, (batch,), [g, d])


def cyclegan(size: int, identity: bool) -> Case:
    """Return https://www.tensorflow.org/tutorials/generative/cyclegan and lesson 07.

    The networks are the paper's. The tutorial: one persistent tape, four losses, four
    gradients, four optimizers; cross-entropy, no pool.
    """
    values = {"IMAGE_SIZE": size, "WIDTH": 64, "BLOCKS": 9 if size == 256 else 6}
    values |= {"BATCH_SIZE": 1, "LAMBDA_IDENTITY": 5.0 * identity}
    page = changed("07_cyclegan", values).definitions("train_step")
    page.ConvToImage = keras.layers.Conv2D
    page.InstanceNorm = functools.partial(
        keras.layers.GroupNormalization, groups=-1, epsilon=1e-5, center=False, scale=False
    )
    g, f = (page.resnet_generator(size, page.WIDTH, page.BLOCKS) for _ in range(2))
    d_x, d_y = (page.patch_discriminator(size, page.WIDTH, page.STAGES) for _ in range(2))
    networks = g, f, d_x, d_y
    optimizers = [adam(network, 2e-4, 0.5) for network in networks]

    def distance(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.abs(x - y))

    def plain(batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        real_x, real_y = batch
        with tf.GradientTape(persistent=True) as tape:
            fake_y, fake_x = g(real_x, training=True), f(real_y, training=True)
            cycled_x, cycled_y = f(fake_y, training=True), g(fake_x, training=True)
            real = d_x(real_x, training=True), d_y(real_y, training=True)
            fake = d_x(fake_x, training=True), d_y(fake_y, training=True)
            cycle = 10 * (distance(real_x, cycled_x) + distance(real_y, cycled_y))
            g_loss, f_loss = (cross_entropy(1.0, x) + cycle for x in reversed(fake))
            if identity:
                g_loss += 5 * distance(real_y, g(real_y, training=True))
                f_loss += 5 * distance(real_x, f(real_x, training=True))
            d_losses = [
                0.5 * (cross_entropy(1.0, x) + cross_entropy(0.0, y))
                for x, y in zip(real, fake, strict=True)
            ]
        losses = g_loss, f_loss, *d_losses
        for loss, network, optimizer in zip(losses, networks, optimizers, strict=True):
            descend(tape, loss, network, optimizer)
        return {"g_loss": g_loss, "f_loss": f_loss}

    images = tf.unstack(tf.random.stateless_uniform((2, 1, size, size, 3), (1, 1), -1, 1))
    sides = {"plain": plain, "lesson": page.train_step}
    own = [getattr(page, name) for name in pages.CYCLEGAN_NETWORKS]
    return Case(page, sides, (tuple(images),), own)


def stargan(
    size: int = 128, width: int = 64, blocks: int = 6, n: int = 16, updates: int = 5
) -> Case:
    """Return lesson 08, by default as `paper` has it, and its step as the authors' code has it.

    They (https://github.com/yunjey/stargan) permute the labels once a batch, and update D with
    one batch at a time.
    """
    values = {"IMAGE_SIZE": size, "WIDTH": width, "BLOCKS": blocks}
    values |= {"BATCH_SIZE": n, "N_CRITIC": updates}
    page = changed("08_stargan", values).definitions("train_step")
    g, d, rng = page.generator, page.discriminator, page.rng
    g_optimizer, d_optimizer = (adam(x, 1e-4, 0.5) for x in (g, d))

    def named(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
        return tf.reduce_sum(losses) / n

    def penalty(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
        alpha = rng.uniform((n, 1, 1, 1))
        between = alpha * real + (1 - alpha) * fake
        return plain_penalty(lambda images: d(images, training=True)[0], between)

    def plain(batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        images, labels = batch
        for i in range(updates):
            real, own = images[i * n : (i + 1) * n], labels[i * n : (i + 1) * n]
            wanted = tf.random.experimental.stateless_shuffle(own, rng.make_seeds(1)[:, 0])
            with tf.GradientTape() as tape:
                answers, logits = d(real, training=True)
                fake = g([real, wanted], training=True)
                d_loss = tf.reduce_mean(d(fake, training=True)[0]) - tf.reduce_mean(answers)
                d_loss += 10.0 * penalty(real, fake) + named(own, logits)
            descend(tape, d_loss, d, d_optimizer)
        with tf.GradientTape() as tape:
            fake = g([real, wanted], training=True)
            answers, logits = d(fake, training=True)
            cycled = g([fake, own], training=True)
            g_loss = 10.0 * tf.reduce_mean(tf.abs(real - cycled)) - tf.reduce_mean(answers)
            g_loss += named(wanted, logits)
        descend(tape, g_loss, g, g_optimizer)
        return {"d_loss": d_loss, "g_loss": g_loss}

    images = tf.random.stateless_uniform((n * updates, size, size, 3), (1, 1), -1, 1)
    labels = tf.cast(tf.random.stateless_uniform((n * updates, 5), (1, 2)) < 0.5, tf.float32)
    return Case(page, {"plain": plain, "lesson": page.train_step}, ((images, labels),), [g, d])


def srgan(first: bool, size: int = 96, batch_size: int = 8) -> Case:
    """Return a stage of lesson 09 with the paper's networks, and the same written plainly."""
    page = pages.Page(SRGAN).definitions("cross_entropy", "mean_square")
    page.content = content = features.content_network()
    page.generator = page.srresnet(64, 16, page.BATCH_NORM)
    page.ConvToImage = keras.layers.Conv2D
    g = page.srresnet(64, 16, page.BATCH_NORM)
    page.discriminator = d = page.crop_discriminator(size, 64)
    page.optimizer, page.g_optimizer = (page.adam(page.generator, 1e-4, 1) for _ in range(2))
    page.d_optimizer = page.adam(d, 1e-4, 1)
    g_optimizer, d_optimizer = adam(g, 1e-4), adam(d, 1e-4)

    def plain_first(batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        lr, hr = batch
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(hr - g(lr, training=True)))
        descend(tape, loss, g, g_optimizer)
        return {"loss": loss}

    def plain(batch: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        lr, hr = batch
        sr = g(lr, training=True)
        with tf.GradientTape() as tape:
            d_loss = cross_entropy(1.0, d(hr, training=True))
            d_loss += cross_entropy(0.0, d(sr, training=True))
        descend(tape, d_loss, d, d_optimizer)
        with tf.GradientTape() as tape:
            sr = g(lr, training=True)
            g_loss = tf.reduce_mean(tf.square(content(hr) - content(sr)))
            g_loss += 1e-3 * cross_entropy(1.0, d(sr, training=True))
        descend(tape, g_loss, g, g_optimizer)
        return {"d_loss": d_loss, "g_loss": g_loss}

    crops, _ = superresolution.crops(size, batch_size, 1)
    batch = next(iter(crops.from_step(0)))
    if first:
        return Case(
            page, {"plain": plain_first, "lesson": page.mse_step}, (batch,), [page.generator]
        )
    sides = {"plain": plain, "lesson": page.train_step}
    return Case(page, sides, (batch,), [page.generator, d])


CASES = {
    "lesson 01": lambda: digits("01_gan"),
    "lesson 02": lambda: digits("02_dcgan"),
    "lesson 05": wgan_gp,
    "lesson 06, planes": lambda: cgan("planes"),
    "lesson 06, projection": lambda: cgan("projection"),
    "lesson 07, 128": lambda: cyclegan(128, True),
    "lesson 07, 128, no identity loss": lambda: cyclegan(128, False),
    "lesson 07, 256": lambda: cyclegan(256, True),
    "lesson 08": stargan,
    "lesson 08, quick": functools.partial(stargan, 64, 32, 3, 8, 2),
    "lesson 09, first stage": lambda: srgan(True),
    "lesson 09, second stage": lambda: srgan(False),
    **{f"lesson 10, {size}": functools.partial(pggan, size) for size in PGGAN_SIZES},
}


def limits() -> dict[str, Step]:
    """Return a convolution and a matrix product that fill the machine, four in a row each."""
    image = tf.random.stateless_normal((8, 64, 64, 128), (1, 1))
    kernel = tf.random.stateless_normal((3, 3, 128, 128), (1, 2)) / 34
    matrix = tf.random.stateless_normal((2048, 2048), (1, 3)) / 45

    def convolution() -> dict[str, tf.Tensor]:
        x = image
        for _ in range(4):
            x = tf.nn.conv2d(x, kernel, 1, "SAME")
        return {"x": x[0, 0, 0, 0]}

    def product() -> dict[str, tf.Tensor]:
        x = matrix
        for _ in range(4):
            x = x @ matrix
        return {"x": x[0, 0]}

    return {"convolution": convolution, "product": product}


def start(case: str) -> None:
    """Decide the precision as the pages do: digits are trained in float32."""
    runtime.start(1, mixed_precision=case > "lesson 07")


def timed(name: str, turns: int) -> None:
    """Print a case's rows."""
    start(name)
    case = CASES[name]()
    precisions = tuple(dict.fromkeys(("float32", device.training_precision())))
    calls, counted = {}, {}
    for side, step in (case.sides | limits()).items():
        arguments = case.batch if side in case.sides else ()
        counted[side] = timing.operations(step, *arguments)
        for precision in precisions[: 1 if side == "plain" else None]:
            compiled = case.compiled(side) if side in case.sides else tf.function(step)
            calls[side, precision] = _in(precision, case.networks, compiled, arguments)
    found = timing.in_turns(calls, turns=turns, calls=20 if name < "lesson 07" else 1)
    middle = {key: statistics.median(seconds) for key, seconds in found.items()}
    rate = {key: counted[key[0]] / seconds / 1e9 for key, seconds in middle.items()}
    for side, precision in found:
        if side in case.sides:
            ratio = middle["plain", "float32"] / middle[side, precision]
            share = rate[side, precision] / rate["convolution", precision]
            print(
                f"| {name} | {side} | {precision} | {timing.spread(found[side, precision])} "
                f"| {ratio:.2f} | {counted[side] / 1e9:.2f} | {rate[side, precision]:.0f} "
                f"| {share:.0%} |"
            )
    for (side, precision), value in rate.items():
        if side not in case.sides:
            print(f"limit: {side}, {precision}: {value:.0f} billion operations a second")


def _in(precision: str, networks: list[keras.Model], step: Step, arguments: tuple) -> Step:
    def call() -> dict[str, tf.Tensor]:
        with device.precision(precision, networks):
            return step(*arguments)

    return call


def memory(name: str, side: str) -> None:
    """Print the most memory that a process has needed which only trains this."""
    start(name)
    case = CASES[name]()
    step = case.compiled(side)
    precision = device.training_precision() if side == "lesson" else "float32"
    with device.precision(precision, case.networks):
        for _ in range(3):
            step(*case.batch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"memory: {name}, {side}: {peak:.2f} GB")


def main() -> None:
    """Measure all cases, each in processes of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", nargs="*", help=f"one or more of: {', '.join(CASES)}")
    parser.add_argument("--turns", type=int, default=TURNS, help="of both steps in turns")
    parser.add_argument("--part", choices=("time", "plain", "lesson"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        case = chosen.case[0]
        timed(case, chosen.turns) if chosen.part == "time" else memory(case, chosen.part)
        return
    print(
        "| | side | precision | step: median (middle half) | times as fast as plain float32 ",
        end="",
    )
    print("| 10⁹ operations | 10⁹ a second | of the convolution's rate |\n|" + "---|" * 8)
    for case in chosen.case or CASES:
        for part in ("time", "plain", "lesson"):
            command = [sys.executable, "-m", "benchmarks.steps", case, "--part", part]
            command += ["--turns", str(chosen.turns)]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            marks = ("| ", "limit", "memory")
            print("\n".join(x for x in text.splitlines() if x.startswith(marks)), flush=True)
    print(f"\n{device.name()}, {runtime.versions()}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "quick"}
    main()
