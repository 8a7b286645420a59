"""The state of a run: all its variables by name, running averages, and what it began with."""

from __future__ import annotations

import numbers
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from utils import device, fingerprint
from utils.options import one_of

Values = dict[str, np.ndarray]  # by the name of a variable

# {part of a run: (lesson, its start, what it was left with)}, while the part is in memory.
_BEFORE: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

# {network: {lesson: (its average, its best)}}: a page may hold on to those of an earlier Trainer.
_COPIES: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


class State:
    """Everything that changes in a training, and nothing that does not.

    Args:
        lesson: whose run it is.
        parts: by name: networks, built optimizers, `tf.random.Generator`, `tf.Module`.
        decays: {part: decay} of the networks that are averaged.

    Attributes:
        steps: updates so far.
        averaged: {part: running average of all variables, batch statistics included}.
        best: {part: the average as it was when `keep_best` was called}.
        networks: names of all networks among these.
        variables: {"generator/000": variable, ...}, the same names in every process.
        start: their values at the beginning.

    Raises:
        ValueError: an optimizer is not built, an average is of no network or has no decay, or a
            part cannot be shared by several devices.
    """

    def __init__(self, lesson: str, parts: dict[str, Any], decays: dict[str, float]) -> None:
        models = [name for name, part in parts.items() if isinstance(part, keras.Model)]
        for name, decay in decays.items():
            one_of(models, average=name)
            if not isinstance(decay, numbers.Real) or not 0 <= decay < 1:
                raise ValueError(f"average of {name}: {decay!r} is no decay from 0 to below 1.")
        for name, part in parts.items():
            if isinstance(part, keras.optimizers.Optimizer) and not part.built:
                raise ValueError(f"{name} is not built: call {name}.build(variables) first.")
            device.share(name, part)
        self.lesson = lesson
        self.parts = parts
        self.decays = decays
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="steps")
        for name in decays:
            if lesson not in _COPIES.setdefault(parts[name], {}):
                _COPIES[parts[name]][lesson] = device.copy(parts[name]), device.copy(parts[name])
        self.averaged = {name: _COPIES[parts[name]][lesson][0] for name in decays}
        self.best = {name: _COPIES[parts[name]][lesson][1] for name in decays}
        averaged = {f"averaged_{name}": network for name, network in self.averaged.items()}
        best = {f"best_{name}": network for name, network in self.best.items()}
        everything = {**parts, **averaged, **best}
        self.networks = [n for n, part in everything.items() if isinstance(part, keras.Model)]
        self.variables: dict[str, Any] = {"steps": self.steps}
        for name, part in everything.items():
            self.variables |= _named(name, part)
        self.start = self._start()

    def values(self) -> Values:
        """Return the values of all variables."""
        return {name: device.host(variable) for name, variable in self.variables.items()}

    def check(self) -> None:
        """Stop a run whose variables are no numbers.

        Raises:
            FloatingPointError: one holds a NaN, or an infinite number.
        """
        for name, variable in self.variables.items():
            if "float" in str(variable.dtype) and not np.isfinite(device.host(variable)).all():
                raise FloatingPointError(
                    f"{name} is not finite after a round: the training has diverged. The round "
                    "before is kept. Try a lower learning rate, or PRECISION=float32."
                )

    def set(self, values: Values) -> None:
        """Set all variables.

        Raises:
            ValueError: a value is missing, or has another shape.
        """
        for name, variable in self.variables.items():
            if name not in values or values[name].shape != tuple(variable.shape):
                raise ValueError(
                    f"The saved values of {self.lesson} do not fit: {name} should be "
                    f"{tuple(variable.shape)}. Set RESTART=1 to set them aside and train again."
                )
        for name, variable in self.variables.items():
            variable.assign(values[name].astype(self.start[name].dtype))

    def of_record(self, kept: Values) -> Values:
        """Complete what a record kept; networks that it lacks are the averaged ones."""
        stand_ins = {n: kept.get(f"averaged_{n.removeprefix('best_')}") for n in self.variables}
        return {n: kept.get(n, self.start[n] if v is None else v) for n, v in stand_ins.items()}

    def count(self) -> None:
        """Count an update, and move the averages; part of what is compiled."""
        self.steps.assign_add(1)
        # The average is short at first, so that the untrained weights are soon forgotten.
        n = tf.cast(self.steps, tf.float32)
        for name, network in self.averaged.items():
            decay = tf.minimum(self.decays[name], (1.0 + n) / (10.0 + n))
            for mean, value in zip(network.variables, self.parts[name].variables, strict=True):
                if "float" in str(mean.dtype):
                    kept = tf.cast(decay, mean.dtype)
                    mean.assign(kept * mean + (1.0 - kept) * value)

    def keep_best(self) -> None:
        """Copy the averaged networks to the best ones."""
        for name, network in self.averaged.items():
            for best, mean in zip(self.best[name].variables, network.variables, strict=True):
                best.assign(device.host(mean))

    def _start(self) -> Values:
        """Return the values to begin with.

        A part that an earlier training of this lesson left as it is begins as it did then: so
        the cell of a Trainer can be run again. A part that was set since begins as it is.
        """
        start = self.values()
        for name, part in self.parts.items():
            lesson, before, left = _BEFORE.get(part, ("", {}, {}))
            own = {key: start[key] for key in _named(name, part)}
            if lesson == self.lesson and not fingerprint.unlike(left, fingerprint.start(own)):
                start |= before
        for name in self.averaged:
            for key in _named(name, self.parts[name]):
                start[f"averaged_{key}"] = start[key]
                start[f"best_{key}"] = start[key]
        return start

    def remember(self) -> None:
        """Note how the parts began, and what a training leaves them with."""
        values = self.values()
        for name, part in self.parts.items():
            keys = _named(name, part)
            left = fingerprint.start({key: values[key] for key in keys})
            _BEFORE[part] = self.lesson, {key: self.start[key] for key in keys}, left

    def first_update(self, step: Callable, batch: Any) -> dict[str, list]:
        """Return what a step does with a batch from the start on, op by op; it is taken back."""
        self.set(self.start)
        found = fingerprint.first_update(step, batch, self.parts)
        found |= {f"averages/{name}": [decay] for name, decay in self.decays.items()}
        self.set(self.start)
        return found

    def described_start(self) -> dict[str, list]:
        """Return what the parts begin with, as `fingerprint.start` describes it."""
        names = [name for part in self.parts for name in _named(part, self.parts[part])]
        return fingerprint.start({name: self.start[name] for name in names})


def _named(name: str, part: Any) -> dict[str, Any]:
    # A network's `variables` hold its seeds too: without them Dropout does not resume.
    found = [part.state] if isinstance(part, tf.random.Generator) else part.variables
    return {f"{name}/{i:03d}": variable for i, variable in enumerate(found)}
