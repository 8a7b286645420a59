"""What each part of lesson 07's loss does, on black and blond hair: eight trainings, a table.

    python -m benchmarks.cyclegan_parts [NUMBER ...]

Each arm is the page at `long`, on small faces of CelebA, with smaller networks that resize and
convolve instead of transposed convolutions, and with a part left out: some 32 minutes on one CPU
core. It can be stopped, and goes on when it is run again. With numbers (0 to 7), only these arms
are trained. Else all are trained and then measured on faces that no training saw: the table is
printed, and the picture is written to outputs/gallery/07_hair.jpg.

The settings were found with the first judge on validation faces, the full model, two trials. The
second judge, which chose nothing, gives the table.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import imageio.v3 as iio
import numpy as np
from skimage.metrics import peak_signal_noise_ratio

from benchmarks import arms
from tools import pages
from utils import device, evaluation, images, metrics, tables
from utils.options import ROOT, output_dir
from utils.topics import faces, features, pairs
from utils.topics.faces import judges

FOLDER = output_dir() / "benchmarks" / "cyclegan_parts"
HAIR = "Black_Hair", "Blond_Hair"
KEPT = "Male", "Smiling", "Young", "Eyeglasses"
SETTINGS = {
    "IMAGE_SIZE": 64,
    "WIDTH": 24,
    "BLOCKS": 4,
    "BATCH_SIZE": 2,
    "LEARNING_RATE": 3e-4,
    "STEPS_PER_ROUND": 500,
    "ROUNDS": 16,
}
NO_GRID = (  # as in the trials: resize and convolve instead of a transposed convolution
    "conv(n, 3, layers.Conv2DTranspose, **options)",
    "layers.UpSampling2D(), ReflectionPadding2D(1), conv(n, 3)",
)
FORWARD = "cycle = difference(generator_ba(fake_b, training=True), real_a)"
BACKWARD = "cycle += difference(generator_ab(fake_a, training=True), real_b)"
ARMS: dict[str, tuple[list[tuple[str, str]], dict[str, Any]]] = {  # changes, constants
    "all losses": ([], {}),
    "all losses, seed 2": ([], {"SEED": 2}),
    "all losses, seed 3": ([], {"SEED": 3}),
    "GAN and identity loss": ([], {"LAMBDA_CYCLE": 0.0}),
    "cycle and identity loss": ([("total = g_loss + LAMBDA", "total = LAMBDA")], {}),
    "forward cycle only": ([(BACKWARD, "cycle += 0.0")], {}),
    "backward cycle only": ([(FORWARD, "cycle = 0.0")], {}),
    "no identity loss": ([], {"LAMBDA_IDENTITY": 0.0}),
}
DATA = (
    "dataset = pairs.horse2zebra(IMAGE_SIZE, BATCH_SIZE, seed=SEED)\n"
    'test = pairs.horse2zebra(IMAGE_SIZE, split="test")'
)
TESTED = 300  # faces of each kind
SHOWN = 6


def hair(size: int, seed: int = 0, **options: Any) -> pairs.UnpairedData:
    """Return faces with black hair (a) and with blond hair (b), without those with both."""
    found = faces.celeba(size, flip=False, **options)
    black, blond = HAIR
    a = found.only(black).only(blond, has=False)
    b = found.only(blond).only(black, has=False)
    side = SETTINGS["IMAGE_SIZE"]
    data = {"name": f"{found.name}, black and blond hair", "standin": found.standin}
    return pairs.UnpairedData(
        **data,
        a=a.images,
        b=b.images,
        batch_size=SETTINGS["BATCH_SIZE"],
        seed=seed,
        image_size=side,
    )


def train(name: str) -> dict[str, Any]:
    """Train an arm, go on with it, or open it; return the page's names."""
    changes, constants = ARMS[name]
    page = pages.Page("07_cyclegan")
    margin = round(SETTINGS["IMAGE_SIZE"] * 286 / 256)
    lines = f'dataset = hair({margin}, seed=SEED)\ntest = hair(IMAGE_SIZE, split="validation")'
    for old, new in [(DATA, lines), NO_GRID, *changes]:
        page.change(old, new)
    page.set(**SETTINGS | constants)
    fit = ["trainer.fit("]
    return page.execute({"hair": hair}, until=fit, show=fit)


def row(names: dict[str, Any], test: pairs.UnpairedData) -> dict[str, str]:
    """Return what the table says of an arm, in both directions."""
    to_b, to_a = names["to_b"], names["to_a"]
    chosen, judge = judges.judge("first"), judges.judge("second")
    of_photographs = features.of_photographs()
    found = {}
    for way, there, back, before, real, wanted in (
        ("to blond", to_b, to_a, test.a, test.b, {HAIR[0]: False, HAIR[1]: True}),
        ("to black", to_a, to_b, test.b, test.a, {HAIR[0]: True, HAIR[1]: False}),
    ):
        after = images.to_uint8(evaluation.in_batches(there, before))
        returned = images.to_uint8(evaluation.in_batches(back, after))
        shares = judges.changed(judge, before, after, wanted, KEPT)
        kept = np.mean([shares[f"{name} kept"] for name in KEPT])
        found[f"{way}: turned"] = f"{100 * shares['turned']:.0f} %"
        found[f"{way}: kept"] = f"{100 * kept:.0f} %"
        for what, x in ("back", returned), ("to the input", after):
            ratios = [
                peak_signal_noise_ratio(*pair, data_range=255)
                for pair in zip(before, x, strict=True)
            ]
            found[f"{way}: dB {what}"] = f"{np.mean(ratios):.1f}"
        for kind, network in ("judge", chosen), ("SqueezeNet", of_photographs):
            sets = [evaluation.in_batches(network, x) for x in (real, before, after)]
            real_set, *others = [x[0] if kind == "judge" else x for x in sets]
            floor = metrics.kernel_distance(real_set[::2], real_set[1::2], size=TESTED // 2)[0]
            untouched, made = (
                metrics.kernel_distance(x, real_set, size=TESTED // 2)[0] for x in others
            )
            found[f"{way}: {kind}"] = f"{(made - floor) / (untouched - floor):.2f}"
    return found


def main(numbers: list[str]) -> None:
    """Train the arms; unless only some were asked for, measure them."""
    trained = arms.train(FOLDER, [*ARMS], numbers, train)
    if numbers:
        return
    # None of the faces of this archive is in the small set, whatever the split is called.
    test = hair(SETTINGS["IMAGE_SIZE"], split="train", part="test128")
    a, b = test.a[:TESTED], test.b[:TESTED]
    test = pairs.UnpairedData(**{**vars(test), "a": a, "b": b})
    rows, pictures = [], [np.concatenate([a[:SHOWN], b[:SHOWN]])]
    for name, names in trained.items():
        found = row(names, test)
        rows.append([name, *found.values()])
        made = [
            evaluation.in_batches(there, x[:SHOWN])
            for there, x in ((names["to_b"], a), (names["to_a"], b))
        ]
        pictures.append(images.to_uint8(np.concatenate(made)))
    print(tables.markdown(["", *found], rows))
    judges.table("second")
    sheet = images.grid(np.concatenate(pictures), columns=2 * SHOWN)
    iio.imwrite(ROOT / "outputs" / "gallery" / "07_hair.jpg", sheet, quality=90)
    print(f"\n{device.name()}, {device.training_precision()}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "long", "STANDIN": "never"}
    main(sys.argv[1:])
