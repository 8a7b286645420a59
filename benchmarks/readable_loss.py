"""Does a loss tell how good the samples are? Lessons 02, 04 and 05, three seeds each, a table.

    python -m benchmarks.readable_loss [NUMBER ...]

Lesson 05 trains as its page does at `long`: 16,000 updates of G in 32 rounds. Lessons 02 and 04
train with as many updates of G, two a step, in as many rounds. All are scored after every round.
At the end, the true earth mover's distance of samples of lesson 05's record is printed.
A run takes some 6 (02, 04) or 28 (05) minutes on one CPU core. It can be stopped, and goes on
when it is run again. With numbers (0 to 8), only these runs are trained. Without numbers the table
is printed, and the picture is written to outputs/gallery/05_losses.png.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy import optimize, spatial

from benchmarks import arms, seeds
from tools import pages
from utils import datasets, device, evaluation, record, tables
from utils.options import ROOT, output_dir

FOLDER = output_dir() / "benchmarks" / "readable_loss"
SHORTER: dict[str, dict[str, int]] = {
    "02_dcgan": {"ROUNDS": 32, "STEPS_PER_ROUND": 250},
    "04_lsgan": {"ROUNDS": 32, "STEPS_PER_ROUND": 250},
    "05_wgan_gp": {},
}
SEEDS = 1, 2, 3
LOSSES = "d_loss", "g_loss"
RUNS = {f"{lesson}, seed {seed}": (lesson, seed) for lesson in SHORTER for seed in SEEDS}


def measured(name: str) -> dict[str, Any]:
    """Train a run, go on with it, or open it; return its history."""
    lesson, seed = RUNS[name]
    page = pages.Page(lesson)
    page.set(SEED=seed, **SHORTER[lesson])
    seeds.score_every_round(page)
    return {"history": page.execute({}, until=("trainer.fit(",), show=("trainer.fit(",))["history"]}


def sign_of(lesson: str, name: str) -> int:
    """Return -1 where minus a loss is what should fall: lesson 05's critic."""
    return -1 if (lesson, name) == ("05_wgan_gp", "d_loss") else 1


def correlations(histories: dict[str, list[list[dict]]]) -> list[list[str]]:
    """Return the rows of the table, as lesson 05 computes them, a number for each seed."""
    page = pages.Page("05_wgan_gp").definitions()
    rows = []
    for lesson, of_seeds in histories.items():
        for name in LOSSES:
            sign = sign_of(lesson, name)
            found = [page.compared(history, name, sign) for history in of_seeds]
            levels, changes = zip(*found, strict=True)
            words = f"{lesson}, {'minus ' * (sign < 0)}{name}"
            rows.append([words, " ".join(levels), " ".join(changes)])
        by_round = [
            page.rank(page.later(history, "round"), page.later(history, "score"))
            for history in of_seeds
        ]
        rows.append([f"{lesson}, number of the round", " ".join(by_round), "–"])
    return rows


def earth_movers(n: int = 2000) -> dict[str, float]:
    """Return the earth mover's distance of n images from n test digits, by the cheapest plan.

    Of samples of lesson 05's record, and of training digits; in the unit of the pixels, -1 to 1.
    """
    page = pages.Page("05_wgan_gp").definitions("generator")
    record.load_networks("05_wgan_gp", averaged_generator=page.generator)
    samples = evaluation.draw(page.generator, n, page.LATENT_DIM, (1, 9))
    train, test = (datasets.mnist(split=x).images[:n] / 127.5 - 1.0 for x in ("train", "test"))
    found = {}
    for name, made in {"samples": samples, "training digits": train}.items():
        costs = spatial.distance.cdist(made.reshape(n, -1), test.reshape(n, -1))
        found[name] = float(costs[optimize.linear_sum_assignment(costs)].mean())
    return found


def draw(histories: dict[str, list[list[dict]]]) -> None:
    """Draw d_loss against the score, and the changes of both, a panel a lesson, a colour a seed."""
    page = pages.Page("05_wgan_gp").definitions()
    figure, grid = plt.subplots(2, len(histories), figsize=(9, 5), layout="constrained")
    for column, (lesson, of_seeds) in enumerate(histories.items()):
        sign = sign_of(lesson, "d_loss")
        above, below = grid[:, column]
        for seed, history in zip(SEEDS, of_seeds, strict=True):
            x = sign * page.later(history, "d_loss")
            y = page.later(history, "score")
            above.plot(x, y, ".", markersize=4, label=f"seed {seed}")
            below.plot(np.diff(x), np.diff(y), ".", markersize=4)
        name = "minus " * (sign < 0) + "d_loss"
        above.set(title=lesson, xlabel=name, ylabel="score", yscale="log")
        below.set(xlabel=f"change of {name}", ylabel="change of the score")
        below.axhline(0, color="gray", linewidth=0.6)
        below.axvline(0, color="gray", linewidth=0.6)
        below.locator_params(axis="x", nbins=3)
    grid[0, 0].legend(fontsize=7)
    figure.savefig(ROOT / "outputs" / "gallery" / "05_losses.png", dpi=80)


def main(numbers: list[str]) -> None:
    """Train; unless only some runs were asked for, print the table and draw the picture."""
    found = arms.train(FOLDER, [*RUNS], numbers, arms.measured_once(measured))
    if numbers:
        return
    histories = {
        lesson: [found[f"{lesson}, seed {seed}"]["history"] for seed in SEEDS] for lesson in SHORTER
    }
    rows = correlations(histories)
    print(tables.markdown(["", "with the score", "of the changes"], rows))
    draw(histories)
    print("\nEarth mover's distance to test digits:", earth_movers())
    for name, run in found.items():
        print(name, [round(row["score"], 1) for row in run["history"]])
    print(f"\n{device.name()}, {device.training_precision()}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "long", "STANDIN": "never"}
    main(sys.argv[1:])
