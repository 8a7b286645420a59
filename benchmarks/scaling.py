"""What a second worker brings: images a second, and what the exchange of gradients costs.

    python -m benchmarks.scaling [LESSON ...]

Each lesson's step at `quick`, in the precision of its page and without XLA: in one process on one
core, in one process on two cores, and in two workers over 127.0.0.1 with a core each, whose batch
is the same one, cut in two. The sides come in turns, each time in new processes. Then two workers
sum vectors of several sizes. From that follows how long several machines would exchange gradients
with networks of 1, 10 and 100 Gbit/s, as a ring (2 (n - 1) / n of the weights to and from each
machine). Nothing else may run.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys

from utils import tables

LESSONS = ("02_dcgan", "05_wgan_gp", "09_srgan")
TURNS = 3
STEPS = 30
FLOATS = (10_000, 100_000, 1_000_000, 10_000_000)
SIDES = {"one core": [[0]], "two cores": [[0, 1]], "two workers": [[0], [1]]}
SPEEDS = {"1 Gbit/s": 1, "10 Gbit/s": 10, "100 Gbit/s": 100, "PCIe 4.0 x 16": 252}  # Gbit/s


def measure(side: str, *what: str) -> list[dict[str, float]]:
    """Let the processes of a side measure; return what each found."""
    cores = SIDES[side]
    ports = [_free_port() for _ in cores]
    running = []
    for number, own in enumerate(cores):
        environment = os.environ | {"PRESET": "quick", "XLA": "0"}
        for name in "TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS":
            environment[name] = str(len(own))
        if len(cores) > 1:
            cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
            task = {"type": "worker", "index": number}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        command = [sys.executable, "-m", "benchmarks.scaling", "--on", ",".join(map(str, own))]
        running.append(
            subprocess.Popen([*command, *what], env=environment, stdout=subprocess.PIPE, text=True)
        )
    outputs = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise RuntimeError(f"{side}: a process has failed; see above.")
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def time_step(lesson: str) -> dict[str, float]:
    """Return the median seconds of a step, its images, what G and D learn, sums over workers."""
    from benchmarks import overhead, timing
    from utils import device

    trainer, given = overhead.until_training(lesson)
    batches = iter(device.batches(given["dataset"], 0))
    with device.precision(device.training_precision(), trainer.parts.values()):
        update = trainer._compiled()
        found = timing.in_turns({"step": lambda: update(next(batches))}, turns=STEPS)
    weights = sum(
        variable.shape.num_elements()
        for part in trainer.parts.values()
        for variable in getattr(part, "trainable_variables", ())
        if not hasattr(part, "learning_rate")
    )
    graph = update.get_concrete_function(next(batches)).graph.as_graph_def()
    nodes = [*graph.node, *(x for function in graph.library.function for x in function.node_def)]
    return {
        "seconds": statistics.median(found["step"]),
        "images": given["dataset"].batch_size,
        "weights": weights,
        "sums": sum(node.op.startswith("CollectiveReduce") for node in nodes),
    }


def time_sums() -> dict[str, float]:
    """Return the median seconds in which the workers sum vectors, by their length."""
    import tensorflow as tf

    from benchmarks import timing
    from utils import runtime

    runtime.start(1)
    strategy = tf.distribute.get_strategy()

    def summed(vector: tf.Tensor) -> tf.Tensor:
        return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(vector))

    calls = {}
    for n in FLOATS:
        vector = tf.zeros(n)
        run = tf.function(lambda v=vector: strategy.run(summed, (v,))[:1])
        calls[n] = run
    found = timing.in_turns(calls, turns=STEPS)
    return {str(n): statistics.median(seconds) for n, seconds in found.items()}


def main(names: list[str]) -> None:
    """Measure all sides in turns, then print the tables."""
    for lesson in names or LESSONS:
        found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _ in range(TURNS):
            for side in SIDES:
                found[side].append(measure(side, lesson)[0])
        seconds = {side: statistics.median(x["seconds"] for x in found[side]) for side in SIDES}
        images, weights = (found["one core"][0][name] for name in ("images", "weights"))
        rows = [
            [side, f"{1000 * s:.1f} ms", f"{images / s:,.0f}", f"{seconds['one core'] / s:.2f}"]
            for side, s in seconds.items()
        ]
        sums = found["two workers"][0]["sums"]
        print(f"\n{lesson}: {images:.0f} images and {sums} sums a step, {weights:,.0f} weights\n")
        print(tables.markdown(["", "a step", "images a second", "faster than one core"], rows))
        rows = [[name, f"{1000 * exchange(weights, 4, x):.2f} ms"] for name, x in SPEEDS.items()]
        print("\nOn paper, the exchange of four machines or devices:\n")
        print(tables.markdown(["network", "a step"], rows))
    sums = measure("two workers", "sums")[0]
    rows = [[f"{int(n):,}", f"{1000 * s:.2f} ms"] for n, s in sums.items()]
    print("\n" + tables.markdown(["floats", "summed over 127.0.0.1"], rows))


def exchange(weights: float, machines: int, gigabits: float) -> float:
    """Return the seconds in which machines sum their gradients in a ring, without latency.

    Args:
        weights: numbers, of 4 bytes each.
        machines: how many.
        gigabits: a second, of the network.
    """
    bits = 32 * weights * 2 * (machines - 1) / machines
    return bits / (gigabits * 1e9)


def _child(cores: str, what: str) -> None:
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    found = time_sums() if what == "sums" else time_step(what)
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--on"]:
        _child(*sys.argv[2:])
    else:
        main(sys.argv[1:])
