"""The live panel of a training, and its curves."""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

import keras
import matplotlib.pyplot as plt
from IPython import display, get_ipython

from utils import images

LABELS = {"d_loss": "d_loss", "g_loss": "g_loss", "d_real": "D(x)", "d_fake": "D(G(z))"}


class Panel(keras.callbacks.Callback):
    """Shows the bar, round and step, the step's results, the time left, and newest samples.

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
        row = {k: v for k, v in history[-1].items() if k not in ("round", "step", "seconds")}
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
        text = " · ".join(words)
        full = round(10 * now / total)
        bar = "█" * full + "░" * (10 - full)
        if not self.in_notebook:
            if sys.stdout.isatty():
                line = f"{bar} {text}"[: shutil.get_terminal_size().columns - 1]
                print(f"\r\033[K{line}", end="\n" if now >= total else "", flush=True)
            elif end_of_round:
                print(text, flush=True)
            return
        picture = images.png(images.grid(trainer.frames[-1]))
        bundle = {
            "text/plain": f"{bar} {text}",
            "text/html": f'<progress value="{now}" max="{total}"></progress> {text}<br>'
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


def plot(history: list[dict[str, float]], *groups: tuple[str, ...], title: str = "") -> None:
    """Draw results over the steps, a panel for each group of names.

    Args:
        history: what `Trainer.fit` returned.
        groups: names to draw together, for instance ("d_loss", "g_loss").
        title: the data set, and what else the figure must say.
    """
    figure, all_axes = plt.subplots(1, len(groups), figsize=(4.5 * len(groups), 2.8))
    for axes, names in zip([all_axes] if len(groups) == 1 else all_axes, groups, strict=True):
        for name in names:
            axes.plot(
                [row["step"] for row in history],
                [row[name] for row in history],
                marker=".",
                label=LABELS.get(name, name),
            )
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    plt.show()


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
