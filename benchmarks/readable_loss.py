"""Does a loss tell how good the samples are? Lessons 02, 04 and 05, three seeds each, a table.

    python -m benchmarks.readable_loss [NUMBER ...]

Lesson 05 trains as its page does at `long`. Lessons 02 and 04 train a quarter as long as theirs,
in which most of their scores are reached, in as many rounds. All are scored after every round.
At the end, the true earth mover's distance of samples of lesson 05's record is printed.
A run takes some 15 (02, 04) or 60 (05) minutes on one CPU core. It can be stopped, and goes on
when it is run again. With numbers (0 to 8), only these runs are trained. Without numbers the table
is printed, and the picture is written to outputs/gallery/05_losses.png.
"""

from __future__ import annotations

import os
import sys
from typing import Any

os.environ |= {"PRESET": "long", "STANDIN": "never"}

import matplotlib.pyplot as plt
import numpy as np
from scipy import optimize, spatial, stats

from benchmarks import arms, seeds
from tools import pages
from utils import datasets, device, evaluation, record, tables
from utils.options import ROOT, output_dir

FOLDER = output_dir() / "benchmarks" / "readable_loss"
SHORTER: dict[str, dict[str, int]] = {
    "02_dcgan": {"ROUNDS": 32, "STEPS_PER_ROUND": 625},
    "04_lsgan": {"ROUNDS": 32, "STEPS_PER_ROUND": 625},
    "05_wgan_gp": {},
}
SEEDS = 1, 2, 3
RUNS = {f"{lesson}, seed {seed}": (lesson, seed) for lesson in SHORTER for seed in SEEDS}
MEASURES = "d_loss", "g_loss", "round"
SIGN = {"05_wgan_gp": {"d_loss": -1}}  # minus the critic's loss is its distance


def measured(name: str) -> dict[str, Any]:
    """Train a run, go on with it, or open it; return its losses and scores by round."""
    lesson, seed = RUNS[name]
    page = pages.Page(lesson)
    page.set(SEED=seed, **SHORTER[lesson])
    if SHORTER[lesson]:
        seeds.score_every_round(page)
    history = page.execute({}, until=("trainer.fit(",), show=("trainer.fit(",))["history"]
    return {column: [row[column] for row in history] for column in (*MEASURES, "score")}


def correlations(run: dict[str, list[float]], lesson: str) -> dict[str, tuple[float, float]]:
    """Return Spearman's rank correlation with the score, and that of the changes, by measure.

    The first tenth of the rounds is left out.
    """
    later = {name: np.array(values[len(values) // 10 :]) for name, values in run.items()}
    found = {}
    for name in MEASURES:
        signed = SIGN.get(lesson, {}).get(name, 1) * later[name]
        pairs = (signed, later["score"]), (np.diff(signed), np.diff(later["score"]))
        found[name] = tuple(float(stats.spearmanr(*pair).statistic) for pair in pairs)
    return found


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


def draw(found: dict[str, dict[str, list[float]]]) -> None:
    """Draw d_loss and g_loss against the score, a panel a lesson, a colour a seed."""
    figure, grid = plt.subplots(2, len(SHORTER), figsize=(9, 5), squeeze=False)
    for column, lesson in enumerate(SHORTER):
        for row, name in enumerate(MEASURES[:2]):
            sign = SIGN.get(lesson, {}).get(name, 1)
            for seed in SEEDS:
                run = found[f"{lesson}, seed {seed}"]
                first = len(run["score"]) // 10
                x, y = (np.array(run[key][first:]) for key in (name, "score"))
                grid[row, column].plot(sign * x, y, ".", markersize=4, label=f"seed {seed}")
            words = "minus " * (sign < 0) + name
            grid[row, column].set(xlabel=words, ylabel="score", yscale="log")
        grid[0, column].set_title(lesson)
    grid[0, 0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(ROOT / "outputs" / "gallery" / "05_losses.png", dpi=80)


def main(numbers: list[str]) -> None:
    """Train; unless only some runs were asked for, print the table and draw the picture."""
    found = arms.train(FOLDER, [*RUNS], numbers, arms.measured_once(measured))
    if numbers:
        return
    rows = []
    for lesson in SHORTER:
        of_seeds = [correlations(found[f"{lesson}, seed {seed}"], lesson) for seed in SEEDS]
        for name in MEASURES:
            levels, changes = zip(*(x[name] for x in of_seeds), strict=True)
            cells = (" ".join(f"{value:+.2f}" for value in x) for x in (levels, changes))
            rows.append([f"{lesson}, {'-' * (name in SIGN.get(lesson, {}))}{name}", *cells])
    print(tables.markdown(["", "with the score", "of the changes"], rows))
    draw(found)
    print("\nEarth mover's distance to test digits:", earth_movers())
    for name, run in found.items():
        print(name, [round(score, 1) for score in run["score"]])
    print(f"\n{device.name()}, {device.training_precision()}")


if __name__ == "__main__":
    main(sys.argv[1:])
