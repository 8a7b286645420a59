"""What each part of lesson 09's loss does: five trainings from one SRResNet, tables, a picture.

    python -m benchmarks.srgan_parts [NUMBER ...]

Each arm is the page's stage 2 at `long`, with one change: all start from the page's record of
stage 1, and see the same crops in the same order. A training takes some 25 to 40 minutes on one
CPU core; it can be stopped, and goes on when it is run again. With numbers (0 to 4), only these
arms are trained. Else all are trained and then measured: the tables are printed, and the picture
is written to outputs/gallery/09_parts.jpg. The pairs for a blind comparison, with and without D,
lie beside the runs, with their key.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import imageio.v3 as iio
import keras
import matplotlib.pyplot as plt
import numpy as np

from benchmarks import arms
from tools import pages
from utils import device, evaluation, images, metrics, run, tables
from utils.options import ROOT, output_dir
from utils.topics import enlarging, features, superresolution

FOLDER = output_dir() / "benchmarks" / "srgan_parts"
CONTENT = "content_loss = mean_square(content(hr), content(sr))"
NO_D = [  # D is built and asked, but nothing learns from it
    ("LAMBDA_ADVERSARIAL * g_loss", "0.0 * g_loss"),
    ("    d_optimizer.apply(gradients, discriminator.trainable_variables)\n", ""),
]
WEIGHT = "quick=3e-3, long=3e-3"
PIXELS, FEATURES, BLIND = "pixels alone", "features alone", "features, D 0.003"
ARMS = {  # listed before the first was trained
    PIXELS: [(CONTENT, "content_loss = mean_square(hr, sr)"), *NO_D],
    FEATURES: NO_D,
    "features, D 0.001": [(WEIGHT, "quick=3e-3, long=1e-3")],
    BLIND: [],
    "features, D 0.01": [(WEIGHT, "quick=3e-3, long=1e-2")],
}
DEPTHS = (2, 3, 5, 9)  # fire modules of SqueezeNet; the content loss compares the fifth
PLACES = 4000  # where features are compared as two sets
# Hair, grass and a bridge: place in Set14, top, left.
SHOWN = ((0, 250, 330), (13, 80, 80), (2, 150, 150))
PAIRS = 24
SIDE = 96  # pixels of a part in the blind comparison


def train(name: str) -> dict:
    """Train an arm, go on with it, or open it; return the page's names."""
    return pages.run("09_srgan", *ARMS[name], show=("second.fit(",))


def enlarged(network: keras.Model) -> Callable:
    """Return what enlarges an uint8 image with a network, to three channels."""
    return lambda photo: enlarging.enlarge(network, photo)


def colour(image: np.ndarray) -> np.ndarray:
    """Return an image with three channels."""
    return image * np.ones(3, "uint8")


def texture(network: keras.Model, photos: list[np.ndarray], seed: int) -> np.ndarray:
    """Return features at places drawn at random, (PLACES, channels)."""
    maps = [evaluation.in_batches(network, colour(photo)[None]) for photo in photos]
    vectors = np.concatenate([x.reshape(-1, x.shape[-1]) for x in maps])
    return vectors[np.random.default_rng(seed).choice(len(vectors), PLACES, replace=False)]


def measured(originals: list[np.ndarray], made: list[np.ndarray]) -> dict[str, float]:
    """Return what the tables show of enlarged photographs."""
    found = {}
    for depth in DEPTHS:
        network = features.squeezenet(depth)
        ratios = []
        for x, y in zip(originals, made, strict=True):
            a, b = evaluation.in_batches(network, np.stack([colour(x), colour(y)]))
            ratios.append(np.sum((a - b) ** 2) / np.sum(a**2))
        found[f"features {depth}"] = float(np.mean(ratios))
    network = features.squeezenet(3)
    sets = texture(network, originals, 0), texture(network, made, 1)
    found["texture"] = metrics.frechet_distance(*sets)
    frequencies, power = enlarging.spectrum(made)
    _, wanted = enlarging.spectrum(originals)
    new = frequencies > 1 / 8  # what the small image cannot hold
    found["fine patterns"] = float(power[new].sum() / wanted[new].sum())
    found["grid"] = enlarging.grid(made)
    return found


def write_pairs(name: str, without: list[np.ndarray], with_d: list[np.ndarray]) -> None:
    """Write pairs of parts, four times enlarged, left and right drawn at random, and the key."""
    rng = np.random.default_rng(2026)
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    key = {}
    for number in range(1, PAIRS + 1):
        two = [made[number % len(made)] for made in (without, with_d)]
        top, left = (int(rng.integers(0, n - SIDE + 1)) for n in two[0].shape[:2])
        two = [x[top : top + SIDE, left : left + SIDE] for x in two]
        with_d_left = bool(rng.integers(2))
        sheet = np.hstack(two[::-1] if with_d_left else two)
        iio.imwrite(folder / f"{number:02}.png", sheet.repeat(4, 0).repeat(4, 1))
        key[number] = "left" if with_d_left else "right"
    run.write_json(FOLDER / f"{name}.json", key)


def main(numbers: list[str]) -> None:
    """Train the arms; unless only some were asked for, measure them."""
    trained = arms.train(FOLDER, [*ARMS], numbers, train)
    if numbers:
        return
    methods = {"bicubic": superresolution.bicubic, "SRResNet": enlarged(trained[BLIND]["best"])}
    methods |= {name: enlarged(x["second"].averaged["generator"]) for name, x in trained.items()}
    sets = {name: superresolution.benchmark(name) for name in ("Set5", "Set14")}
    photos = [superresolution.cut(photo) for found in sets.values() for photo in found.values()]
    first = len(sets["Set5"])
    made = {name: [f(superresolution.shrink(x)) for x in photos] for name, f in methods.items()}
    floor = measured(photos, photos)["texture"]  # of other places in the same photographs
    rows = []
    for name, results in (made | {"originals": photos}).items():
        decibels = [np.inf] * len(photos)
        if name != "originals":
            both = zip(photos, results, strict=True)
            decibels = [superresolution.compare(*pair)["PSNR"] for pair in both]
        found = {"Set5": np.mean(decibels[:first]), "Set14": np.mean(decibels[first:])}
        found |= measured(photos, results)
        found["texture"] /= floor
        rows.append([name, *(f"{x:.3g}" if x < 10 else f"{x:.2f}" for x in found.values())])
    print(tables.markdown(["", *found], rows))
    parts = [
        colour(enlarging.part(results[first + i], 72, 72, *at))
        for results in (*made.values(), photos)
        for i, *at in SHOWN
    ]
    heads = [f"Set14, {kind}" for kind in ("hair", "grass", "bridge")]
    labels = {"columns": 3, "scale": 4, "rows": [*made, "original"], "heads": heads}
    images.show(np.stack(parts), title="five trainings", **labels)
    plt.savefig(ROOT / "outputs" / "gallery" / "09_parts.jpg")
    write_pairs("pairs", made[FEATURES], made[BLIND])
    write_pairs("pairs with pixels", made[PIXELS], made[BLIND])
    print(f"\n{device.name()}, {device.training_precision()}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "long", "STANDIN": "never"}
    main(sys.argv[1:])
