"""The live panel of a training, its curves, and the health of a run by its kind of game."""

from __future__ import annotations

import base64
import contextlib
import math
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import matplotlib.pyplot as plt
import numpy as np
from IPython import display

from utils import device, images, metrics, run, tables

LABELS = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "D(x)", "d_fake": "D(G(z))"}
COLOURS = ("#1f77b4", "#ff7f0e")
HELP = "README.md#troubleshooting"
YOUNG = 500  # steps; untrained samples are all alike
EVERY = 2.0  # seconds between two updates
TIMED = 10  # steps after the first, by which a long training is foretold
LONG = 3600.0  # seconds

History = list[dict[str, float]]


@dataclass(frozen=True)
class Game:
    """What two networks play for, so that the panel knows what is healthy.

    Attributes:
        balance: the d_loss of a discriminator that knows nothing, None where there is no such.
        probabilities: D(x) and D(G(z)) lie between 0 and 1, so that D can be certain and 1/2 is
            the middle. A critic that answers with any number is never certain.
        large: a d_loss beyond which the training has diverged.
    """

    balance: float | None
    probabilities: bool = True
    large: float = 20.0

    @property
    def ignorance(self) -> str:
        """What a discriminator does that knows nothing."""
        return "D always says ½" if self.probabilities else "D knows nothing"


CROSS_ENTROPY = Game(math.log(4))
LEAST_SQUARES = Game(0.25)  # with the factors of 1/2 and targets 0 and 1
HINGE = Game(2.0, probabilities=False)
WASSERSTEIN = Game(None, probabilities=False, large=1000.0)


@dataclass
class Progress:
    """What a panel shows of a run.

    Attributes:
        rounds: of the whole training.
        steps_per_round: updates a round.
        history: a dict a round, as the Trainer's; it grows.
        frames: pictures, PNG files; it grows.
        folder: of the run.
        game: what is played.
    """

    rounds: int
    steps_per_round: int
    history: History
    frames: list[Path]
    folder: Path
    game: Game = CROSS_ENTROPY


# Words


@dataclass(frozen=True)
class View:
    """What is to be shown at one moment.

    Attributes:
        share: of the training that is done, 0 to 1.
        text: one line.
        advice: one sentence on what looks wrong, or "".
        ends_round: a round has just ended.
    """

    share: float
    text: str
    advice: str
    ends_round: bool

    @property
    def bar(self) -> str:
        """Ten characters."""
        return ("█" * round(10 * self.share)).ljust(10, "░")


def view(progress: Progress, step: int, pace: float | None, ends_round: bool) -> View:
    """Put the state of a run into words.

    Args:
        progress: the run.
        step: updates of the round that is under way.
        pace: seconds an update, None where it is not known yet.
        ends_round: a round has just ended.
    """
    done = len(progress.history)
    total = progress.rounds * progress.steps_per_round
    now = done * progress.steps_per_round + step
    words = [f"round {done}/{progress.rounds}"]
    if step:
        words.append(f"step {step}/{progress.steps_per_round}")
    if now >= total and done:
        words.append(f"trained {_clock(progress.history[-1]['seconds'])}")
    elif pace is not None:
        words.append(f"{_clock(pace * (total - now))} left")
    if done:
        words += _results(progress.history[-1])
    advice = health(progress.history, progress.game)
    return View(min(1.0, now / total), " · ".join(words), advice, ends_round)


def _results(row: dict[str, float]) -> list[str]:
    hidden = ("round", "step", "seconds", "samples")
    shown = {k: v for k, v in row.items() if k not in hidden and v is not None}
    first = [name for name in LABELS if name in shown]
    names = first + [name for name in shown if name not in LABELS]
    return [f"{LABELS.get(name, name)} {shown[name]:.2f}" for name in names]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    if seconds < LONG:
        return f"{minutes}:{rest:02d}"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def health(history: History, game: Game = CROSS_ENTROPY) -> str:
    """Return one sentence on what looks wrong with a run, or "".

    Args:
        history: of the Trainer. Looked at are, where there are such columns, the last three
            rounds' losses, diversity of the samples (1 for real images), D(x) and D(G(z)).
        game: what is played.
    """
    last = history[-3:]
    if len(last) < 3:
        return ""

    def always(name: str, wrong: Callable[[float], bool]) -> bool:
        return all(name in row and wrong(row[name]) for row in last)

    d_loss_is_large = always("d_loss", lambda v: abs(v) > game.large)
    if d_loss_is_large or always("g_loss", lambda v: abs(v) > 5 * game.large):
        return "The losses have grown very large: the training looks diverged."
    if always("diversity", lambda v: v < 0.5) and last[0]["step"] >= YOUNG:
        return "The samples look alike: the generator looks collapsed."
    sure = always("d_real", lambda v: v > 0.99) and always("d_fake", lambda v: v < 0.01)
    if sure and game.probabilities:
        return "D is always sure and always right: G may hardly learn from it (saturated)."
    return ""


def diversity(made: np.ndarray, data: Any) -> dict[str, float]:
    """Return the diversity of samples of the shape of their data's images; {} for others.

    It is a part of that of as many real images, the first ones.
    """
    real = getattr(data, "images", None)
    if real is None or made.shape[1:] != real.shape[1:] or min(len(made), len(real)) < 2:
        return {}
    of_real = metrics.diversity(real[: len(made)])  # 0 where they are copies of each other
    of_made = metrics.diversity(images.to_uint8(made))
    return {"diversity": round(of_made / of_real, 4)} if of_real else {}


def check_finite(names: list[str], results: np.ndarray, before: dict[str, float]) -> None:
    """Stop a run whose results are no numbers.

    Args:
        names: of the results.
        results: of the round's steps, (steps, names).
        before: the history's row before it.

    Raises:
        FloatingPointError: one is NaN or infinite; the message names the first step.
    """
    for step, which in np.argwhere(~np.isfinite(results))[:1]:
        raise FloatingPointError(
            f"{names[which]} became {results[step, which]} in step {before['step'] + step + 1} "
            f"(round {before['round'] + 1}): the training has diverged. Round {before['round']} "
            "is kept. Try a lower learning rate, or PRECISION=float32."
        )


def row(
    names: list[str], results: np.ndarray, seconds: float, before: dict[str, float]
) -> dict[str, float]:
    """Return a round's row of the history: the means of its results; arguments as above.

    Args:
        seconds: that the round took.

    Raises:
        FloatingPointError: as in `check_finite`.
    """
    check_finite(names, results, before)
    means = results.mean(axis=0, dtype="float64").round(6).tolist()
    found = {"round": before["round"] + 1, "step": before["step"] + len(results)}
    found["seconds"] = round(before["seconds"] + seconds, 2)
    return found | dict(zip(names, means, strict=True))


# Where it is shown


def show_in_terminal(seen: View) -> None:
    """Renew one line; a finished training and advice get a line of their own."""
    line = f"{seen.bar} {seen.text}"[: shutil.get_terminal_size().columns - 1]
    device.say(f"\r\033[K{line}", end="\n" if seen.share == 1 else "")
    _print_advice(seen)


def show_in_log(seen: View) -> None:
    """Print a line a round."""
    if seen.ends_round:
        device.say(seen.text)
    _print_advice(seen)


def _print_advice(seen: View) -> None:
    if seen.ends_round and seen.advice:
        device.say(f"{seen.advice} See {HELP}.")


def _is_terminal() -> bool:
    with contextlib.suppress(AttributeError, OSError, ValueError):  # none, gone or closed
        return sys.stdout.isatty()
    return False


class Notebook:
    """One output that renews itself, with the newest frame and curves.

    Args:
        progress: the run.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.handle: Any = None

    def __call__(self, seen: View) -> None:
        """Show it, or renew what is shown."""
        bundle = {"text/plain": self._text(seen), "text/html": self._html(seen)}
        # For `make run`: it streams what carries this mark, in a log only the ends of rounds.
        folder = str(self.progress.folder).removeprefix(f"{run.ROOT}/")
        mark = {"panel": {"ends_round": seen.ends_round, "folder": folder}}
        if self.handle is None:
            self.handle = display.display(bundle, raw=True, metadata=mark, display_id=True)
        else:
            self.handle.update(bundle, raw=True, metadata=mark)

    def _text(self, seen: View) -> str:
        advice = f"\n{seen.advice} See {HELP}." if seen.advice else ""
        return f"{seen.bar} {seen.text}{advice}"

    def _html(self, seen: View) -> str:
        html = f'<progress value="{seen.share:.4f}" max="1"></progress> {seen.text}'
        if seen.advice:
            html += f'<br><b>{seen.advice}</b> <a href="../{HELP}">What to do</a>'
        html += f"<br>{curves(self.progress.history, self.progress.game)}<br>"
        if not self.progress.frames:
            return html
        picture = base64.b64encode(self.progress.frames[-1].read_bytes()).decode()
        return f'{html}<img src="data:image/png;base64,{picture}">'


class Panel(keras.callbacks.Callback):
    """Shows a bar, round and step, the last round's results, the time left, frame and curves.

    In a notebook it is one output that renews itself; in a terminal, one line that does; in
    a log, a line a round. A sentence of `health` stands there too, where something looks wrong.

    Args:
        progress: the run.
    """

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress
        self.shown = 0.0
        self.began: float | None = None  # the first step is spent in compiling: time the others
        self.steps = 0
        if tables.in_notebook():
            self.show: Callable[[View], None] = Notebook(progress)
        else:
            self.show = show_in_terminal if _is_terminal() else show_in_log

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Show where the run stands."""
        self._renew(0)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Count; show the step every few seconds."""
        now = time.perf_counter()
        if self.began is None:
            self.began = now
        else:
            self.steps += 1
        if self.steps == TIMED:
            self._foretell()
        if now - self.shown >= EVERY:
            self._renew(batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Show the round."""
        self._renew(0, ends_round=True)

    def _foretell(self) -> None:
        """Say how long a training will take that takes more than an hour."""
        device.wait()  # a GPU is still at work on what was asked of it
        pace = (time.perf_counter() - self.began) / self.steps
        rounds = self.progress.rounds - len(self.progress.history)
        left = rounds * self.progress.steps_per_round - (self.steps + 1)
        seconds = pace * left
        if seconds > LONG:
            device.say(
                f"Judging by its first {TIMED} steps, this training takes about {_clock(seconds)} "
                "more on this device. You can interrupt it: finished rounds are kept, and the next "
                "run continues."
            )

    def _renew(self, step: int, ends_round: bool = False) -> None:
        self.shown = time.perf_counter()
        pace = (self.shown - self.began) / self.steps if self.steps else None
        if device.is_chief():
            self.show(view(self.progress, step, pace, ends_round))


# Curves


def curves(history: History, game: Game = CROSS_ENTROPY) -> str:
    """Draw d_loss with its balance, D(x) with D(G(z)), and diversity, as small SVG pictures."""
    middle = 0.5 if game.probabilities else None
    drawn = (
        _curve(history, ("d_loss",), game.balance, f", {game.ignorance}"),
        _curve(history, ("d_real", "d_fake"), middle, ""),
        _curve(history, ("diversity",), 1.0, ", real images"),
    )
    return "".join(drawn)


def _curve(history: History, wanted: Sequence[str], line: float | None, note: str) -> str:
    """Draw some columns of a history with a dashed line; "" where there is too little."""
    names = [name for name in wanted if history and name in history[-1]]
    history = [row for row in history if all(name in row for name in names)]
    if not names or len(history) < 2:
        return ""
    values = [row[name] for row in history for name in names]
    levels = [0.0, 1.0, *values] if line is None else [0.0, 1.0, *values, line]
    low = min(levels)
    high = max(levels)

    def y(value: float) -> str:
        return f"{56 - 52 * (value - low) / (high - low):.1f}"

    drawn = ""
    label = ", ".join(LABELS.get(name, name) for name in names)
    if line is not None:
        drawn = f'<path d="M0 {y(line)}H180" stroke="gray" stroke-dasharray="4"/>'
        label += f" (dashed: {line:.2f}{note})"
    step = 180 / (len(history) - 1)
    for name, colour in zip(names, COLOURS, strict=False):
        points = " ".join(f"{step * i:.0f},{y(row[name])}" for i, row in enumerate(history))
        drawn += f'<polyline points="{points}" fill="none" stroke="{colour}"/>'
    return (
        '<figure style="display:inline-block;margin:4px 12px 4px 0"><svg width="180" height="60">'
        f"{drawn}</svg><figcaption>{label}</figcaption></figure>"
    )


def plot(
    history: History, *groups: tuple[str, ...], title: str = "", game: Game = CROSS_ENTROPY
) -> None:
    """Draw results over the steps, a panel for each group of names.

    Args:
        history: what `Trainer.fit` returned.
        groups: names to draw together, for instance ("d_loss", "g_loss"). Scores that differ
            by more than a factor of ten are drawn on a logarithmic axis.
        title: the data set, and what else the figure must say.
        game: what is played; the d_loss of a discriminator that knows nothing is drawn dashed.
    """
    figure, all_axes = plt.subplots(1, len(groups), figsize=(4.2 * len(groups), 2.8), squeeze=False)
    for axes, names in zip(all_axes[0], groups, strict=True):
        for name in names:
            rows = [row for row in history if row.get(name) is not None]
            steps = [row["step"] for row in rows]
            values = [row[name] for row in rows]
            axes.plot(steps, values, marker=".", label=LABELS.get(name, name))
        if "d_loss" in names and game.balance is not None:
            axes.axhline(game.balance, color="gray", linestyle="--", label=game.ignorance)
        if "score" in names and max(values, default=0) > 10 * min(values, default=0) > 0:
            axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.locator_params(axis="x", nbins=5)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    plt.show()
