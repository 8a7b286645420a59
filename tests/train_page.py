"""Trains what a page trains, at `smoke` but for more rounds, and writes all its state to a file."""

import json
import os

import imageio.v3 as iio
import matplotlib.pyplot as plt
import numpy as np

from tools import pages
from utils import training

ROUNDS = {"09_srgan": ("MSE_ROUNDS", "GAN_ROUNDS")}
LAST = {"09_srgan": "second.fit("}  # in the cell of the last training


def state_of(trainer):
    """Return all that a training leaves, but for seconds."""
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in trainer.history]
    found = trainer.state.values()
    found |= {f"frame/{i}": iio.imread(path) for i, path in enumerate(trainer.frames)}
    found["history"] = np.array(json.dumps(rows))
    return {f"{trainer.lesson}/{k}": v for k, v in found.items()}


def train(lesson, rounds, output, file):
    """Execute the page's cells until its trainings are done."""
    os.environ["OUTPUT_DIR"] = output
    plt.switch_backend("agg")
    page, state = pages.Page(lesson), {}
    page.set(**dict.fromkeys(ROUNDS.get(lesson, ("ROUNDS",)), rounds))
    names = page.execute({}, until=[LAST.get(lesson, "trainer.fit(")])
    for found in names.values():
        if isinstance(found, training.Trainer):
            state |= state_of(found)
    assert state, f"{lesson} keeps no Trainer in a name"
    np.savez(file, **state)
