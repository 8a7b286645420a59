"""Trainings that differ in one thing each, in folders of their own: what benchmarks share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tools.pages import Page
from utils import run as runs
from utils.options import output_dir


def train(
    folder: Path, names: Sequence[str], numbers: Sequence[str], run: Callable[[str], dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Train arms, go on with them, or open them.

    Args:
        folder: gets a folder for each arm, called by its number.
        names: of all arms.
        numbers: which of them to train, as typed; none means all.
        run: executes the page of the arm with a name, and returns the page's names.

    Returns:
        What `run` returned, by the names of the arms.
    """
    arms = {}
    for number in map(int, numbers or range(len(names))):
        os.environ["OUTPUT_DIR"] = str(folder / str(number))
        arms[names[number]] = run(names[number])
        print(names[number], "is trained.", flush=True)
    return arms


def measured_once(measure: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
    """Return a `run` for `train` that keeps what an arm measured in the arm's folder.

    Args:
        measure: trains the arm with a name and measures it, in JSON's values. Not called where
            this was done before.
    """

    def run(name: str) -> dict[str, Any]:
        file = output_dir() / "measured.json"
        if known := runs.read_json(file):
            return known
        found = measure(name)
        runs.write_json(file, found)
        return found

    return run


def measured_digits(page: Page) -> dict[str, Any]:
    """Train a lesson on digits, and return its scores at the best moment and at the end."""
    names = page.execute({}, until=("table(evaluation",), show=("trainer.fit(",))
    scores = names["scores"]
    history = names["history"]
    return {
        "best": scores["best"]["times floor"],
        "final": scores["final"]["times floor"],
        "recall": scores["final"]["recall"],
        "scores": [row["score"] for row in history],
        "d_loss": [row["d_loss"] for row in history],
        "seconds": history[-1]["seconds"],
    }
