"""The race: seconds until a DCGAN draws good digits. `make speedrun`.

    python -m benchmarks.speedrun [--page FILE] [SEED ...]

Trains what lesson 02 trains at `quick`, by its own page: nothing is loaded, in float32, with the
seeds 1, 2 and 3, which were named beforehand. Every 20,000 images the averaged generator is
scored: 10,000 samples against the 10,000 test digits, as a multiple of the floor. The race ends
at the second of two scores in a row that are at 10 or below. The seconds count from the building
of the networks on, with compiling and saving; scoring and loading the data do not count. Nothing
else may run. `--page` takes another page, for instance an older one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import types
from collections.abc import Sequence

import keras
import numpy as np

from tools import pages
from utils import datasets, device, evaluation, runtime, tables, training

OPTIONS = {"PRESET": "quick", "PRECISION": "float32", "STANDIN": "never", "DEVICES": "one"}
GOOD = 10.0  # multiples of the floor
IMAGES = 20_000  # between scores
SEEDS = (1, 2, 3)
MEASURES = "times floor", "recall", "precision", "smallest share"


class Clock:
    """Seconds since it was made, without those inside `paused`."""

    def __init__(self) -> None:
        self.began = time.perf_counter()

    def __call__(self) -> float:
        """Return the seconds so far."""
        return time.perf_counter() - self.began

    def __enter__(self) -> None:
        self.paused = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.began += time.perf_counter() - self.paused


class StopWhenGood(keras.callbacks.Callback):
    """Stops after two good scores in a row, and notes the seconds until then.

    Args:
        clock: gives the seconds.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.scores: list[float] = []
        self.ended: float | None = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Compare the last two scores."""
        seconds = self.clock()
        self.scores.append(logs["score"])
        if len(self.scores) > 1 and max(self.scores[-2:]) <= GOOD:
            self.ended = seconds
            self.model.stop_training = True


def trainer_of(page: pages.Page, name: str) -> tuple[training.Trainer, types.ModuleType]:
    """Make the Trainer of a page on digits, under another name; return what the page made, too."""
    made = page.definitions(*pages.PARTS, "train_step")
    trainer = training.Trainer(
        name,
        made.train_step,
        constants=runtime.constants(vars(made)),
        average={"generator": made.AVERAGE},
        **{part: getattr(made, part) for part in pages.PARTS},
    )
    return trainer, made


def race(page: pages.Page, seed: int, test: evaluation.Evaluation) -> dict[str, float | None]:
    """Train once; return the seconds to good digits (None: not reached), updates and measures."""
    page.set(SEED=seed)
    clock = Clock()
    trainer, made = trainer_of(page, f"benchmarks/speedrun_{seed}")
    with clock:
        dataset = datasets.mnist(made.BATCH_SIZE, seed)

    def samples(n: int) -> np.ndarray:
        return evaluation.draw(trainer.averaged["generator"], n, made.LATENT_DIM, (seed, 3))

    def score() -> float:
        with clock:
            return test.frechet(samples(test.n))

    steps = IMAGES // made.BATCH_SIZE
    rounds = made.ROUNDS * made.STEPS_PER_ROUND // steps
    judge = StopWhenGood(clock)
    trainer.fit(dataset, rounds, steps, lambda: samples(16), score, callbacks=[judge])
    print(f"seed {seed}: " + " ".join(f"{x:.1f}" for x in judge.scores), flush=True)
    found = test(samples(test.n))
    measures = {name: found[name] for name in MEASURES}
    return {"seconds": judge.ended, "updates": trainer.history[-1]["step"]} | measures


def main() -> None:
    """Read what to race with, and race."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", default="02_dcgan")
    parser.add_argument("seeds", nargs="*", type=int, default=SEEDS)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= OPTIONS | {"OUTPUT_DIR": folder}
        runtime.start(0)
        report(pages.Page(wanted.page), wanted.seeds)


def report(page: pages.Page, seeds: Sequence[int]) -> None:
    """Race with each seed, then print the rows and the median."""
    train, held_out = datasets.mnist(), datasets.mnist(split="test")
    test = evaluation.Evaluation(evaluation.digit_classifier(), train.images, held_out.images)
    found = [race(page, seed, test) for seed in seeds]
    print(f"\n{device.name()}, float32, {runtime.versions()}\n")
    rows = []
    for seed, row in zip(seeds, found, strict=True):
        seconds = "not reached" if row["seconds"] is None else f"{row['seconds']:.1f}"
        measures = [f"{row[name]:.3f}" for name in MEASURES]
        rows.append([seed, seconds, f"{row['updates']:,}", *measures])
    tables.show(["seed", "seconds", "updates", *MEASURES], rows)
    reached = [row["seconds"] for row in found if row["seconds"] is not None]
    if len(reached) == len(found):
        print(f"\nmedian {statistics.median(reached):.1f} s")


if __name__ == "__main__":
    main()
