"""Trainings that differ in one thing each, in folders of their own: what two benchmarks share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


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
