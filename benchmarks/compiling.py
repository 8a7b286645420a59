"""Do XLA, and several steps in one call, pay on this machine?

    python -m benchmarks.compiling [LESSON ...]

The step of a lesson at `quick` in turns: a bare loop, the same compiled by XLA, `fit`, and `fit`
with `steps_per_execution=5`. Nothing else may run.
"""

from __future__ import annotations

import os
import sys
import tempfile

os.environ |= {"PRESET": "quick", "STANDIN": "never"}

import matplotlib
import tensorflow as tf

from benchmarks import overhead, timing
from utils import loop, runtime

LESSONS = "01_gan", "02_dcgan"
STEPS = 50  # in a turn


def measure(lesson: str) -> None:
    """Print a lesson's rows."""
    trainer, (dataset, *_), _ = overhead.until_training(lesson)
    calls = {}
    for name, xla in ("a loop", False), ("a loop, XLA", True):
        step, batches = tf.function(trainer.update, jit_compile=xla), dataset.from_step(0)

        def bare(step=step, batches=batches):
            for batch in batches.take(STEPS):
                results = step(batch)
                overhead.wait_for(results)
            return results

        calls[name] = bare
    for together in 1, 5:
        model, batches = loop.Compiled(trainer.update), dataset.from_step(0)
        model.compile(jit_compile=False, steps_per_execution=together)

        def fit(model=model, batches=batches):
            model.fit(batches, steps_per_epoch=STEPS, verbose=0)
            return {}

        calls[f"fit, {together} a call"] = fit
    with runtime.precision(runtime.training_precision()):
        found = timing.in_turns(calls, turns=9)
    middle = {name: sorted(seconds)[len(seconds) // 2] for name, seconds in found.items()}
    for name, seconds in found.items():
        ratio = middle["a loop"] / middle[name]
        spread = timing.spread([s / STEPS for s in seconds])
        print(f"| {lesson} | {name} | {spread} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    matplotlib.use("agg")
    for lesson in sys.argv[1:] or LESSONS:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["OUTPUT_DIR"] = folder
            measure(lesson)
    print(f"{runtime.device()}, {runtime.versions()}")
