"""Batches of twice and four times the size, as several devices would share them, on digits.

    python -m benchmarks.larger_batches [NUMBER ...]

Lesson 02 at `quick`. All runs see the same number of images, so that a run with twice the batch
makes half as many steps, and the averaged weights look back over the same number of images. What
differs is the learning rate: as it is, times the root of the factor (for Adam: Malladi et al.
2022), and times the factor (for SGD: Goyal et al. 2017). A run takes some minutes on one CPU core.
With numbers (0 to 6), only these runs are trained. Without numbers the table is printed, too.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from benchmarks import arms
from tools import pages
from utils import device, tables
from utils.options import output_dir

FOLDER = output_dir() / "benchmarks" / "larger_batches"
BATCH, RATE, STEPS, AVERAGE = 16, 2e-3, 625, 0.9995  # of the page, at `quick`
RUNS: dict[str, tuple[int, float]] = {  # times the batch, times the rate; listed beforehand
    "as it is": (1, 1),
    "2 x the batch": (2, 1),
    "2 x the batch, 1.4 x the rate": (2, 2**0.5),
    "2 x the batch, 2 x the rate": (2, 2),
    "4 x the batch": (4, 1),
    "4 x the batch, 2 x the rate": (4, 2),
    "4 x the batch, 4 x the rate": (4, 4),
}


def measured(name: str) -> dict[str, Any]:
    """Train a run, go on with it, or open it, and return what the table shows of it."""
    batch, rate = RUNS[name]
    page = pages.Page("02_dcgan")
    average = f"quick={AVERAGE}"
    page.set(BATCH_SIZE=BATCH * batch, LEARNING_RATE=RATE * rate)
    page.change(average, f"quick={AVERAGE**batch}")
    page.change(f"quick={STEPS}", f"quick={STEPS // batch}")
    return arms.measured_digits(page)


def main(numbers: list[str]) -> None:
    """Train and measure; unless only some runs were asked for, print the table."""
    found = arms.train(FOLDER, [*RUNS], numbers, arms.measured_once(measured))
    if numbers:
        return
    rows = [
        [name, f"{x['best']:.1f}", f"{x['final']:.1f}", f"{x['recall']:.2f}", f"{x['seconds']:.0f}"]
        for name, x in found.items()
    ]
    print(tables.markdown(["", "best, x floor", "final", "recall", "seconds"], rows))
    print(f"\n{device.name()}, {device.training_precision()}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "quick", "STANDIN": "never"}
    main(sys.argv[1:])
