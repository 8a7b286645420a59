"""What growing brings in lesson 10 at 32 x 32, and what breaks without three of its parts.

    python -m benchmarks.growing_parts [NUMBER ...]

Arms 0 to 10 were listed before the first was trained, 11 to 13 after these had ended. Each is the
page at `long`, up to 32 x 32 pixels: some 40 minutes on a CPU core. The training without growing
has the networks of 32 x 32 from its first step on, and as many steps as take the same time. Both
have two more trials, with a smaller and a larger learning rate.

It can be stopped, and goes on when it is run again. With numbers (0 to 12), only these arms are
trained. Without, steps are timed in turns (a few minutes, on a quiet machine), and a table and two
pictures are made: outputs/gallery/10_growing.png and 10_parts.jpg. Seconds of a curve are its
updates times the median of such a step, plus what compiling took.

13 is the page at `long` without growing: as many updates at 64 x 64 as take the time of its record
(seconds of a step: `python -m benchmarks.steps "lesson 10, 64"` and so on). Its curve stands in its
folder; the table leaves it out.
"""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

import imageio.v3 as iio
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

from benchmarks import arms
from tools import pages
from utils import device, images, runtime, tables
from utils.options import ROOT, output_dir

FOLDER = output_dir() / "benchmarks" / "growing_parts"
GALLERY = ROOT / "outputs" / "gallery"
GROWING = {4: 4, 8: 8, 16: 6, 32: 4}  # rounds of 500 updates
AT_ONCE = {32: 8}
AT_ONCE_64 = {64: 25}
SEEDS = 1, 2, 3
TURNS, STEPS = 7, 5
SHOWN = 8  # samples of each arm in the picture
CHANGES = {  # of the page's code: what stands there, and instead
    "without pixel normalization": ("return a * tf.math.rsqrt(mean_square + 1e-8)", "return a"),
    "without minibatch deviation": ("MinibatchDeviation()(x), CHANNELS", "x, CHANNELS"),
    "real images not faded": ("old = resized(resized(new, size // 2), size)", "return new"),
}
RATES = {
    f"{kind}, rate {rate:g}": rate for kind in ("not growing", "growing") for rate in (1e-3, 3e-3)
}
ARMS: dict[str, tuple[dict[int, int], int]] = {
    **{f"growing, seed {seed}": (GROWING, seed) for seed in SEEDS},
    **{f"not growing, seed {seed}": (AT_ONCE, seed) for seed in SEEDS},
    **{name: (AT_ONCE, 1) for name in RATES if name.startswith("not")},
    **dict.fromkeys(CHANGES, (GROWING, 1)),
    **{name: (GROWING, 1) for name in RATES if not name.startswith("not")},
}
LARGE = {"not growing, 64 x 64": (AT_ONCE_64, 1)}


def page_of(name: str) -> pages.Page:
    """Return the page of an arm."""
    rounds, seed = (ARMS | LARGE)[name]
    page = pages.Page("10_pggan")
    page.set(ROUNDS=rounds, SEED=seed)
    page.change('"score_every": 2', '"score_every": 1')
    if name in RATES:
        page.set(LEARNING_RATE=RATES[name])
    if name in CHANGES:
        page.change(*CHANGES[name])
    return page


def measured(name: str) -> dict[str, Any]:
    """Train an arm, go on with it, or open it, and return what is shown of it."""
    names = page_of(name).execute({}, until=("growing.compared(",), show=("trainer.fit(",))
    curve = []
    for stage in names["stages"]:
        rows = stage.trainer.history
        curve += [{"size": stage.size} | {k: row[k] for k in ("step", "score")} for row in rows]
    made = images.to_uint8(names["samples"][:SHOWN])
    iio.imwrite(output_dir() / "samples.png", images.grid(made, columns=SHOWN))
    return {"curve": curve, "measured": names["found"]}


def times() -> dict[int, tuple[float, float]]:
    """Return the median seconds of a step and those of compiling, by the size of its images."""
    found = page_of("growing, seed 1").definitions("train_step", "stage_of")
    batch = tf.random.stateless_uniform((found.BATCH_SIZE, 32, 32, 3), (1, 1), -1, 1)
    before = None
    updates = {}
    compiling = {}
    for size, rounds in GROWING.items():
        before = found.stage_of(size, rounds, before)
        updates[size] = _compiled(found.train_step, before)
        began = time.perf_counter()
        updates[size](batch)
        compiling[size] = time.perf_counter() - began
    seconds: dict[int, list[float]] = {size: [] for size in GROWING}
    for _ in range(TURNS):
        for size, update in updates.items():
            began = time.perf_counter()
            for _ in range(STEPS):
                update(batch)["d_loss"].numpy()
            seconds[size].append((time.perf_counter() - began) / STEPS)
    return {size: (float(np.median(seconds[size])), compiling[size]) for size in GROWING}


def _compiled(train_step: Callable, stage: Any) -> Callable:
    return tf.function(lambda batch: train_step(stage, batch))


def timed(curve: list[dict[str, Any]], of: dict[int, tuple[float, float]]) -> list[float]:
    """Return the seconds at which each row of a curve was reached."""
    done = 0.0
    reached: list[float] = []
    for size in dict.fromkeys(row["size"] for row in curve):
        step, compiling = of[size]
        rows = [row for row in curve if row["size"] == size]
        reached += [done + compiling + step * row["step"] for row in rows]
        done = reached[-1]
    return reached


def draw(found: dict[str, Any], of: dict[int, tuple[float, float]]) -> None:
    """Draw the curves of growing and not growing, and the samples of all arms."""
    figure, axes = plt.subplots(figsize=(7.2, 3.6))
    for name, arm in found.items():
        if name in CHANGES or name in RATES:
            continue
        colour = "#d95f02" if name.startswith("growing") else "#1f77b4"
        label = name.removesuffix(", seed 1") if name.endswith("1") else None
        scores = [row["score"] for row in arm["curve"]]
        minutes = np.array(timed(arm["curve"], of)) / 60
        axes.plot(minutes, scores, ".-", color=colour, label=label)
    axes.set(xlabel="minutes of training on one CPU core", ylabel="score (1 × is real)")
    axes.set_yscale("log")
    axes.set_yticks([10, 20, 40], ["10 ×", "20 ×", "40 ×"])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(GALLERY / "10_growing.png", dpi=110)
    draw_parts()


def draw_parts() -> None:
    """Draw samples of growing, of not growing, and of what was left out, a row each."""
    shown = ["growing, seed 1", "not growing, seed 1", *CHANGES]
    figure, grid = plt.subplots(len(shown), figsize=(7.6, 0.86 * len(shown)))
    for axes, name in zip(grid, shown, strict=True):
        axes.imshow(iio.imread(FOLDER / str([*ARMS].index(name)) / "samples.png"))
        axes.set(xticks=[], yticks=[])
        label = textwrap.fill(name.removesuffix(", seed 1"), width=13)
        axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
        axes.spines[:].set_visible(False)
    figure.subplots_adjust(hspace=0.05)
    options = {"dpi": 130, "bbox_inches": "tight", "pil_kwargs": {"quality": 90}}
    figure.savefig(GALLERY / "10_parts.jpg", **options)


def main(numbers: list[str]) -> None:
    """Train the arms; unless only some were asked for, print what was measured."""
    wanted = numbers or [str(number) for number in range(len(ARMS))]
    found = arms.train(FOLDER, [*ARMS, *LARGE], wanted, arms.measured_once(measured))
    if numbers:
        return
    with device.precision(device.training_precision()):
        of = times()
    rows = []
    for name, arm in found.items():
        numbers_of = [f"{pair[0]:.3g}" for pair in arm["measured"].values()]
        seconds = timed(arm["curve"], of)[-1]
        rows.append([name, f"{seconds:,.0f} s", f"{arm['curve'][-1]['score']:.1f} ×", *numbers_of])
    measures = found["growing, seed 1"]["measured"]
    print(tables.markdown(["", "time", "score", *measures], rows))
    print("floor:", {name: round(pair[1], 3) for name, pair in measures.items()})
    print("seconds of a step, and of compiling:", of)
    draw(found, of)


if __name__ == "__main__":
    os.environ |= {"PRESET": "long", "STANDIN": "never"}
    runtime.start(SEEDS[0], mixed_precision=True)
    main(sys.argv[1:])
