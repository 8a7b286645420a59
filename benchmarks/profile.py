"""Where a training step spends its time, by kind of operation, from TensorFlow's profiler.

    python -m benchmarks.profile [CASE ...]

The cases are those of `benchmarks.steps`. An operation's time is that of its kernel on one of the
machine's threads, or with XLA on all of them; kernels run beside each other, so the sum is more
than the step. Without XLA, and with it where a Trainer would take it: XLA makes one kernel of many
operations (a fusion), and names it.
A second table has what the optimizers alone take of a step. Nothing else may run.
"""

from __future__ import annotations

import collections
import statistics
import sys
import tempfile
from collections.abc import Callable
from unittest import mock

import keras
import tensorflow as tf

from benchmarks import steps, timing
from utils import device

STEPS = 10
TURNS = 11
SHOWN = 9


def updates(step: Callable, batch: tuple) -> Callable[[], dict[str, tf.Tensor]]:
    """Return a function that does what the optimizers of a step do, with fixed gradients."""
    found = []

    def apply(optimizer: keras.optimizers.Optimizer, gradients: list, variables: list) -> None:
        found.append((optimizer, variables))

    with mock.patch.object(keras.optimizers.Optimizer, "apply", apply):
        tf.function(step).get_concrete_function(*batch)

    def alone() -> dict[str, tf.Tensor]:
        for optimizer, variables in found:
            optimizer.apply([tf.fill(v.shape, 1e-3) for v in variables], variables)
        return {"done": tf.constant(0.0)}

    return alone


def optimizers(name: str) -> str:
    """Return a case's row: the step, and what its optimizers alone take."""
    steps.start(name)
    case = steps.CASES[name]()
    alone = tf.function(updates(case.sides["lesson"], case.batch), jit_compile=case.xla)
    step = case.compiled("lesson")
    calls = {"step": lambda: step(*case.batch), "alone": alone}
    with device.precision(device.training_precision(), case.networks):
        found = timing.in_turns(calls, turns=TURNS, calls=20 if name < "lesson 07" else 2)
    share = statistics.median(found["alone"]) / statistics.median(found["step"])
    spreads = " | ".join(timing.spread(seconds) for seconds in found.values())
    return f"| {name} | {spreads} | {share:.0%} |"


def profile(case: steps.Case, xla: bool) -> collections.Counter:
    """Return the seconds of threads by kind of operation that STEPS calls take."""
    compiled = tf.function(case.sides["lesson"], jit_compile=xla)
    precision = device.precision(device.training_precision(), case.networks)
    with precision, tempfile.TemporaryDirectory() as at:
        for _ in range(3):
            compiled(*case.batch)
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)
        with tf.profiler.experimental.Profile(at, options):
            for _ in range(STEPS):
                timing.wait_for(compiled(*case.batch))
        return timing.kinds(at, xla)


def main(names: list[str]) -> None:
    """Print both tables of all cases."""
    print("| | XLA | kind of operation | ms a step | share |\n|---|---|---|---|---|")
    for name in names or steps.CASES:
        steps.start(name)
        case = steps.CASES[name]()
        for xla in (False, True)[: 1 + case.xla]:
            found = profile(case, xla)
            for kind, seconds in found.most_common(SHOWN):
                row = f"{1000 * seconds / STEPS:.1f} | {seconds / found.total():.0%} |"
                print(f"| {name} | {'yes' if xla else 'no'} | {kind} | {row}", flush=True)
    print("\n| | step | its optimizers alone | share |\n|---|---|---|---|")
    for name in names or steps.CASES:
        print(optimizers(name), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
