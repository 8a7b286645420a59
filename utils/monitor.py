"""The live panel of a training, its curves, and the health of a run."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import keras
import matplotlib.pyplot as plt
from IPython import display, get_ipython

from utils import images

LABELS = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "D(x)", "d_fake": "D(G(z))"}
NOTES = {"d_loss": ", D always says ½", "diversity": ", real images"}
COLOURS = ("#1f77b4", "#ff7f0e")
HELP = "README.md#troubleshooting"
YOUNG = 500  # steps; untrained samples are all alike


class Panel(keras.callbacks.Callback):
    """Shows the bar, round and step, the step's results, the time left, newest samples, curves.

    A sentence of `health` stands there too, where something looks wrong.

    In a notebook it is one output that renews itself; in a terminal, one line that does; in
    a log, a line a round.

    Args:
        trainer: the `training.Trainer` that it shows.
        every: seconds between two updates.
    """

    def __init__(self, trainer: Any, every: float = 2.0) -> None:
        super().__init__()
        self.trainer, self.every = trainer, every
        self.handle, self.shown, self.begin_step = None, 0.0, None
        self.in_notebook = getattr(get_ipython(), "kernel", None) is not None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.handle = self.begin_step = None
        self._show(len(self.trainer.history), 0, {})

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.round = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        now = time.perf_counter()
        if self.begin_step is None:  # the first step is spent in compiling: time the others
            self.began, self.begin_step = now, self.round * self.trainer.steps_per_round + batch
        if now - self.shown >= self.every:
            self._show(self.round, batch + 1, logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._show(epoch + 1, 0, logs, end_of_round=True)

    def on_train_end(self, logs: dict | None = None) -> None:
        history = self.trainer.history
        if not history:
            return
        hidden = ("round", "step", "seconds")
        row = {k: v for k, v in history[-1].items() if k not in hidden and v is not None}
        self._show(len(history), 0, row)

    def _show(self, done: int, step: int, logs: dict, end_of_round: bool = False) -> None:
        trainer, self.shown = self.trainer, time.perf_counter()
        total, now = trainer.rounds * trainer.steps_per_round, done * trainer.steps_per_round + step
        words = [f"round {done}/{trainer.rounds}"]
        words += [f"step {step}/{trainer.steps_per_round}"] if step else []
        if now >= total and trainer.history:
            words.append(f"trained {_clock(trainer.history[-1]['seconds'])}")
        elif self.begin_step is not None and now > self.begin_step + 1:
            pace = (self.shown - self.began) / (now - self.begin_step - 1)
            words.append(f"{_clock(pace * (total - now))} left")
        names = sorted(logs or {}, key=lambda k: list(LABELS).index(k) if k in LABELS else 99)
        words += [f"{LABELS.get(k, k)} {float(logs[k]):.2f}" for k in names]
        text, advice = " · ".join(words), health(trainer.history)
        full = round(10 * now / total)
        bar = "█" * full + "░" * (10 - full)
        if not self.in_notebook:
            if sys.stdout.isatty():
                line = f"{bar} {text}"[: shutil.get_terminal_size().columns - 1]
                print(f"\r\033[K{line}", end="\n" if now >= total else "", flush=True)
            elif end_of_round:
                print(text, flush=True)
            if end_of_round and advice:
                print(f"{advice} See {HELP}.", flush=True)
            return
        picture = images.png(images.grid(trainer.frames[-1]))
        see = f'<br><b>{advice}</b> <a href="../{HELP}">What to do</a>' if advice else ""
        bundle = {
            "text/plain": f"{bar} {text}" + (f"\n{advice} See {HELP}." if advice else ""),
            "text/html": f'<progress value="{now}" max="{total}"></progress> {text}{see}<br>'
            f"{_curves(trainer.history, trainer.balance)}<br>"
            f"<b>{trainer.dataset.name}</b>, samples after round {len(trainer.frames) - 1}:<br>"
            f'<img src="data:image/png;base64,{picture}">',
        }
        # For `make run`: it streams what carries this mark, in a log only the ends of rounds.
        kind = "round" if end_of_round else "step"
        mark = {"panel": {"at": kind, "folder": trainer.folder.name}}
        if self.handle is None:
            self.handle = display.display(bundle, raw=True, metadata=mark, display_id=True)
        else:
            self.handle.update(bundle, raw=True, metadata=mark)


def health(history: list[dict[str, float]]) -> str:
    """Return one sentence on what looks wrong with a run, or "".

    Args:
        history: of the Trainer. Looked at are, where there are such columns, the last three
            rounds' diversity of the samples (1 for real images), D(x), D(G(z)) and losses.
    """
    last = history[-3:]
    if len(last) < 3:
        return ""

    def always(name: str, wrong: Callable[[float], bool]) -> bool:
        return all(name in row and wrong(row[name]) for row in last)

    if always("d_loss", lambda v: v > 20) or always("g_loss", lambda v: abs(v) > 100):
        return "The losses have grown very large: the training looks diverged."
    if always("diversity", lambda v: v < 0.5) and last[0]["step"] >= YOUNG:
        return "The samples look alike: the generator looks collapsed."
    if always("d_real", lambda v: v > 0.99) and always("d_fake", lambda v: v < 0.01):
        return "D is always sure and always right: G may hardly learn from it (saturated)."
    return ""


def _curves(history: list[dict[str, float]], balance: float | None) -> str:
    """Draw d_loss with its balance, D(x) with D(G(z)), and diversity, as small SVG pictures."""
    pictures = []
    for names, line in (("d_loss",), balance), (("d_real", "d_fake"), 0.5), (("diversity",), 1.0):
        names = [name for name in names if history and name in history[-1]]
        values = [row[name] for row in history for name in names] + ([] if line is None else [line])
        if not names or len(history) < 2:
            continue
        low, high = min([0.0, *values]), max([1.0, *values])

        def y(value: float, low: float = low, high: float = high) -> str:
            return f"{56 - 52 * (value - low) / (high - low):.1f}"

        dashed = '<path d="M0 {}H180" stroke="gray" stroke-dasharray="4"/>'
        drawn = "" if line is None else dashed.format(y(line))
        step = 180 / (len(history) - 1)
        for name, colour in zip(names, COLOURS, strict=False):
            points = [f"{step * i:.0f},{y(row[name])}" for i, row in enumerate(history)]
            drawn += f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}"/>'
        label = ", ".join(LABELS.get(name, name) for name in names)
        label += "" if line is None else f" (dashed: {line:.2f}{NOTES.get(names[0], '')})"
        pictures.append(
            '<figure style="display:inline-block;margin:4px 12px 4px 0">'
            '<svg width="180" height="60">'
            f"{drawn}</svg><figcaption>{label}</figcaption></figure>"
        )
    return "".join(pictures)


def plot(
    history: list[dict[str, float]],
    *groups: tuple[str, ...],
    title: str = "",
    balance: float | None = math.log(4),
) -> None:
    """Draw results over the steps, a panel for each group of names.

    Args:
        history: what `Trainer.fit` returned.
        groups: names to draw together, for instance ("d_loss", "g_loss"). Scores that differ
            by more than a factor of ten are drawn on a logarithmic axis.
        title: the data set, and what else the figure must say.
        balance: d_loss of a discriminator that knows nothing, drawn dashed; None draws none.
    """
    figure, all_axes = plt.subplots(1, len(groups), figsize=(4.2 * len(groups), 2.8))
    for axes, names in zip([all_axes] if len(groups) == 1 else all_axes, groups, strict=True):
        for name in names:
            rows = [row for row in history if row.get(name) is not None]
            steps, values = [row["step"] for row in rows], [row[name] for row in rows]
            axes.plot(steps, values, marker=".", label=LABELS.get(name, name))
        if "d_loss" in names and balance is not None:
            axes.axhline(balance, color="gray", linestyle="--", label="D always says ½")
        if "score" in names and max(values, default=0) > 10 * min(values, default=0) > 0:
            axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.locator_params(axis="x", nbins=5)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    plt.show()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
