"""What two losses of lesson 08 do: three trainings that differ in one weight, a table, a picture.

    python -m benchmarks.stargan_parts [NUMBER ...]

Each arm is the page at `long`, but with 10 of its 32 rounds: some 35 minutes on a CPU core. It can
be stopped, and goes on when it is run again. With numbers (0 to 2), only these arms are trained.
All are measured as the page measures its own. Without numbers, the table is printed, too, and the
picture is written to outputs/gallery/08_parts.jpg.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import imageio.v3 as iio
import numpy as np

from benchmarks import arms
from tools import pages
from utils import tables
from utils.options import ROOT, output_dir

FOLDER = output_dir() / "benchmarks" / "stargan_parts"
ROUNDS = 10
ARMS: dict[str, dict[str, float]] = {
    "all losses": {},
    "no reconstruction loss": {"LAMBDA_REC": 0.0},
    "no classification loss": {"LAMBDA_CLS": 0.0},
}
SHOWN, ROW = 3, 66  # faces of each in the picture; pixels of a row


def measured(name: str) -> dict[str, Any]:
    """Train an arm, go on with it, or open it, and return what is shown of it."""
    page = pages.Page("08_stargan")
    page.set(ROUNDS=ROUNDS, **ARMS[name])
    names = page.execute({}, until=("results = {",), show=("trainer.fit(",))
    told = "called", "kept", "dB"
    of_targets = {k: {x: float(v[x]) for x in told} for k, v in names["results"].items()}
    return {"targets": of_targets, "sheet": str(names["folder"] / "sheet.png")}


def main(numbers: list[str]) -> None:
    """Train the arms; unless only some were asked for, print what was measured."""
    found = arms.train(FOLDER, [*ARMS], numbers, arms.measured_once(measured))
    if numbers:
        return
    rows, pictures = [], []
    for name, arm in found.items():
        targets = arm["targets"].values()
        called = [f"{target['called']:.0%}" for target in targets]
        kept, decibels = (np.mean([target[k] for target in targets]) for k in ("kept", "dB"))
        rows.append([name, *called, f"{kept:.0%}", f"{decibels:.1f}"])
        pictures.append(iio.imread(arm["sheet"])[: SHOWN * ROW])
    names = [*found["all losses"]["targets"]]
    print(tables.markdown(["", *names, "kept", "dB there and back"], rows))
    picture = np.concatenate(pictures)
    iio.imwrite(ROOT / "outputs" / "gallery" / "08_parts.jpg", picture, quality=90)


if __name__ == "__main__":
    os.environ |= {"PRESET": "long", "STANDIN": "never"}
    main(sys.argv[1:])
