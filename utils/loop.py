"""What Keras' `fit` runs for a Trainer: the compiled step, and the ends of rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from utils import runtime


class Compiled(keras.Model):
    """A model whose training step is a plain function.

    Made anew for each `fit`, so that it is never an old step.

    Args:
        step: batch -> {name: scalar}, of which `fit` keeps the means over a round.
        xla: compile by XLA.
    """

    def __init__(
        self, step: Callable[[tf.Tensor], dict[str, tf.Tensor]], xla: bool = False
    ) -> None:
        super().__init__()
        self.built = True
        # Compiled by itself, it is traced once: the means make `fit` trace its own part twice.
        self._step, self._means = tf.function(step), {}
        self.compile(jit_compile=xla)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The means, which `fit` sets back at the start of a round."""
        return list(self._means.values())

    def train_step(self, batch: tf.Tensor) -> dict[str, tf.Tensor]:
        """Run the step and update the means."""
        for name, value in self._step(batch).items():
            if name not in self._means:
                self._means[name] = keras.metrics.Mean(name=name)
            self._means[name].update_state(value)
        return {name: mean.result() for name, mean in self._means.items()}


class Rounds(keras.callbacks.Callback):
    """Times the rounds, ends each with `end_round`, and stops where a result is not finite.

    Args:
        history: of the Trainer; its last row holds the seconds until now.
        steps_per_round: updates a round.
        end_round: takes the means over the round and the seconds of training.
    """

    def __init__(
        self, history: list[dict[str, float]], steps_per_round: int, end_round: Callable
    ) -> None:
        super().__init__()
        self.seconds = history[-1]["seconds"] if history else 0.0
        self.steps_per_round, self.end_round = steps_per_round, end_round

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Start the clock."""
        self.began, self.round = time.perf_counter(), epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Stop at the first step with a NaN or an infinity: a mean that had one keeps it."""
        for name, value in (logs or {}).items():
            if not np.isfinite(float(value)):
                step = self.round * self.steps_per_round + batch + 1
                whole = runtime.training_precision() == "float32"
                raise FloatingPointError(
                    f"{name} became {float(value)} in step {step} (round {self.round + 1}): the "
                    f"training has diverged. Round {self.round} is kept. Try a lower learning "
                    f"rate{'' if whole else ', or PRECISION=float32'}."
                )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stop the clock and save the round."""
        self.seconds += time.perf_counter() - self.began
        self.end_round({k: float(v) for k, v in logs.items()}, self.seconds)


def check_all_is_saved(owned: Iterable[Any]) -> None:
    """Compare the variables that the graph being traced has captured with those that are owned.

    Raises:
        ValueError: there is another one.
    """
    # Keras wraps TensorFlow's variables.
    saved = {id(v.handle if isinstance(v, tf.Variable) else v.value.handle) for v in owned}
    graph = tf.compat.v1.get_default_graph()
    if any(t.dtype == tf.resource and id(t) not in saved for t, _ in graph.captures):
        raise ValueError(
            "train_step uses a variable that this Trainer does not save. Pass what owns it to "
            "Trainer by name."
        )
