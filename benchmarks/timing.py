"""What the benchmarks time and count with."""

from __future__ import annotations

import collections
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

TASK, HANDED = "a task of the pool", "handed to the pool"


def wait_for(results: Any) -> None:
    """Wait until a step is done: a device may still compute what it has returned."""
    for value in tf.nest.flatten(results):
        value.numpy()


def in_turns(
    steps: Mapping[Any, Callable[[], Any]], turns: int, calls: int = 1
) -> dict[Any, list[float]]:
    """Return the seconds of a call of each step, taken in turns.

    Args:
        steps: what to time; they return tensors. A first call of each, which compiles, does not
            count.
        turns: how often all are timed, one after the other.
        calls: calls in a row that are timed together.
    """
    found = {name: [] for name in steps}
    for turn in range(turns + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            for _ in range(calls if turn else 1):
                results = step()
            wait_for(results)
            if turn:
                found[name].append((time.perf_counter() - began) / calls)
    return found


def spread(seconds: list[float]) -> str:
    """Return the median and the middle half as text, in milliseconds."""
    low, middle, high = np.percentile(np.multiply(seconds, 1000), (25, 50, 75))
    digits = 1 if middle < 100 else 0
    return f"{middle:,.{digits}f} ms ({low:,.{digits}f} to {high:,.{digits}f})"


def operations(step: Callable, *arguments: tf.Tensor) -> float:
    """Count the multiplications and additions of a step's convolutions and matrix products.

    Taken from its graph, without what no result needs. A multiply-add counts as two, whatever
    a kernel does in fact.
    """
    graph = tf.function(step).get_concrete_function(*arguments).graph
    needed, waiting = set(), [x.op for x in graph.outputs] + list(graph.control_outputs)
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += [x.op for x in op.inputs] + list(op.control_inputs)
    return sum(_operations(op) for op in needed)


def _operations(op: tf.Operation) -> float:
    shapes = [x.shape for x in (*op.inputs, *op.outputs)]
    if op.type == "MatMul":
        depth = shapes[0][0] if op.get_attr("transpose_a") else shapes[0][1]
        return 2.0 * depth * shapes[2].num_elements()
    if not op.type.startswith("Conv2D"):
        return 0.0
    # The kernel meets each pixel on the side of the convolution's output once, in all three.
    at = {"Conv2D": 1, "Conv2DBackpropInput": 1, "Conv2DBackpropFilter": 3}[op.type]
    return 2.0 * shapes[at].num_elements() * shapes[2][:-1].num_elements()


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
