"""What breaks in lesson 09 without a part of it: trainings at `quick`, a table, a picture.

    python -m benchmarks.srgan_parts

Trains on real photographs with half of the updates of `quick`, with one seed, in the default
precision: a quarter of an hour on 2 CPU cores. Can be stopped, and goes on when it is run again.
Writes the picture to outputs/gallery/09_parts.jpg.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable

os.environ |= {"PRESET": "quick", "STANDIN": "never"}

import imageio.v3 as iio
import keras
import numpy as np
import tensorflow as tf

from tools import pages
from utils import device, images, runtime, training
from utils.options import ROOT
from utils.topics import enlarging, features, superresolution

PAGE = "09_srgan"
NAMES = ("cross_entropy", "mean_square", "chosen", "small", "blurred", "apart")
SHOWN = (("Set5", 2), ("Set14", 13))  # a crop of each


ALIASED = "small images without averaging"
WIDE = "targets from -2 to 2"
CHANGES = {
    ALIASED: lambda lr, hr: ((hr[:, ::4, ::4] + 1) / 2, hr),
    WIDE: lambda lr, hr: (lr, 2 * hr),
}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Changed(superresolution.Crops):
    """Crops with a mistake in them, of CHANGES."""

    change: str

    def load(self, indices: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return a batch, changed."""
        return CHANGES[self.change](*super().load(indices, places))


def page_for(change: str, content: keras.Model):
    """Return the page's definitions and what its cells have made before the training."""
    runtime.start(1, mixed_precision=True)
    crops, held_out = superresolution.crops(seed=1)
    page = pages.Page(PAGE).definitions(*NAMES, held_out=held_out)
    crops = dataclasses.replace(crops, size=page.HR_SIZE, batch_size=page.BATCH_SIZE)
    page.MSE_ROUNDS, page.GAN_ROUNDS = page.MSE_ROUNDS // 2, page.GAN_ROUNDS // 2
    if change:
        values = {f.name: getattr(crops, f.name) for f in dataclasses.fields(crops)}
        crops = Changed(**values | {"name": f"{crops.name}, {change}"}, change=change)
    page.crops, page.content = crops, content
    keras.utils.set_random_seed(page.SEED)
    page.generator = page.srresnet(page.WIDTH, page.BLOCKS, page.BATCH_NORM)
    return page


def first_stage(number: int, change: str = "") -> training.Trainer:
    """Train the first stage on crops with a mistake."""
    page = page_for(change, features.content_network())
    if change == WIDE:  # back to where they belong
        page.enlarge = halved
    updates = page.MSE_ROUNDS * page.STEPS_PER_ROUND
    page.optimizer = page.adam(page.generator, page.LEARNING_RATE, updates)
    trainer = training.Trainer(
        f"benchmarks/srgan_first_{number}",
        page.mse_step,
        runtime.constants(vars(page)),
        average={"generator": page.AVERAGE},
        generator=page.generator,
        optimizer=page.optimizer,
    )
    page.resnet = trainer.averaged["generator"]
    sample = functools.partial(page.sheet, page.resnet)
    schedule = page.MSE_ROUNDS, page.STEPS_PER_ROUND
    trainer.fit(page.crops, *schedule, sample, page.psnr, score_every=3)
    return trainer


def second_stage(number: int, start: list[np.ndarray], content: keras.Model) -> training.Trainer:
    """Train the second stage from the weights of a first one."""
    page = page_for("", content)
    page.generator.set_weights(start)
    page.discriminator = page.crop_discriminator(page.HR_SIZE, page.WIDTH, page.NOISE)
    updates = page.GAN_ROUNDS * page.GAN_STEPS
    page.g_optimizer = page.adam(page.generator, page.G_RATE, updates)
    page.d_optimizer = page.adam(page.discriminator, page.D_RATE, updates)
    trainer = training.Trainer(
        f"benchmarks/srgan_second_{number}",
        page.train_step,
        runtime.constants(vars(page)),
        average={"generator": page.AVERAGE},
        **{name: getattr(page, name) for name in pages.PARTS[:4]},
    )
    page.srgan = trainer.averaged["generator"]
    sample = functools.partial(page.sheet, page.srgan)
    schedule = page.GAN_ROUNDS, page.GAN_STEPS
    trainer.fit(page.crops, *schedule, sample, page.content_left, score_every=3)
    return trainer


def enlarged(network: keras.Model) -> Callable:
    """Return what enlarges an uint8 image with a network."""
    return lambda photo: enlarging.enlarge(network, photo)


def halved(network: keras.Model) -> Callable:
    """Return what enlarges with a network whose results are twice too large."""
    half = lambda x, training: network(x, training=training) / 2  # noqa: E731
    return lambda photo: enlarging.enlarge(half, photo)


def main() -> None:
    """Train all, then measure, print the table in Markdown and write the picture."""
    content = features.content_network()
    times_68 = keras.layers.Rescaling(68)(content.output)
    unscaled = keras.Model(content.input, times_68, name="SqueezeNet-unscaled")
    unscaled.trainable = False
    first = first_stage(0)
    aliased = first_stage(1, ALIASED)
    wide = first_stage(2, WIDE)
    start = first.best["generator"].get_weights()
    methods = {
        "bicubic": superresolution.bicubic,
        "first stage": enlarged(first.best["generator"]),
        "its small images made without averaging": enlarged(aliased.best["generator"]),
        "its targets from -2 to 2, `tanh` up to 1": halved(wide.best["generator"]),
        "second stage": enlarged(second_stage(0, start, content).best["generator"]),
        "its features not divided by 68": enlarged(
            second_stage(1, start, unscaled).best["generator"]
        ),
    }
    sets, pieces = {name: superresolution.benchmark(name) for name in ("Set5", "Set14")}, []
    print("| | Set5 | Set14 |\n|---|---|---|")
    for name, method in methods.items():
        found = [superresolution.measure(photos, method)["PSNR"] for photos in sets.values()]
        print(f"| {name} | {found[0]:.2f} dB | {found[1]:.2f} dB |", flush=True)
    for name, i in SHOWN:
        photo = superresolution.cut(list(sets[name].values())[i])
        made = [method(superresolution.shrink(photo)) for method in methods.values()]
        pieces += [x[80:176, 80:176] * np.ones(3, "uint8") for x in (*made, photo)]
    sheet = images.grid(np.stack(pieces), columns=len(methods) + 1)
    iio.imwrite(ROOT / "outputs" / "gallery" / "09_parts.jpg", sheet, quality=90)
    print(f"\n{device.name()}, {device.training_precision()}, features of {content.name}")


if __name__ == "__main__":
    main()
