"""What the benchmarks time with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf


def in_turns(
    steps: Mapping[str, Callable[[], dict[str, tf.Tensor]]], turns: int, calls: int = 1
) -> dict[str, list[float]]:
    """Return the seconds of a call of each step, taken in turns.

    Args:
        steps: what to time. A first call of each, which compiles, does not count.
        turns: how often all are timed, one after the other.
        calls: calls in a row that are timed together.
    """
    found = {name: [] for name in steps}
    for turn in range(turns + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            for _ in range(calls if turn else 1):
                results = step()
            [float(x) for x in results.values()]  # waits for the last one
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
