"""What two updates of a page's step do, from a given state and batch: `tools.records` compares it.

    python update.py CHECKOUT LESSON TRAINING FILE

Runs in this or in an older checkout of the project, so it imports nothing but that one's `utils`.
FILE (.npz) holds state and batch, and gets what the updates make of them; where there is none it
is written first, from the page's own start and first batch, with two updates to leave the zeros.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np


def pages_of_now() -> Any:
    """Return this checkout's tools/pages.py, whatever checkout is worked in."""
    spec = importlib.util.spec_from_file_location("pages", Path(__file__).with_name("pages.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Reached(Exception):
    """The training that was looked for is about to begin."""


def reach(checkout: Path, lesson: str, training_name: str) -> tuple[Any, Any]:
    """Execute a page's cells up to a training; return its Trainer, ready to fit, and data.

    Trainings before it open their records.

    Args:
        checkout: root of the project, with its notebooks.
        lesson: name of the page.
        training_name: name of the training's record, for instance "09_srgan".
    """
    os.chdir(checkout / "notebooks")
    sys.path.insert(0, str(checkout))
    import matplotlib.pyplot as plt

    from utils import training

    plt.switch_backend("agg")
    found = []
    original = training.Trainer.fit

    def fit(
        trainer: Any, dataset: Any, rounds: int, steps_per_round: int, *rest: Any, **named: Any
    ):
        if trainer.lesson == training_name:
            trainer.dataset = dataset
            trainer.steps_per_round = steps_per_round
            found.extend((trainer, dataset))
            raise Reached
        return original(trainer, dataset, rounds, steps_per_round, *rest, **named)

    training.Trainer.fit = fit
    with contextlib.suppress(Reached):
        pages_of_now().Page(checkout / "notebooks" / f"{lesson}.ipynb").execute({})
    training.Trainer.fit = original
    return tuple(found)


def variables(trainer: Any) -> dict[str, Any]:
    """Return the variables of the parts by name, in either form of Trainer."""
    every = trainer.state.variables if hasattr(trainer, "state") else trainer.variables
    return {name: v for name, v in every.items() if name.split("/")[0] in trainer.parts}


def values(trainer: Any) -> dict[str, np.ndarray]:
    """Return their values."""
    import keras

    return {name: keras.ops.convert_to_numpy(v) for name, v in variables(trainer).items()}


def updates(trainer: Any, batch: Any, count: int = 2) -> dict[str, np.ndarray]:
    """Run the step op by op; return its results and all variables."""
    found = {}
    for i in range(count):
        for name, value in trainer.step(batch).items():
            found[f"result {i} {name}"] = np.asarray(value)
    return found | values(trainer)


def as_arrays(batch: Any) -> dict[str, np.ndarray]:
    """Return the tensors of a batch by number."""
    several = batch if isinstance(batch, tuple) else (batch,)
    return {f"batch {i}": np.asarray(tensor) for i, tensor in enumerate(several)}


def main(checkout: str, lesson: str, training_name: str, file: str) -> None:
    """Write the file, or do the updates from what it holds."""
    import tensorflow as tf

    trainer, dataset = reach(Path(checkout), lesson, training_name)
    if not Path(file).exists():
        batch = next(iter(dataset.from_step(0)))
        updates(trainer, batch)
        given = {f"state {name}": value for name, value in values(trainer).items()}
        np.savez(file, **given, **as_arrays(batch))
    with np.load(file) as opened:
        given = dict(opened)
    for name, variable in variables(trainer).items():
        variable.assign(given[f"state {name}"])
    tensors = [tf.constant(given[name]) for name in sorted(given) if name.startswith("batch ")]
    made = updates(trainer, tuple(tensors) if len(tensors) > 1 else tensors[0])
    np.savez(file, **given, **{f"made {name}": value for name, value in made.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
