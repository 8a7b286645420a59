"""Trains what a page trains, at `smoke` but for more rounds, and writes all its state to a file.

python -m tests.train_page LESSON ROUNDS FILE
"""

import json
import sys

import matplotlib.pyplot as plt
import numpy as np

from tests import pages
from tools import exercises
from utils import training

TRAININGS = {"09_srgan": 2}  # the others have one


def main(lesson, rounds, file):
    """Execute the page's cells until its trainings are done."""
    plt.switch_backend("agg")
    fit, trained = training.Trainer.fit, []

    def longer(trainer, dataset, _, *arguments, **options):
        fit(trainer, dataset, rounds, *arguments, **options)
        trained.append(trainer)
        return trainer.history

    training.Trainer.fit = longer
    names = {"__name__": "__main__"}
    for number, cell in enumerate(pages.cells(lesson)[1:]):
        exercises.execute(cell.source, f"<{lesson} {number}>", names)
        if len(trained) == TRAININGS.get(lesson, 1):
            break
    state = {}
    for trainer in trained:
        found = {k: np.asarray(v) for k, v in trainer.variables.items()}
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in trainer.history]
        found |= {"frames": np.stack(trainer.frames), "history": np.array(json.dumps(rows))}
        state |= {f"{trainer.lesson}/{k}": v for k, v in found.items()}
    np.savez(file, **state)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
