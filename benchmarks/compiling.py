"""Does XLA pay on this machine? What a lesson's constant XLA is decided by.

    python -m benchmarks.compiling [LESSON ...] [--turns N]

The update of a lesson at `quick`, averages included, on one batch: with XLA and without, in
turns, in the precision that the lesson trains in here. XLA knows no bfloat16 on a CPU, and then
computes in float32. Of lesson 09 the first stage. Last in a row: the seconds of the first call,
in which the update is traced and compiled. Nothing else may run.
"""

from __future__ import annotations

import argparse
import functools
import os
import tempfile
import time

import matplotlib
import tensorflow as tf

from benchmarks import overhead, timing
from utils import device, runtime

TURNS = 9
CALLS = 50  # in a turn, of a step on digits


def measure(lesson: str, turns: int) -> None:
    """Print a lesson's rows."""
    trainer, given = overhead.until_training(lesson)
    batch = next(iter(given["dataset"].from_step(0)))
    calls = {}
    for name, xla in ("without XLA", False), ("with XLA", True):
        step = tf.function(trainer._update, jit_compile=xla)
        calls[name] = functools.partial(step, batch)
    compiling = {}
    with device.precision(device.training_precision(), trainer.parts.values()):
        for name, call in calls.items():
            began = time.perf_counter()
            timing.wait_for(call())
            compiling[name] = time.perf_counter() - began
        found = timing.in_turns(calls, turns, CALLS if lesson < "07" else 1)
    middle = {name: sorted(seconds)[len(seconds) // 2] for name, seconds in found.items()}
    for name, seconds in found.items():
        ratio = middle["without XLA"] / middle[name]
        row = lesson, name, timing.spread(seconds), f"{ratio:.2f}", f"{compiling[name]:.0f} s"
        print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    os.environ["PRESET"] = "quick"
    os.environ.setdefault("STANDIN", "never")
    matplotlib.use("agg")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lesson", nargs="*", default=overhead.LESSONS)
    parser.add_argument("--turns", type=int, default=TURNS)
    chosen = parser.parse_args()
    for lesson in chosen.lesson:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["OUTPUT_DIR"] = folder
            measure(lesson, chosen.turns)
    print(f"{device.name()}, {runtime.versions()}")
