"""Trainer: runs a training step in rounds. What a round has saved is never lost.

What `fit` does beside the step, and where it stands:
    traces the step once and takes its print, so that it knows what run this is  (fingerprint)
    finds the run's folder and locks it, and goes on from its last round          (run)
    opens the record of the lesson instead, at `long`, where it is of this run    (record)
    sets all variables: updates by hand since the Trainer was made are undone     (state)
    moves the averaged networks after each update                                 (state)
    at the end of a round stops at a NaN, draws the frame, in float32, measures
    diversity and score, keeps the best averages, and saves all                   (here, run)
    shows bar, curves and advice                                                  (panel)
    cuts batches among several devices and takes the mean of their results        (device)
Time for frames, scores and saving is not in a round's seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from utils import checks, device, fingerprint, images, panel, record, run, state, workers
from utils.callbacks import NoModel
from utils.datasets import Dataset
from utils.options import one_of


class Trainer:
    """Runs a training step, and saves at the end of each round all that it needs to go on.

    Args:
        lesson: name of the lesson, and of its folder in `outputs/`.
        train_step: takes a batch, updates the networks, returns {name: scalar}, means over the
            batch. It is compiled together with the averages, anew for each `fit`.
        constants: the lesson's constants, `runtime.constants(globals())`; XLA among them says
            whether the step is compiled by it.
        average: {part: decay}. Keeps a running average of these networks in
            `trainer.averaged[part]`, of all variables, batch statistics included, and in
            `trainer.best[part]` the average as it was at the best score.
        record: names of the networks that the record keeps, for instance "averaged_generator";
            by default all, their averages and their best.
        **parts: everything that changes in training, by name: networks, built optimizers,
            `tf.random.Generator`, `tf.Module`. What a step only reads need not be here.

    Attributes:
        parts: as given.
        averaged: {part: averaged network}.
        best: {part: averaged network at the best score, or at the start without one}.
        history: a dict a round: round, step, seconds of training until then, the means over
            the round of what the step returned, the samples' diversity, and the score or None.
        frames: PNG files of what `sample` drew before the training and after each round.
        folder: where the run lies, known once `fit` has begun.

    Raises:
        ValueError: an optimizer is not built, or a part cannot be shared by several devices.
    """

    def __init__(
        self,
        lesson: str,
        train_step: Callable[[Any], dict[str, tf.Tensor]],
        constants: dict[str, Any],
        average: dict[str, float] | None = None,
        record: Sequence[str] | None = None,
        **parts: Any,
    ) -> None:
        self.lesson = lesson
        self.constants = constants
        self.parts = parts
        self.step = getattr(train_step, "python_function", train_step)  # what tf.function holds
        self.xla = device.xla(bool(constants.get("XLA", False)))
        self.strategy = tf.distribute.get_strategy()  # runtime.start has set it
        self.state = state.State(lesson, parts, average or {})
        self.averaged = self.state.averaged
        self.best = self.state.best
        known = self.state.networks
        self.record = [one_of(known, record=name) for name in record or known]
        self.facts = {"lesson": lesson, "record": self.record}
        self.history: panel.History = []
        self.frames: list[Path] = []
        self.folder: Path | None = None

    def fit(
        self,
        dataset: Dataset,
        rounds: int,
        steps_per_round: int,
        sample: Callable[[], Any],
        score: Callable[[], float] | None = None,
        score_every: int = 1,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        game: panel.Game = panel.CROSS_ENTROPY,
        snapshots: Sequence[int] = (),
    ) -> panel.History:
        """Train until a number of rounds is done, going on where an earlier run stopped.

        A run without earlier rounds begins with the state that the parts had when the
        Trainer was made. An interrupt ends it quietly, at the last round that was saved.

        Args:
            dataset: gives the batches from any step on.
            rounds: rounds of the whole training.
            steps_per_round: updates a round.
            sample: draws fixed inputs: (n, height, width, channels) in [-1, 1], or a finished
                picture, uint8 (height, width) or (height, width, 3).
            score: measures the averaged networks, lower is better, always on the same z.
            score_every: rounds from one score to the next; the last round is always scored.
            callbacks: more Keras callbacks; the live panel is there without. They are given
                the results of a round, none at the end of a batch.
            game: what the panel takes for healthy.
            snapshots: rounds whose averaged networks are kept in files of their own.

        Returns:
            The history.

        Raises:
            FloatingPointError: a result is NaN or infinite; the last good round is kept.
            MemoryError: the device's memory is full; the last round is kept.
            OSError: the folder cannot be written to, or another process trains in it.
            ValueError: a wrong argument, or a step that changes what would not be saved.
        """
        checks.arguments(dataset, snapshots, callbacks, rounds, steps_per_round, score_every)
        self.dataset = dataset
        self.rounds = rounds
        self.steps_per_round = steps_per_round
        self.sample = sample
        self.score = score
        self.score_every = score_every
        self.snapshots = snapshots
        identity = self.identity()
        with run.open_folder(self.lesson, identity) as self.folder:
            self._open(identity)
            shown = panel.Progress(
                rounds, steps_per_round, self.history, self.frames, self.folder, game
            )
            try:
                with workers.reporting():
                    self._train([panel.Panel(shown), *callbacks])
            except (KeyboardInterrupt, FloatingPointError, OSError, tf.errors.OpError) as error:
                self.restore(run.load_round(self.folder))
                run.tell(error, len(self.history), rounds, dataset.batch_size)
            finally:
                self.state.remember()
        return self.history

    def _train(self, callbacks: list[keras.callbacks.Callback]) -> None:
        """Run the rounds that are left."""
        model = NoModel()
        calls = keras.callbacks.CallbackList(callbacks, model=model)
        with device.precision(device.training_precision(), self.parts.values()):
            update = self.update if device.keeps_layers() else self._compiled()
            batches = iter(device.batches(self.dataset, len(self.history) * self.steps_per_round))
            lacks_score = self._is_due() and self.history[-1].get("score") is None
            if lacks_score or len(self.frames) <= len(self.history):  # at the start, or it failed
                self._save()
            calls.on_train_begin()
            for number in range(len(self.history), self.rounds):
                calls.on_epoch_begin(number)
                began = time.perf_counter()
                results = []
                for i in range(self.steps_per_round):
                    results.append(update(next(batches)))
                    calls.on_train_batch_end(i)  # no results: they are still on the device
                results = tf.stack(results).numpy()
                self._end_round(results, time.perf_counter() - began)
                calls.on_epoch_end(number, dict(self.history[-1]))
                if model.stop_training:
                    break
            calls.on_train_end()

    def _update(self, batch: Any) -> tf.Tensor:
        """Run the step on every device, then move the averages. This is what is compiled."""
        with device.plain_losses():
            results = self.strategy.run(self.step, args=(batch,))
        results, self.wrong = checks.results(results)
        self.names = list(results)
        self.state.count()
        means = [self.strategy.reduce("MEAN", v, axis=None) for v in results.values()]
        return tf.stack([tf.cast(mean, tf.float32) for mean in means])

    def _compiled(self) -> Callable:
        return tf.function(self._update, jit_compile=self.xla)

    def identity(self) -> dict[str, Any]:
        """Return what the run is known by, in plain values (fingerprint.py)."""
        self.update = self._compiled()  # traced here, in float32, and mostly used in training
        batches = device.batches(self.dataset, 0)
        with device.describing():
            traced = self.update.get_concrete_function(iter(batches).element_spec)
        if self.wrong:
            raise ValueError(self.wrong)
        return fingerprint.identity(
            constants=self.constants | {"steps_per_round": self.steps_per_round},
            data=self.dataset.identity(),
            xla=self.xla,
            start=self.state.described_start(),
            print_=fingerprint.computed(traced.graph, self.state.variables),
        )

    def first_update(self) -> dict[str, list]:
        """Return what the first update does, op by op in float32; it is taken back."""
        batch = next(iter(self.dataset.from_step(0)))
        return self.state.first_update(self.step, batch)

    def _open(self, identity: dict[str, Any]) -> None:
        """Set the state to that of the last round, or of the record, and say so."""
        kept = run.load_round(self.folder)
        if kept is None:
            kept = record.opened(self.folder, self.state, identity, self.rounds, self.first_update)
        self.restore(kept)
        run.announce(self.folder, len(self.history), self.rounds, self.steps_per_round)
        if len(self.history) < self.rounds:
            # It says "interrupted" from here on, whatever kills the run.
            run.write_status(self.folder, self.facts, self.dataset, self.history, self.rounds)

    def restore(self, values: state.Values | None) -> None:
        """Set all variables, the history and the frames; None is the start.

        Raises:
            ValueError: the values lack a variable, or have it in another shape.
        """
        self.state.set(values or self.state.start)
        self.history[:] = json.loads(str((values or {}).get("history", "[]")))
        self.frames[:] = run.frames(self.folder, len(self.history)) if values else []

    def _end_round(self, results: np.ndarray, seconds: float) -> None:
        """Add a round to the history, and save it."""
        before = self.history[-1] if self.history else {"round": 0, "step": 0, "seconds": 0.0}
        self.history.append(panel.row(self.names, results, seconds, before))
        self.state.check()
        self._save()

    def _save(self) -> None:
        """Draw, measure and save the round that the history ends with, or the start.

        Where `sample` or `score` fails, the round is saved without, and the error passes; the
        next `fit` draws and measures it.
        """
        done = len(self.history)
        row = self.history[-1] if done else {}
        frame = None
        failed = None
        try:
            with device.precision("float32"):
                made = np.asarray(self.sample())
            frame = images.frame(made, f"{self.dataset.name}, step {row.get('step', 0):,}")
            row |= panel.diversity(made, self.dataset) if done else {}
            self._measure(row)
        except Exception as error:
            failed = error
            row.setdefault("score", None)
        values = self.state.values() | {"history": np.array(json.dumps(self.history))}
        with run.explained(self.folder, done):
            run.save_round(self.folder, done, values, frame, done in self.snapshots)
            run.write_status(self.folder, self.facts, self.dataset, self.history, self.rounds)
        self.frames[:] = run.frames(self.folder, done)
        if failed:
            raise failed

    def _measure(self, row: dict[str, float]) -> None:
        """Add the score to the history's last row, and keep the best weights."""
        row["score"] = None
        if self._is_due():
            row |= {"score": checks.score(self.score()), "samples": self.constants.get("SAMPLES")}
            if checks.is_best(self.history):
                self.state.keep_best()

    def _is_due(self) -> bool:
        """Tell whether the history's last round is to be scored."""
        done = len(self.history)
        return bool(self.score and done and (done % self.score_every == 0 or done == self.rounds))
