"""Where a training step spends its time, by kind of operation, from TensorFlow's profiler.

    python -m benchmarks.profile [CASE ...]

The cases are those of `benchmarks.steps`. An operation's time is that of its kernel on one of the
machine's threads; kernels run beside each other, so the sum is more than the step. XLA makes one
kernel of many operations, so profiles are without it. A second table has what the optimizers
alone take of a step, both compiled as a Trainer would. Nothing else may run.
"""

from __future__ import annotations

import collections
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import keras
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import steps, timing
from utils import runtime

STEPS = 10
SHOWN = 9


def kinds(folder: str) -> collections.Counter:
    """Return the seconds of each kind of operation in the only profile of a folder."""
    (path,) = Path(folder).rglob("*.xplane.pb")
    space, found = xplane_pb2.XSpace(), collections.Counter()
    space.ParseFromString(path.read_bytes())
    for plane in space.planes:
        names = {key: value.name for key, value in plane.event_metadata.items()}
        for line in plane.lines:
            for event in line.events:
                name, _, kind = names[event.metadata_id].rpartition(":")
                if name and not name.endswith(":") and not kind.startswith(" "):  # else a wrapper
                    found[kind] += event.duration_ps / 1e12
    return found


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


def optimizers(case: str) -> str:
    """Return a case's row: the step, and what its optimizers alone take."""
    steps.start(case)
    pair, batch = steps.CASES[case]()
    xla, alone = runtime.xla_pays(pair["lesson"], *batch), updates(pair["lesson"], batch)
    step, alone = (tf.function(x, jit_compile=xla) for x in (pair["lesson"], alone))
    calls = {"step": lambda: step(*batch), "alone": alone}
    with runtime.precision(runtime.training_precision()):
        found = timing.in_turns(calls, turns=11, calls=20 if case < "lesson 07" else 2)
    share = statistics.median(found["alone"]) / statistics.median(found["step"])
    spreads = " | ".join(timing.spread(seconds) for seconds in found.values())
    return f"| {case} | {spreads} | {share:.0%} |"


def main(cases: list[str]) -> None:
    """Print both tables of all cases."""
    print("| | kind of operation | ms a step | share |\n|---|---|---|---|")
    for case in cases or steps.CASES:
        steps.start(case)
        pair, batch = steps.CASES[case]()
        step = tf.function(pair["lesson"])
        with runtime.precision(runtime.training_precision()), tempfile.TemporaryDirectory() as at:
            for _ in range(3):
                step(*batch)
            tf.profiler.experimental.start(at)
            for _ in range(STEPS):
                [float(x) for x in step(*batch).values()]
            tf.profiler.experimental.stop()
            found = kinds(at)
        whole = found.total()
        for kind, seconds in found.most_common(SHOWN):
            print(f"| {case} | {kind} | {1000 * seconds / STEPS:.1f} | {seconds / whole:.0%} |")
    print("\n| | step | its optimizers alone | share |\n|---|---|---|---|")
    for case in cases or steps.CASES:
        print(optimizers(case), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
