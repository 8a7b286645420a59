"""What a Trainer is given, and what is returned to it: refused in a sentence where it is wrong."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from utils import callbacks, device
from utils.datasets import Dataset
from utils.options import at_least

OWN = ("round", "step", "seconds", "score", "samples", "diversity")  # of the history


def arguments(
    dataset: Any, snapshots: Any, more: Any, rounds: int, steps_per_round: int, score_every: int
) -> None:
    """Check what `Trainer.fit` is given; `more` are its callbacks.

    Raises:
        TypeError: the data are of no kind that a run can be known by.
        ValueError: a number is none that is meant; the message names it.
    """
    at_least(1, rounds=rounds, steps_per_round=steps_per_round, score_every=score_every)
    callbacks.check(more)
    if not isinstance(dataset, Dataset):
        raise TypeError(
            f"dataset is of the kind {type(dataset).__name__}: use datasets.mnist, "
            "datasets.folder, datasets.ImageData for arrays, or another datasets.Dataset."
        )
    for number in snapshots if isinstance(snapshots, Iterable) else [repr(snapshots)]:
        at_least(0, snapshots=number)
        if number > rounds:
            raise ValueError(f"snapshots={number}: the training has {rounds} rounds.")


@tf.autograph.experimental.do_not_convert
def results(found: Any) -> tuple[dict[str, Any], str]:
    """Return the results of a step that is traced, and what is wrong with them, or "".

    Wrong ones are replaced. No error is raised, because it would be told with all lines of the
    trace.
    """
    wrong = ""
    if not isinstance(found, dict) or not found:
        wrong = f'{type(found).__name__}: return a dict of scalars, such as {{"loss": loss}}'
        found = {}
    for name, values in found.items():
        value = tf.distribute.get_strategy().experimental_local_results(values)[0]
        shape = tf.TensorShape(getattr(value, "shape", ()))
        if name in OWN or not isinstance(name, str):
            wrong = f"{name!r}, which is no name for a result: take another"
        elif not hasattr(value, "shape") and not isinstance(value, numbers.Real):
            wrong = f"{name} as {type(value).__name__}: return a scalar"
        elif shape.rank:
            wrong = f"{name} of shape {shape}: return a scalar, such as tf.reduce_mean({name})"
    return ({"wrong": 0.0}, f"train_step returns {wrong}.") if wrong else (found, "")


def score(value: Any) -> float:
    """Return a score with five digits.

    Raises:
        ValueError: it is no finite number.
    """
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"score returned {value!r}: return a finite number; lower is better.")
    return float(f"{number:.5g}")


def is_best(history: list[dict[str, Any]]) -> bool:
    """Tell whether the last score is below all others of as many samples, as only these compare."""
    *before, last = [row for row in history if row.get("score") is not None]
    samples = last["samples"]
    known = [row["score"] for row in before if row.get("samples", samples) == samples]
    if before and not known:
        device.say(f"Scores are of {samples} samples now, so the best weights are chosen anew.")
    return not any(last["score"] >= score for score in known)  # a NaN, of older runs, is no best
