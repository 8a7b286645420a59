"""Trainer: Keras' `fit` over a plain training step, in rounds that survive a dead kernel."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from utils import checkpoints, images, loop, metrics, monitor, runtime
from utils.datasets import Dataset
from utils.fingerprint import check_owned, fingerprint
from utils.options import at_least

WORTH_A_TRY = 1000  # updates, below which trying what is faster takes longer than it saves


class Trainer:
    """Runs a training step, and saves at the end of each round all that it needs to go on.

    Args:
        lesson: name of the lesson, and of its folder in `outputs/`.
        train_step: takes a batch, updates the networks, returns {name: scalar}. A plain
            function: `fit` compiles it, anew each time.
        constants: the lesson's constants, `runtime.constants(globals())`.
        average: {part: decay}. Keeps a running average of these networks in
            `trainer.averaged[part]`, of all variables, batch statistics included, and in
            `trainer.best[part]` the average as it was at the best score.
        balance: the d_loss of a discriminator that knows nothing, a line in the panel; None
            where there is no such value.
        record: names of the networks that the record keeps, for instance "averaged_generator";
            by default all, their averages and their best.
        frozen: networks that the step uses and does not change. They are not saved; a network
            of another name makes another run.
        **parts: everything that changes in training, by name: networks, built optimizers,
            `tf.random.Generator`, `tf.Module`.

    Attributes:
        averaged: {part: averaged network}.
        best: {part: averaged network at the best score, or at the start without one}.
        history: a dict a round: round, step, seconds of training until then, the means over
            the round of what the step returned, the samples' diversity, and the score or None.
        frames: what `sample` drew before the training and after each round, uint8.
        folder: where the run lies, known once `fit` has begun.
        panel: the live panel.

    Raises:
        ValueError: an optimizer is not built.
    """

    def __init__(
        self,
        lesson: str,
        train_step: Callable[[tf.Tensor], dict[str, tf.Tensor]],
        constants: dict[str, Any],
        average: dict[str, float] | None = None,
        balance: float | None = math.log(4),
        record: Sequence[str] | None = None,
        frozen: Sequence[keras.Model] = (),
        **parts: Any,
    ) -> None:
        self.lesson, self.step, self.parts = lesson, train_step, parts
        self.constants = constants | ({"frozen": [n.name for n in frozen]} if frozen else {})
        self.history: list[dict[str, float]] = []
        self.frames: list[np.ndarray] = []
        self.folder: Path | None = None
        self.panel = monitor.Panel(self)
        self.xla: bool | None = None  # is the step compiled by it? None: not known yet
        self.decays, self.balance, self.frozen = average or {}, balance, frozen
        self.averaged, self.best = ({n: _copy(parts[n]) for n in self.decays} for _ in range(2))
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False, name="steps")
        self.variables = {"steps": self.steps}
        averaged = {f"averaged_{name}": network for name, network in self.averaged.items()}
        best = {f"best_{name}": network for name, network in self.best.items()}
        everything = {**parts, **averaged, **best}
        self.record = record or [n for n, p in everything.items() if isinstance(p, keras.Model)]
        for name, part in everything.items():
            if isinstance(part, keras.optimizers.Optimizer) and not part.built:
                raise ValueError(f"{name} is not built: call {name}.build(variables) first.")
            # A network's `variables` hold its seeds too: without them Dropout does not resume.
            found = [part.state] if isinstance(part, tf.random.Generator) else part.variables
            self.variables |= {f"{name}/{i:03d}": v for i, v in enumerate(found)}
        self._initial = self._values()

    def fit(
        self,
        dataset: Dataset,
        rounds: int,
        steps_per_round: int,
        sample: Callable[[], Any],
        score: Callable[[], float] | None = None,
        score_every: int = 1,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> list[dict[str, float]]:
        """Train until a number of rounds is done, going on where an earlier run stopped.

        A run without earlier rounds begins with the state that the parts had when the
        Trainer was made. An interrupt ends it quietly, at the last round that was saved.

        Args:
            dataset: gives the batches from any step on.
            rounds: rounds of the whole training.
            steps_per_round: updates a round.
            sample: draws fixed inputs: (n, height, width, channels), in [-1, 1].
            score: measures the averaged networks, lower is better, always on the same z.
            score_every: rounds from one score to the next; the last round is always scored.
            callbacks: more Keras callbacks; the live panel is there without.

        Returns:
            The history.

        Raises:
            FloatingPointError: a result is NaN or infinite; the last good round is kept.
            MemoryError: the device's memory is full; the last round is kept.
            OSError: the folder cannot be written to, or another process trains in it.
            ValueError: a wrong argument, or the step uses variables that would not be saved.
        """
        at_least(1, rounds=rounds, steps_per_round=steps_per_round, score_every=score_every)
        self.dataset, self.rounds, self.steps_per_round = dataset, rounds, steps_per_round
        self.sample, self.score, self.score_every = sample, score, score_every
        check_owned(self.step, [*self.parts.values(), *self.frozen])
        data = json.dumps(dataset.identity())
        prints = fingerprint(self.step, self.parts, self.constants, data)
        with checkpoints.open_folder(self.lesson, prints) as self.folder:
            done = self._open(prints)
            if done < rounds:
                self._train(done, callbacks)
        return self.history

    def _open(self, prints: dict[str, Any]) -> int:
        """Set the state to that of the last round, or of the record; return the rounds done."""
        state = checkpoints.load_round(self.folder)
        recorded = None if state else checkpoints.load_record(self.lesson, prints, self.rounds)
        if recorded:
            kept, known = recorded
            # It has no optimizers. A network that it lacks is the averaged one.
            start = self._initial.items()
            state = {k: kept.get(f"averaged_{k.removeprefix('best_')}", v) for k, v in start}
            state |= kept
        self.restore(state)
        done, rounds = len(self.history), self.rounds
        where = checkpoints.shown(self.folder)
        if recorded:
            checkpoints.write_history(self.folder, self.history)
            checkpoints.write_metrics(self.folder, known)
            print(f"Record of {known['date']}, {known['device']}.")
        if done >= rounds:
            print(f"Done, {done} of {rounds} rounds (RESTART=1 to train anew), in {where}.")
            self.panel.on_train_end()
            return done
        print(f"Going on after round {done} of {rounds}" if done else f"{rounds} rounds", end="")
        print(f", {self.steps_per_round} steps a round, in {where}.")
        self._write_metrics()  # says "interrupted" from here on, whatever kills the run
        return done

    def _train(self, done: int, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Run Keras' `fit` over the compiled step; whatever stops it, the last round stands."""
        ends = loop.Rounds(self.history, self.steps_per_round, self._end_round)
        try:
            if self.xla is None:
                self._choose_compiler()
            if not self.frames:
                self._end_round()
            parts = [*self.parts.values(), *self.frozen]
            with runtime.precision(runtime.training_precision(), parts):
                loop.Compiled(self.update, self.xla).fit(
                    self.dataset.from_step(done * self.steps_per_round),
                    epochs=self.rounds,
                    initial_epoch=done,
                    steps_per_epoch=self.steps_per_round,
                    shuffle=False,
                    verbose=0,
                    callbacks=[ends, self.panel, *callbacks],
                )
        except (KeyboardInterrupt, FloatingPointError, OSError, tf.errors.OpError) as error:
            self.restore(checkpoints.load_round(self.folder))
            saved = f"saved up to round {len(self.history)} of {self.rounds}"
            if isinstance(error, tf.errors.ResourceExhaustedError):
                raise MemoryError(
                    f"The device's memory is full ({saved}). Lower BATCH_SIZE, now "
                    f"{self.dataset.batch_size}, or the size of images or networks."
                ) from error
            if not isinstance(error, KeyboardInterrupt):
                raise
            print(f"Interrupted: {saved}. Run again to go on.")

    def _choose_compiler(self) -> None:
        """Try whether XLA pays, once a run; the updates are undone."""
        before, batch = self._values(), next(iter(self.dataset.from_step(0)))
        worth_it = self.rounds * self.steps_per_round >= WORTH_A_TRY
        self.xla = worth_it and runtime.xla_pays(self.update, batch)
        for key, variable in self.variables.items():
            variable.assign(before[key])

    def restore(self, state: dict[str, np.ndarray] | None) -> None:
        """Set all variables, the history and the frames; None is the state at the start.

        Raises:
            ValueError: the state lacks a variable, or has it in another shape.
        """
        values = self._initial if state is None else state
        for key, variable in self.variables.items():
            if key not in values or values[key].shape != tuple(variable.shape):
                raise ValueError(
                    f"What is saved in {checkpoints.shown(self.folder)} does not fit: {key} should "
                    f"be {tuple(variable.shape)}. Set RESTART=1 to set it aside and train anew."
                )
        for key, variable in self.variables.items():
            variable.assign(values[key].astype(self._initial[key].dtype))
        self.history = json.loads(str(values.get("history", "[]")))
        self.xla = bool(values["xla"]) if "xla" in values else None
        self.frames = list(values.get("frames", ()))

    def _values(self) -> dict[str, np.ndarray]:
        return {k: keras.ops.convert_to_numpy(v) for k, v in self.variables.items()}

    def update(self, batch: tf.Tensor) -> dict[str, tf.Tensor]:
        """Run the training step on a batch, then move the averages. This is what `fit` compiles."""
        results = self.step(batch)
        frozen = [v for network in self.frozen for v in network.variables]
        loop.check_all_is_saved([*self.variables.values(), *frozen])
        self.steps.assign_add(1)
        # The average is short at first, so that the untrained weights are soon forgotten.
        n = tf.cast(self.steps, tf.float32)
        for name, network in self.averaged.items():
            decay = tf.minimum(self.decays[name], (1.0 + n) / (10.0 + n))
            for mean, value in zip(network.variables, self.parts[name].variables, strict=True):
                if "float" in str(mean.dtype):
                    mean.assign(decay * mean + (1.0 - decay) * value)
        return results

    def _end_round(self, means: dict[str, float] | None = None, seconds: float = 0) -> None:
        """Save the state before the first round, or after a round with its means."""
        done = len(self.history) + bool(means)
        if means:
            row = {"round": done, "step": int(self.steps), "seconds": round(seconds, 2)}
            self.history.append(row | {k: round(v, 6) for k, v in means.items()})
        with runtime.precision("float32"):
            self.frames.append(images.to_uint8(np.asarray(self.sample())))
        if means:
            self._measure()
        state = {"history": np.array(json.dumps(self.history)), "frames": np.stack(self.frames)}
        state["xla"] = np.array(self.xla)
        state |= self._values()
        try:
            checkpoints.save_round(self.folder, done, state)
            checkpoints.write_history(self.folder, self.history)
            self._write_metrics()
        except OSError as error:
            where = checkpoints.shown(self.folder)
            raise OSError(
                f"Round {done} could not be saved in {where}: {error.strerror or error}. The "
                "rounds before it are kept. Make room there, then run again to go on."
            ) from error

    def _measure(self) -> None:
        """Add diversity and score to the history's last row, and keep the best weights."""
        row, known = self.history[-1], [row.get("score") for row in self.history[:-1]]
        real = np.asarray(getattr(self.dataset, "images", ()))[: len(self.frames[-1])]
        if real.shape == self.frames[-1].shape and len(real) > 1:
            diversity = metrics.diversity(self.frames[-1]) / metrics.diversity(real)
            row["diversity"] = round(diversity, 4)
        due = row["round"] % self.score_every == 0 or row["round"] == self.rounds
        row["score"] = float(f"{self.score():.5g}") if self.score and due else None
        if row["score"] is not None and all(s is None or row["score"] < s for s in known):
            for name, network in self.averaged.items():
                self.best[name].set_weights(network.get_weights())

    def _write_metrics(self) -> None:
        done = len(self.history)
        status = "done," if done == self.rounds else "interrupted at"
        facts = {
            "lesson": self.lesson,
            "data": self.dataset.name,
            "standin": self.dataset.standin,
            "status": f"{status} {done} of {self.rounds}",
            "rounds_done": done,
            "rounds_planned": self.rounds,
            "steps": int(self.steps),
            "seconds": self.history[-1]["seconds"] if done else 0.0,
            "record": self.record,
        }
        checkpoints.write_metrics(self.folder, facts | runtime.facts())


def _copy(network: keras.Model) -> keras.Model:
    copy = keras.models.clone_model(network)
    copy.set_weights(network.get_weights())
    return copy
