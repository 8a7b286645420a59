"""Three ways to tell D a label: lesson 06 at `quick`, three seeds each, a table.

    python -m benchmarks.cgan_ways [NUMBER ...]

With numbers (0 to 8), only these runs are trained. Each takes some five minutes on one CPU core,
and three to train a classifier on its samples. It can be stopped, and goes on when it is run again.
Without numbers the table is printed, too, with a classifier that is trained on real digits.
"""

from __future__ import annotations

import os
import statistics
import sys
from typing import Any

import numpy as np

from benchmarks import arms
from tools import pages
from utils import datasets, device, evaluation, tables
from utils.options import output_dir
from utils.topics import classes

FOLDER = output_dir() / "benchmarks" / "cgan_ways"
WAYS = "planes", "classifier", "projection"
SEEDS = 1, 2, 3
EPOCHS = 4  # as the page has it
RUNS = {f"{way}, seed {seed}": (way, seed) for way in WAYS for seed in SEEDS}


def measured(name: str) -> dict[str, float]:
    """Train a run, go on with it, or open it, and return what the table shows of it."""
    way, seed = RUNS[name]
    page = pages.Page("06_cgan")
    page.set(WAY=way, SEED=seed)
    last = "on_real = "
    names = page.execute({}, until=(last,), show=("trainer.fit(", last))
    found = {
        "agreement": names["found"]["agreement"],
        "recall by class": names["found"]["recall by class"],
        "recall by class, real": names["found"]["recall by class, floor"],
        "distance": names["scores"]["final"]["times floor"],
        "distance by class": names["found"]["distance by class"]
        / names["found"]["distance by class, floor"],
        "smallest share": names["scores"]["final"]["smallest share"],
        "trained on samples": names["on_real"],
        "seconds": names["history"][-1]["seconds"],
    }
    if way == "classifier":
        found |= own_answers(names)
    return found


def own_answers(names: dict[str, Any]) -> dict[str, float]:
    """Return how often AC-GAN's own D reads its own samples, and real test digits, right."""
    drawn, wanted = names["draw"](names["averaged"], names["SAMPLES"], (names["SEED"], 5))
    found = {}
    for kind, images, labels in (
        ("own D, own samples", drawn, wanted),
        ("own D, test digits", names["test"].images, names["test"].labels),
    ):
        no_label = np.zeros((len(images), names["CLASSES"]), "float32")
        answers = evaluation.in_batches(names["discriminator"], images, no_label)
        found[kind] = float(np.mean(answers[:, 1:].argmax(axis=1) == labels))
    return found


def main(numbers: list[str]) -> None:
    """Train and measure; unless only some runs were asked for, print the table."""
    found = arms.train(FOLDER, [*RUNS], numbers, arms.measured_once(measured))
    if numbers:
        return
    real = datasets.mnist()
    network = classes.train_classifier(real.images, real.labels, seed=1, epochs=EPOCHS)
    accuracy = classes.accuracy(network, datasets.mnist(split="test"))
    print(f"trained on real digits: {accuracy:.2%}")
    rows = []
    for way in WAYS:
        of_way = [found[f"{way}, seed {seed}"] for seed in SEEDS]
        cells = []
        for measure in of_way[0]:
            values = [x[measure] for x in of_way]
            cells.append(f"{statistics.mean(values):.4g} ± {statistics.stdev(values):.2g}")
        rows.append([way, *cells, *[""] * (len(found["classifier, seed 1"]) - len(cells))])
    print(tables.markdown(["", *found["classifier, seed 1"]], rows))
    for name, values in found.items():
        print(name, values)
    print(f"\n{device.name()}, {device.training_precision()}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "quick", "STANDIN": "never"}
    main(sys.argv[1:])
