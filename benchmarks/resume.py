"""Does a run that was killed go on to the same numbers on this device? Lesson 02 on a GPU.

    python -m benchmarks.resume [STEPS]

Lesson 02 at `quick`, but for a few short rounds of so many steps (100 by default): trained twice
without a stop, and once killed in the midst of a round and started again, each in processes of its
own. Printed are the largest differences between the weights of the first run and those of the
others, and the seconds of a step. All that twice: as it is, and with TF_DETERMINISTIC_OPS=1. On a
CPU all differences are 0.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from utils import tables

LESSON = "02_dcgan"
ROUNDS = 4


def train(folder: str, steps: int) -> None:
    """Train, or go on; write weights and seconds to `state.npz`. Runs in a process of its own."""
    from tools import pages

    page = pages.Page(LESSON)
    page.set(ROUNDS=ROUNDS)
    page.change("quick=625", f"quick={steps}")
    trainer = page.execute({}, until=("trainer.fit(",))["trainer"]
    last = trainer.history[-1]
    seconds = last["seconds"] - trainer.history[0]["seconds"]  # without the one that compiles
    found = {k: v for k, v in trainer.state.values().items() if v.dtype.kind == "f"}
    np.savez(Path(folder) / "state.npz", seconds=seconds / (steps * (ROUNDS - 1)), **found)


def begin(folder: Path, steps: int, deterministic: bool) -> subprocess.Popen:
    """Start a training whose run lies in a folder."""
    folder.mkdir(exist_ok=True)
    own = {"PRESET": "quick", "OUTPUT_DIR": str(folder), "MPLBACKEND": "agg"}
    own["TF_DETERMINISTIC_OPS"] = str(int(deterministic))
    command = [sys.executable, "-m", "benchmarks.resume", str(steps), str(folder)]
    return subprocess.Popen(command, env=os.environ | own, stdout=subprocess.DEVNULL)


def finished(folder: Path, steps: int, deterministic: bool) -> dict[str, np.ndarray]:
    """Train to the end, and return what the run left.

    Raises:
        RuntimeError: the training failed.
    """
    if begin(folder, steps, deterministic).wait():
        raise RuntimeError("The training failed: see its message above.")
    return dict(np.load(folder / "state.npz"))


def kill(folder: Path, steps: int, deterministic: bool) -> None:
    """Start a training and kill it after its second round.

    Raises:
        RuntimeError: it ended before.
    """
    running = begin(folder, steps, deterministic)
    while not list(folder.rglob("round-00002.npz")):
        if running.poll() is not None:
            raise RuntimeError("The training ended before its second round.")
        time.sleep(0.01)
    running.kill()
    running.wait()


def main(steps: int) -> None:
    """Train all, and print the table."""
    rows = []
    with tempfile.TemporaryDirectory() as root:
        for deterministic in False, True:
            name = "TF_DETERMINISTIC_OPS=1" if deterministic else "as it is"
            folders = [Path(root, f"{kind}-{int(deterministic)}") for kind in ("a", "b", "killed")]
            kill(folders[2], steps, deterministic)
            first, *others = (finished(folder, steps, deterministic) for folder in folders)
            off = [
                max(np.abs(first[k] - other[k]).max() for k in first if k != "seconds")
                for other in others
            ]
            rows.append([name, *(f"{x:.1e}" for x in off), f"{1000 * first['seconds']:.1f} ms"])
    heads = ["", "another run", "killed and continued", "a step"]
    print(tables.markdown(heads, rows))
    from utils import device, runtime

    print(f"\nLargest differences of weights after {ROUNDS * steps} steps of lesson 02. ", end="")
    print(f"{device.name()}, {runtime.versions()}")


if __name__ == "__main__":
    chosen = int(sys.argv[1]) if sys.argv[1:] else 100
    train(sys.argv[2], chosen) if sys.argv[2:] else main(chosen)
