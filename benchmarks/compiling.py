"""Does XLA pay on this machine? What a lesson's constant XLA is decided by.

    python -m benchmarks.compiling [LESSON ...]

The update of a lesson at `quick`, averages included, on one batch: with XLA and without, in
turns, in the precision that the lesson trains in here. XLA knows no bfloat16 on a CPU, and then
computes in float32. Of lesson 09 the first stage. Nothing else may run.
"""

from __future__ import annotations

import functools
import os
import sys
import tempfile

import matplotlib
import tensorflow as tf

from benchmarks import overhead, timing
from utils import device, runtime

TURNS = 9
CALLS = 50  # in a turn, of a step on digits


def measure(lesson: str) -> None:
    """Print a lesson's rows."""
    trainer, given = overhead.until_training(lesson)
    batch = next(iter(given["dataset"].from_step(0)))
    calls = {}
    for name, xla in ("without XLA", False), ("with XLA", True):
        step = tf.function(trainer._update, jit_compile=xla)
        calls[name] = functools.partial(step, batch)
    with device.precision(device.training_precision(), trainer.parts.values()):
        found = timing.in_turns(calls, TURNS, CALLS if lesson < "07" else 1)
    middle = {name: sorted(seconds)[len(seconds) // 2] for name, seconds in found.items()}
    for name, seconds in found.items():
        ratio = middle["without XLA"] / middle[name]
        print(f"| {lesson} | {name} | {timing.spread(seconds)} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    os.environ |= {"PRESET": "quick", "STANDIN": "never"}
    matplotlib.use("agg")
    for lesson in sys.argv[1:] or overhead.LESSONS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["OUTPUT_DIR"] = folder
            measure(lesson)
    print(f"{device.name()}, {runtime.versions()}")
