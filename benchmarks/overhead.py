"""What a training costs beside its step: `fit`, panel, samples, scores, checkpoints, data.

    python -m benchmarks.overhead [LESSON ...]

Executes a page at `quick` up to its training, then times in turns: the compiled step on one batch
again and again; the same on the lesson's data, and how long it waits for them; Keras' `fit` with
nothing else; the data alone. Then, in two rounds of `Trainer.fit` as the lesson has them, what
part of the time is spent outside `fit`: in the panel, and at the end of a round, with as many
scores as the whole training has, the first of which compiles. Last the seconds from `make run` to
the end of a first round of two updates. Nothing else may run.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ |= {"PRESET": "quick", "STANDIN": "never"}

import keras
import matplotlib
import tensorflow as tf

from tools import pages
from utils import loop, options, runtime, training

LESSONS = ("01_gan", "02_dcgan", "04_lsgan", "07_cyclegan", "09_srgan")
TURNS = 11
LONGEST = 3  # seconds of a turn


class Reached(Exception):
    """The page wants to train."""


class Clock(keras.callbacks.Callback):
    """Notes the ends of three rounds, of which the first compiles, and stops."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.ends.append(time.perf_counter())
        if len(self.ends) == 3:
            raise KeyboardInterrupt


def until_training(lesson: str) -> tuple[training.Trainer, tuple]:
    """Execute a page's cells until `fit` is called; return the Trainer and the arguments."""
    reached = []

    def fit(trainer: training.Trainer, *arguments, **named) -> None:
        reached.append((trainer, arguments, named))
        raise Reached

    original, training.Trainer.fit = training.Trainer.fit, fit
    with contextlib.suppress(Reached):
        pages.Page(lesson).execute({})
    training.Trainer.fit = original
    return reached[0]


def beside(owner: object, name: str, clock: Clock, spent: list[float]) -> None:
    """Note the seconds that a method takes between the ends of the first and the third round."""
    method = getattr(owner, name)

    def timed(*arguments, **named) -> None:
        began = time.perf_counter()
        method(*arguments, **named)
        if clock.ends:
            spent.append(time.perf_counter() - began)

    setattr(owner, name, timed)


def wait_for(results: dict[str, tf.Tensor]) -> None:
    """Wait until a step is done."""
    [float(x) for x in results.values()]


def measure(lesson: str) -> str:
    """Return a lesson's row."""
    trainer, (dataset, rounds, steps, *rest), named = until_training(lesson)
    trainer.panel.in_notebook = True
    batch, found, traces = next(iter(dataset.from_step(0))), {}, 0
    update = trainer.update

    def counted(batch: tf.Tensor) -> dict[str, tf.Tensor]:
        nonlocal traces
        traces += 1
        return update(batch)

    xla, few = runtime.xla_pays(update, batch), 2
    compiled = tf.function(update, jit_compile=xla)

    @contextlib.contextmanager
    def timed(name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        found.setdefault(name, []).append((time.perf_counter() - began) / few)

    for turn in range(TURNS + 1):
        if turn == 1:  # the one before has compiled
            began = time.perf_counter()
            wait_for(compiled(batch))
            few = min(steps, max(3, round(LONGEST / (time.perf_counter() - began))))
            found.clear()
        with runtime.precision(runtime.training_precision()):
            with timed("step"):
                for _ in range(few):
                    wait_for(compiled(batch))
            waited, data = 0.0, iter(dataset.from_step(0))
            with timed("step and data"):
                for _ in range(few):
                    asked = time.perf_counter()
                    given = next(data)
                    waited += time.perf_counter() - asked
                    wait_for(compiled(given))
            found.setdefault("waiting", []).append(waited / few)
            with timed("data"):
                for _ in dataset.from_step(0).take(few):
                    pass
            if not turn:
                model, batches = loop.Compiled(update, xla), dataset.from_step(0)
            with timed("fit"):
                model.fit(batches, steps_per_epoch=few, verbose=0)
    trainer.update, clock, spent = counted, Clock(), []

    def count_from_here(logs: dict | None = None) -> None:
        nonlocal traces
        traces = 0

    clock.on_train_begin = count_from_here
    beside(trainer.panel, "_show", clock, spent)
    beside(trainer, "_end_round", clock, spent)
    scored_every = named.pop("score_every", 1)
    trainer.fit(dataset, 10**6, steps, *rest, **named, score_every=10**6, callbacks=[clock])
    assert traces == 1, f"{lesson}: the step was traced {traces} times"
    inside = (clock.ends[2] - clock.ends[0] - sum(spent)) / 2
    seconds = []
    for _ in range(2):  # the first score compiles
        began = time.perf_counter()
        trainer.score()
        seconds.append(time.perf_counter() - began)
    scores = max(1, rounds // scored_every)
    beside_fit = sum(spent) / 2 + (seconds[0] + (scores - 1) * seconds[1]) / rounds
    middle = {name: statistics.median(seconds) for name, seconds in found.items()}
    step, batch_size = middle["step"], dataset.batch_size
    cells = [
        f"{1000 * step:.1f} ms",
        f"{middle['waiting'] / middle['step and data']:.1%}",
        f"{batch_size / middle['data']:,.0f}",
        f"{middle['fit'] / middle['step and data'] - 1:+.1%}",
        f"+{beside_fit / inside:.1%}",
    ]
    return f"| {lesson} | {' | '.join(cells)} |"


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
    print("| panel, samples, scores, checkpoints |")
    print("|---|---|---|---|---|---|")
    for lesson in lessons or LESSONS:
        if len(lessons) == 1:
            with (
                tempfile.TemporaryDirectory() as folder,
                open(os.devnull, "w") as nowhere,
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
        print(f"{runtime.device()}, {runtime.versions()}")


if __name__ == "__main__":
    main(sys.argv[1:])
