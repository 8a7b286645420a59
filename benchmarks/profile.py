"""Where a training step spends its time, by kind of operation, from TensorFlow's profiler.

    python -m benchmarks.profile [CASE ...]

The cases are those of `benchmarks.steps`. An operation's time is that of its kernel on one of the
machine's threads; kernels run beside each other, so the sum is more than the step. Nothing else
may run.
"""

from __future__ import annotations

import collections
import sys
import tempfile
from pathlib import Path

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import steps
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


def main(cases: list[str]) -> None:
    """Print a table of all cases."""
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


if __name__ == "__main__":
    main(sys.argv[1:])
