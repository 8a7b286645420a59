"""What breaks in lesson 07 without a part of it: five trainings at `quick`, a table, a picture.

    python -m benchmarks.cyclegan_parts

Trains on the real photographs, with one seed, in the default precision: some ten minutes a
training on 2 CPU cores. Can be stopped, and goes on when it is run again. Writes the picture to
outputs/gallery/07_parts.jpg.
"""

from __future__ import annotations

import os
import warnings

os.environ |= {"PRESET": "quick", "STANDIN": "never"}

import imageio.v3 as iio
import keras
import numpy as np
import tensorflow as tf

from tools import pages
from utils import device, images, runtime, training
from utils.evaluation import Evaluation, in_batches
from utils.options import ROOT
from utils.topics import features, pairs, translations

PAGE = "07_cyclegan"
HALF = [
    (
        f"generator_{way}(fake_{kind}, training=True)",
        f"generator_{way}(tf.stop_gradient(fake_{kind}), training=True)",
    )
    for way, kind in (("ba", "b"), ("ab", "a"))
]
NO_CYCLE = [("LAMBDA_CYCLE = 10.0", "LAMBDA_CYCLE = 0.0")]
NO_IDENTITY = [("smoke=5.0, quick=5.0", "smoke=0.0, quick=0.0")]
VARIANTS = {
    "as it is": [],
    "no cycle loss": NO_CYCLE,
    "half of it: to the way back only": HALF,
    "no identity loss": NO_IDENTITY,
    "neither cycle nor identity loss": [*NO_CYCLE, *NO_IDENTITY],
}
SHOWN = (11, 27, 68)  # test horses


def train(number: int, changes: list[tuple[str, str]], test: pairs.UnpairedData):
    """Train the page with changes to its text; return the averaged generators, there and back."""
    runtime.start(1, mixed_precision=True)
    changed = pages.Page(PAGE)
    for old, new in changes:
        changed.change(old, new)
    page = changed.definitions(*pages.CYCLEGAN_PARTS, "train_step")
    keras.utils.set_random_seed(page.SEED)
    trainer = training.Trainer(
        f"benchmarks/cyclegan_{number}",
        page.train_step,
        runtime.constants(vars(page)),
        {"generator_ab": page.AVERAGE, "generator_ba": page.AVERAGE},
        **{name: getattr(page, name) for name in pages.CYCLEGAN_PARTS},
    )
    there, back = (trainer.averaged[name] for name in pages.CYCLEGAN_NETWORKS[:2])
    data = pairs.horse2zebra(page.IMAGE_SIZE, page.BATCH_SIZE, page.SEED)
    trainer.fit(
        data,
        page.ROUNDS,
        page.STEPS_PER_ROUND,
        lambda: in_batches(there, test.a[list(SHOWN)]),
    )
    return there, back, data


def main() -> None:
    """Train all, then measure, print the table in Markdown and write the picture."""
    warnings.filterwarnings("ignore", "[0-9]+ samples for")
    size = pages.Page(PAGE).definitions().IMAGE_SIZE
    test = pairs.horse2zebra(size, split="test")
    network, rows, pictures = features.of_photographs(), {}, []
    for number, (name, changes) in enumerate(VARIANTS.items()):
        there, back, data = train(number, changes, test)
        judges = [
            Evaluation(network, np.uint8(tf.image.resize(x[:240], (size, size))), real, 120)
            for x, real in ((data.b, test.b), (data.a, test.a))
        ]
        ways = (
            translations.Translation("horse to zebra", test.a, there, back, judges[0]),
            translations.Translation("zebra to horse", test.b, back, there, judges[1]),
        )
        rows[name] = [way.score() for way in ways] + [way.report()["cycle error"] for way in ways]
        photos, made, returned = ways[0](list(SHOWN))
        for row in ([] if number else [(photos, photos)]) + [(made, returned)]:
            pictures += [image for pair in zip(*row, strict=True) for image in pair]
    sheet = images.grid(np.stack(pictures), columns=2 * len(SHOWN))
    iio.imwrite(ROOT / "outputs" / "gallery" / "07_parts.jpg", sheet, quality=90)
    print(f"{device.name()}, {device.training_precision()}, features of {network.name}\n")
    print("| | horse to zebra | zebra to horse | there and back, horses | zebras |")
    print("|---|---|---|---|---|")
    for name, values in rows.items():
        print(f"| {name} | " + " | ".join(f"{v:.2f}" for v in values[:2]), end=" | ")
        print(" | ".join(f"{v:.1f}" for v in values[2:]) + " |")


if __name__ == "__main__":
    main()
