"""What a training costs beside its step: the loop of `fit`, panel, samples, scores, saving, data.

    python -m benchmarks.overhead [LESSON ...]

Executes a page at `quick` up to its training, then calls `Trainer.fit` with rounds of a few
seconds. After each round, and so in turns with it, the update that `fit` has compiled runs in a
bare loop over the same data; then on one batch again and again; then the data come alone.

`fit` is the median of how much longer than the bare loop a round takes without samples, scores
and saving: callbacks, results and the panel as in a notebook; the goal is 2 %. The other shares
are of the time of the bare loop in the lesson's own rounds, with as many scores as the whole
training has, the first of which compiles. Last the seconds from `make run` to the end of a first
round of two updates. Nothing else may run.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import matplotlib

from benchmarks import timing
from tools import pages
from utils import device, options, panel, runtime, training

LESSONS = ("01_gan", "02_dcgan", "04_lsgan", "05_wgan_gp", "06_cgan", "07_cyclegan", "09_srgan")
TURNS = 11
LONGEST = 3  # seconds of a turn


class Reached(Exception):
    """The page wants to train."""


def until_training(lesson: str) -> tuple[training.Trainer, dict[str, Any]]:
    """Execute a page's cells until `fit` is called; return the Trainer and the arguments."""
    reached = []
    signature = inspect.signature(training.Trainer.fit)

    def fit(*arguments: Any, **named: Any) -> None:
        bound = signature.bind(*arguments, **named)
        bound.apply_defaults()
        reached.append(bound.arguments)
        raise Reached

    with mock.patch.object(training.Trainer, "fit", fit), contextlib.suppress(Reached):
        pages.Page(lesson).execute({})
    given = reached[0]
    return given.pop("self"), given


class Clock:
    """Notes seconds by name."""

    def __init__(self) -> None:
        self.found: dict[str, list[float]] = defaultdict(list)

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note what a block takes."""
        began = time.perf_counter()
        yield
        self.found[name].append(time.perf_counter() - began)

    def around(self, name: str, function: Callable) -> Callable:
        """Return a function that does the same and notes what a call takes."""

        @functools.wraps(function)
        def noted(*arguments: Any, **named: Any) -> Any:
            with self.timed(name):
                return function(*arguments, **named)

        return noted

    def median(self, name: str) -> float:
        """Return the median of what was noted."""
        return statistics.median(self.found[name])


class Turns(keras.callbacks.Callback):
    """Times the rounds of `fit`, and after each of them what they are compared with.

    The first round, which compiles, does not count: it decides of how many steps the others are.

    Args:
        trainer: trains with this callback, the last one.
        steps: of a round at most.
        clock: gets the seconds of a turn: "fit", "bare", "waiting", "step", "data".
    """

    def __init__(self, trainer: training.Trainer, steps: int, clock: Clock) -> None:
        super().__init__()
        self.trainer = trainer
        self.steps = steps
        self.clock = clock
        self.compile = trainer._compiled
        trainer._compiled = self._compiled
        trainer._save = clock.around("save", trainer._save)

    def _compiled(self) -> Callable:
        self.update = self.compile()  # the last one is what trains
        return self.update

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Prepare the data of the bare loop."""
        self.batches = iter(device.batches(self.trainer.dataset, 0))
        self.batch = next(self.batches)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Begin a turn."""
        self.saves = len(self.clock.found["save"])
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Note the round, and do the rest of the turn."""
        seconds = time.perf_counter() - self.began
        found = self.clock.found
        found["fit"].append(seconds - sum(found["save"][self.saves :]))
        if epoch == 0:
            self._choose_steps()
            return
        few = self.trainer.steps_per_round
        self._bare_loop(few)
        with self.clock.timed("step"):
            for _ in range(few):
                results = self.update(self.batch)
            timing.wait_for(results)
        with self.clock.timed("data"):
            data = iter(device.batches(self.trainer.dataset, 0))
            for _ in range(few):
                next(data)

    def _choose_steps(self) -> None:
        self._bare_loop(1)
        seconds = self.clock.found["bare"][-1]
        self.trainer.steps_per_round = min(self.steps, max(3, round(LONGEST / seconds)))
        self.clock.found.clear()

    def _bare_loop(self, few: int) -> None:
        waited = 0.0
        with self.clock.timed("bare"):
            for _ in range(few):
                asked = time.perf_counter()
                batch = next(self.batches)
                waited += time.perf_counter() - asked
                results = self.update(batch)
            timing.wait_for(results)
        self.clock.found["waiting"].append(waited)


class InNotebook(panel.Panel):
    """Makes what a notebook shows, wherever it runs, and notes what that takes as "panel"."""

    def __init__(self, clock: Clock, progress: panel.Progress) -> None:
        super().__init__(progress)
        self.show = clock.around("panel", panel.Notebook(progress))


def measure(lesson: str) -> str:
    """Return a lesson's row."""
    trainer, given = until_training(lesson)
    clock = Clock()
    turns = Turns(trainer, given["steps_per_round"], clock)
    changed = {"rounds": TURNS + 1, "steps_per_round": 2, "score": None, "callbacks": [turns]}
    changed["sample"] = clock.around("samples", given["sample"])
    with mock.patch.object(panel, "Panel", functools.partial(InNotebook, clock)):
        trainer.fit(**given | changed)
    traces = turns.update.experimental_get_tracing_count()
    assert traces == 1, f"{lesson}: the step was traced {traces} times"
    return f"| {lesson} | {' | '.join(cells(clock, trainer.steps_per_round, given))} |"


def cells(clock: Clock, few: int, given: dict[str, Any]) -> list[str]:
    """Return what a row says of turns of a few steps, and of the lesson's own rounds."""
    both = zip(clock.found["fit"], clock.found["bare"], strict=True)
    step = clock.median("bare") / few
    one_round = step * given["steps_per_round"]
    samples = clock.median("samples")
    beside = {
        "panel": clock.median("panel") * (1 + one_round / max(panel.EVERY, step)),
        "samples": samples,
        "scores": seconds_of_scores(given) / given["rounds"],
        "saving": clock.median("save") - samples,
    }
    return [
        f"{1000 * clock.median('step') / few:.1f} ms",
        f"{clock.median('waiting') / clock.median('bare'):.1%}",
        f"{given['dataset'].batch_size * few / clock.median('data'):,.0f}",
        f"{statistics.median(fit / bare for fit, bare in both) - 1:+.1%}",
        *(f"+{seconds / one_round:.1%}" for seconds in beside.values()),
    ]


def seconds_of_scores(given: dict[str, Any]) -> float:
    """Return what all scores of a training take."""
    clock = Clock()
    score = clock.around("score", given["score"])
    score()  # compiles
    score()
    first, later = clock.found["score"]
    return first + later * (math.ceil(given["rounds"] / given["score_every"]) - 1)


def seconds_to_first_round(lesson: str) -> float:
    """Return the seconds from the command to the end of the first round of two updates."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"OUTPUT_DIR": folder, "PRESET": "smoke"}
        began = time.perf_counter()
        command = [sys.executable, "-m", "tools.project", "run", lesson]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        running = subprocess.Popen(command, env=environment, cwd=options.ROOT, **silent)
        while not list(Path(folder).rglob("round-00001.npz")) and running.poll() is None:
            time.sleep(0.05)
        seconds = time.perf_counter() - began
        running.terminate()
        running.wait()
    return seconds


def main(lessons: list[str]) -> None:
    """Measure all, print the table in Markdown."""
    matplotlib.use("agg")
    print("| | step | waits for data | images a second, data alone | `fit` ", end="")
    print("| panel | samples | scores | saving |\n" + "|---" * 9 + "|", flush=True)
    for lesson in lessons or LESSONS:
        if len(lessons) == 1:
            with (
                tempfile.TemporaryDirectory() as folder,
                open(os.devnull, "w", encoding="utf-8") as nowhere,
                contextlib.redirect_stdout(nowhere),
            ):
                os.environ["OUTPUT_DIR"] = folder
                row = measure(lesson)
            print(row, flush=True)
        else:  # each in a process of its own
            command = [sys.executable, "-m", "benchmarks.overhead", lesson]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            print(text.splitlines()[2], flush=True)
    if len(lessons) != 1:
        seconds = statistics.median([seconds_to_first_round("02_dcgan") for _ in range(3)])
        print(f"\n`make run` to the end of a first round of two updates: {seconds:.1f} s")
        print(f"{device.name()}, {runtime.versions()}")


if __name__ == "__main__":
    os.environ["PRESET"] = "quick"
    os.environ.setdefault("STANDIN", "never")
    main(sys.argv[1:])
