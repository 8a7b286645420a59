"""Which Keras callbacks a Trainer takes, and what they get as their model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

INSTEAD = {  # what callbacks that need a Keras model are for, and what to use
    "BackupAndRestore": "nothing: every round is saved, and a run goes on by itself",
    "LearningRateScheduler": "a schedule of keras.optimizers.schedules in the optimizer",
    "ModelCheckpoint": "`snapshots=` of fit, or trainer.best",
    "ReduceLROnPlateau": "a schedule of keras.optimizers.schedules in the optimizer",
    "SwapEMAWeights": "`average=` of Trainer",
}


class NoModel:
    """What callbacks get as their model: it can be told to stop, and is nothing else."""

    stop_training = False

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"A callback asks for model.{name}, but a Trainer is no Keras model. Use the "
            "networks of the page, for instance trainer.averaged, and trainer.history."
        )


def check(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Refuse what is no callback, and callbacks that need a Keras model or its optimizer.

    Raises:
        ValueError: there is one; the message says what to use.
    """
    for callback in callbacks:
        if isinstance(callback, type):
            raise ValueError(f"callbacks has a class: make an object of it, {callback.__name__}().")
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(f"callbacks has {callback!r}, which is no keras.callbacks.Callback.")
        for kind in type(callback).__mro__:
            if kind.__name__ in INSTEAD:
                raise ValueError(
                    f"{type(callback).__name__} needs a Keras model or its optimizer, which a "
                    f"Trainer is not. Use {INSTEAD[kind.__name__]}."
                )
