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
import re
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import keras
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import steps, timing
from utils import runtime

STEPS = 10
SHOWN = 9
TASK, HANDED = "a task of the pool", "handed to the pool"


def kinds(folder: str, xla: bool) -> collections.Counter:
    """Return the seconds of each kind of operation in the only profile of a folder.

    An event's time is its own, without that of events within it. Kernels of XLA hand work to other
    threads and do not wait for it: it is theirs too. Those of TensorFlow wait, which counts.
    """
    (path,) = Path(folder).rglob("*.xplane.pb")
    space, spans, handed = xplane_pb2.XSpace(), [], {}
    space.ParseFromString(path.read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            within: list[list] = []  # the events around this moment, innermost last
            for start, end, kind, task in sorted(_events(plane, line), key=lambda e: (e[0], -e[1])):
                while within and within[-1][1] <= start:
                    within.pop()
                if kind == HANDED:
                    handed[task] = within[-1][2] if within else None
                    continue
                if within:
                    end = min(end, within[-1][1])
                    within[-1][3] -= end - start
                name = (TASK, task) if kind == TASK else kind
                spans.append([start, end, name, end - start])
                within.append(spans[-1])
    found = collections.Counter()
    for *_, kind, own in spans:
        while isinstance(kind, tuple):
            kind = handed.get(kind[1]) if xla else None
        if kind:
            found[kind] += own / 1e12
    return found


def _events(
    plane: xplane_pb2.XPlane, line: xplane_pb2.XLine
) -> Iterator[tuple[int, int, str | None, int]]:
    """Yield start, end, kind and task of what a thread did; kind None: not an operation."""
    began = None
    for event in sorted(line.events, key=lambda e: e.offset_ps):
        start, end = event.offset_ps, event.offset_ps + event.duration_ps
        stats = {plane.stat_metadata[s.metadata_id].name: s.int64_value for s in event.stats}
        name, _, kind = plane.event_metadata[event.metadata_id].name.rpartition(":")
        if kind == "StartRegion":
            began = start, stats["_c"]
        elif kind == "StopRegion" and began:
            yield began[0], start, TASK, began[1]
        elif kind == "Record":
            yield start, start, HANDED, stats["_p"]
        elif "hlo_op" in stats:  # XLA
            yield start, end, re.sub(r"\.\d+$", "", kind), 0
        elif not name.startswith("end"):
            wrapper = not name or name.endswith(":") or kind.startswith((" ", "__"))
            yield start, end, None if wrapper else kind, 0


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


def profile(step: Callable, batch: tuple, xla: bool) -> collections.Counter:
    """Return the seconds of threads by kind of operation that STEPS calls take."""
    compiled = tf.function(step, jit_compile=xla)
    with runtime.precision(runtime.training_precision()), tempfile.TemporaryDirectory() as at:
        for _ in range(3):
            compiled(*batch)
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)
        with tf.profiler.experimental.Profile(at, options):
            for _ in range(STEPS):
                [float(x) for x in compiled(*batch).values()]
        return kinds(at, xla)


def main(cases: list[str]) -> None:
    """Print both tables of all cases."""
    print("| | XLA | kind of operation | ms a step | share |\n|---|---|---|---|---|")
    for case in cases or steps.CASES:
        steps.start(case)
        pair, batch = steps.CASES[case]()
        for xla in (False, True)[: 1 + runtime.xla_pays(pair["lesson"], *batch)]:
            found = profile(pair["lesson"], batch, xla)
            for kind, seconds in found.most_common(SHOWN):
                row = f"{1000 * seconds / STEPS:.1f} | {seconds / found.total():.0%} |"
                print(f"| {case} | {'yes' if xla else 'no'} | {kind} | {row}", flush=True)
    print("\n| | step | its optimizers alone | share |\n|---|---|---|---|")
    for case in cases or steps.CASES:
        print(optimizers(case), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
