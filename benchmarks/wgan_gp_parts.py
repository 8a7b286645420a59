"""What breaks lesson 05: four mistakes at `quick`, beside three seeds of the page as it is.

    python -m benchmarks.wgan_gp_parts [NUMBER ...]

A run takes some ten minutes on one CPU core. It can be stopped, and goes on when it is run again.
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

FOLDER = output_dir() / "benchmarks" / "wgan_gp_parts"
ALPHA = "alpha = device.part(rng.uniform((BATCH_SIZE, 1, 1, 1)))"
BETWEEN = "between = fake + alpha * (real - fake)"
RUNS: dict[str, tuple[int, list[tuple[str, str]]]] = {  # seed, changes; listed beforehand
    "as it is, seed 1": (1, []),
    "as it is, seed 2": (2, []),
    "as it is, seed 3": (3, []),
    "alpha from N(0, 1)": (1, [(ALPHA, ALPHA.replace("uniform", "normal"))]),
    "one alpha for the batch": (1, [(ALPHA, "alpha = rng.uniform((1, 1, 1, 1))")]),
    "penalty at real images only": (1, [(BETWEEN, "between = tf.identity(real)")]),
    "batch norm in the critic": (1, [("batch_norm=False", "batch_norm=True")]),
}


def measured(name: str) -> dict[str, Any]:
    """Train a run, go on with it, or open it, and return what the table shows of it."""
    seed, changes = RUNS[name]
    page = pages.Page("05_wgan_gp")
    page.set(SEED=seed)
    for change in changes:
        page.change(*change)
    return arms.measured_digits(page)


def main(numbers: list[str]) -> None:
    """Train and measure; unless only some runs were asked for, print the table."""
    found = arms.train(FOLDER, [*RUNS], numbers, arms.measured_once(measured))
    if numbers:
        return
    columns = "best", "final", "recall"
    rows = [[name, *(f"{x[column]:.3g}" for column in columns)] for name, x in found.items()]
    print(tables.markdown(["", *columns], rows))
    for name, x in found.items():
        print(name, [round(score, 1) for score in x["scores"]], f"{x['seconds']:.0f} s")
    print(f"\n{device.name()}, {device.training_precision()}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "quick", "STANDIN": "never"}
    main(sys.argv[1:])
