"""What two losses of lesson 08 do: three trainings that differ in one weight, a table, a picture.

    python -m benchmarks.stargan_parts [NUMBER ...]

Each arm is the page at `long`, but with 10 of its 32 rounds: some 35 minutes on a CPU core. It can
be stopped, and goes on when it is run again. With numbers (0 to 2), only these arms are trained.
Else all are, and are measured as the page measures its own: the table is printed, and the picture
is written to outputs/gallery/08_parts.jpg.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import imageio.v3 as iio
import numpy as np

from benchmarks import arms
from tools import pages
from utils import device, images, tables
from utils.options import ROOT, output_dir

FOLDER = output_dir() / "benchmarks" / "stargan_parts"
ROUNDS = 10
ARMS: dict[str, dict[str, float]] = {
    "all losses": {},
    "no reconstruction loss": {"LAMBDA_REC": 0.0},
    "no classification loss": {"LAMBDA_CLS": 0.0},
}
SHOWN = 3  # faces in the picture


def train(name: str) -> dict[str, Any]:
    """Train an arm, go on with it, or open it; return the page's names, results among them."""
    page = pages.Page("08_stargan")
    page.set(ROUNDS=ROUNDS, **ARMS[name])
    return page.execute({}, until=("results = {",), show=("trainer.fit(",))


def main(numbers: list[str]) -> None:
    """Train the arms; unless only some were asked for, print what was measured."""
    trained = arms.train(FOLDER, [*ARMS], numbers, train)
    if numbers:
        return
    rows = []
    pictures = []
    for name, names in trained.items():
        of_targets = names["results"]
        called = [f"{of_targets[target]['called']:.0%}" for target in names["ATTRIBUTES"]]
        means = {k: np.mean([found[k] for found in of_targets.values()]) for k in ("kept", "dB")}
        rows.append([name, *called, f"{means['kept']:.0%}", f"{means['dB']:.1f}"])
        made = names["sheet"].reshape(-1, len(names["heads"]), *names["sheet"].shape[1:])
        pictures.append(made[:SHOWN].reshape(-1, *names["sheet"].shape[1:]))
    print(tables.markdown(["", *names["ATTRIBUTES"], "kept", "dB there and back"], rows))
    sheet = images.grid(images.to_uint8(np.concatenate(pictures)), columns=len(names["heads"]))
    iio.imwrite(ROOT / "outputs" / "gallery" / "08_parts.jpg", sheet, quality=90)
    print(f"\n{device.name()}, {device.training_precision()}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "long", "STANDIN": "never"}
    main(sys.argv[1:])
