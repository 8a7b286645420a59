"""Trainer, rounds, fingerprint, record: nothing is lost, nothing old is trained."""

import contextlib
import csv
import functools
import json
import resource
from types import SimpleNamespace

import imageio.v3 as iio
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import processes, toy
from tests.test_run import damage
from utils import datasets, device, fingerprint, panel, run, runtime, training

INTERRUPTED = pytest.mark.fault(
    "interrupt (Ctrl-C), also in the first frame",
    "ends with one line; goes on bit for bit",
    lost="the round in progress",
)


def same(a, b):
    assert a.keys() == b.keys()
    return all(np.array_equal(a[key], b[key]) for key in a)


def metrics_of(trainer):
    return json.loads((trainer.folder / "metrics.json").read_text(encoding="utf-8"))


def test_the_same_seed_gives_the_same_weights(monkeypatch, tmp_path):
    states = []
    for folder, seed in ("a", 1), ("b", 1), ("c", 2):
        monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / folder))
        trainer = toy.make(seed=seed)
        toy.fit(trainer, 1)
        states.append(trainer.state.values())
    assert same(states[0], states[1])
    assert not same(states[0], states[2])


def test_fit_is_the_step_repeated():
    """`fit` adds nothing to the step: an eager loop over the same batches gives the same."""
    trainer, other = toy.make(), toy.make()
    toy.fit(trainer, 1)
    for batch in toy.data().from_step(0).take(toy.STEPS):
        other.step(batch)
    for name in "generator", "discriminator":
        for a, b in zip(trainer.parts[name].variables, other.parts[name].variables, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_fit_traces_the_step_once():
    """For its print and for the training together."""
    trainer, traced = toy.make(), []
    step = trainer.step
    trainer.step = lambda batch: traced.append(1) or step(batch)
    toy.fit(trainer, 2)
    assert len(traced) == 1


def test_training_begins_with_the_state_at_construction():
    """Updates between construction and `fit`, as in the timing cell, leave no trace."""
    trainer, other = toy.make(), toy.make(constants={"OTHER": 1})
    for batch in toy.data().from_step(0).take(2):
        other.step(batch)
    toy.fit(trainer, 1)
    toy.fit(other, 1)
    assert same(trainer.state.values(), other.state.values())


def test_averaged_weights_follow_the_definition():
    """All variables, moving statistics too: mean <- d mean + (1 - d) value, d growing to 0.9."""
    trainer, other = toy.make(), toy.make()
    toy.fit(trainer, 1)
    means = [keras.ops.convert_to_numpy(v) for v in other.parts["generator"].variables]
    for n, batch in enumerate(toy.data().from_step(0).take(toy.STEPS), start=1):
        other.step(batch)
        decay = min(0.9, (1 + n) / (10 + n))
        values = [keras.ops.convert_to_numpy(v) for v in other.parts["generator"].variables]
        means = [decay * m + (1 - decay) * v for m, v in zip(means, values, strict=True)]
    for a, b in zip(trainer.averaged["generator"].variables, means, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_the_best_weights_are_kept_beside_the_last(capsys):
    """Scores as given, every second round and after the last; the best are those of round 4."""
    trainer, scores, at = toy.make(), iter([3.0, 1.0, 2.0, 1.5]), {}
    averaged, best = trainer.averaged["generator"], trainer.best["generator"]

    def score():
        at[len(trainer.history)] = averaged.get_weights()
        return next(scores)

    toy.fit(trainer, 7, score=score, score_every=2)
    assert [row["score"] for row in trainer.history] == [None, 3, None, 1, None, 2, 1.5]
    assert list(at) == [2, 4, 6, 7]
    for a, b in zip(best.get_weights(), at[4], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not all(np.array_equal(a, b) for a, b in zip(at[4], at[7], strict=True))
    with (trainer.folder / "history.csv").open(encoding="utf-8") as file:
        assert [row["score"] for row in csv.DictReader(file)][:4] == ["", "3.0", "", "1.0"]
    again = toy.make()
    toy.fit(again, 7)  # opened, not trained
    for a, b in zip(again.best["generator"].get_weights(), at[4], strict=True):
        np.testing.assert_array_equal(a, b)


def test_two_rounds_and_two_in_a_new_process_are_four(tmp_path):
    """Weights, optimizers, averages, the best, seeds, order of data, frames: bit for bit.

    In both precisions; the first process trains 4 rounds, and 2 elsewhere, the second goes on.
    """

    def process(*runs):
        begun = processes.start(toy.train_all, runs)
        begun.join()
        assert begun.exitcode == 0

    def job(rounds, folder, file, precision):
        home = tmp_path / precision
        home.mkdir(exist_ok=True)
        return rounds, str(home / folder), str(home / f"{file}.npz"), precision

    precisions = "float32", "bfloat16"
    begin = [job(4, "straight", "straight", p) for p in precisions]
    process(*begin, *[job(2, "halves", "half", p) for p in precisions])
    process(*[job(4, "halves", "resumed", p) for p in precisions])
    for precision in precisions:
        home = tmp_path / precision
        straight, resumed = (dict(np.load(home / f"{n}.npz")) for n in ("straight", "resumed"))
        assert same(straight, resumed)
        assert sum(key.startswith("frame/") for key in resumed) == 5
        with (home / "halves/toy/smoke/history.csv").open(encoding="utf-8") as opened:
            rows = list(csv.DictReader(opened))
        assert [row["round"] for row in rows] == ["1", "2", "3", "4"]
        assert [row["step"] for row in rows] == ["5", "10", "15", "20"]
        assert all(row["score"] for row in rows)


def test_xla_computes_the_same_up_to_rounding(monkeypatch):
    weights = []
    for xla in "0", "1":
        monkeypatch.setenv("XLA", xla)
        weight = tf.Variable(tf.ones((28 * 28, 1)))

        def step(batch, weight=weight):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((tf.reshape(batch, (toy.BATCH, -1)) @ weight) ** 2)
            weight.assign_sub(1e-4 * tape.gradient(loss, weight))
            return {"loss": loss}

        part = tf.Module()
        part.weight = weight
        trainer = training.Trainer(f"xla {xla}", step, {}, part=part)
        trainer.fit(toy.data(), 1, 5, lambda: np.zeros((1, 28, 28, 1)))
        assert trainer.xla == (xla == "1")
        weights.append(weight.numpy())
    assert np.abs(weights[0] - 1).max() > 1e-3
    np.testing.assert_allclose(*weights, rtol=1e-5)


def test_the_constant_of_a_lesson_decides_about_xla(monkeypatch):
    assert toy.make(constants={"XLA": True}).xla
    assert not toy.make().xla
    monkeypatch.setattr(device, "_training_precision", "bfloat16")
    assert not toy.make(constants={"XLA": True}).xla  # oneDNN's bfloat16 is not in XLA


def wasserstein(real_logits, fake_logits):
    return tf.reduce_mean(fake_logits) - tf.reduce_mean(real_logits)


@pytest.mark.parametrize(
    ("broken", "rounds", "word"),
    [
        ({}, 8, ""),
        ({"sight": 0.0}, 3, "collapsed"),  # G does not see z
        ({"rate": 0.0, "d_rate": 0.02}, 16, "saturated"),  # G stands still
        (
            {"rate": 0.05, "g_loss": lambda f: -tf.reduce_mean(f), "d_loss": wasserstein},
            9,
            "diverged",
        ),
    ],
    ids=["healthy", "collapsed", "saturated", "diverged"],
)
def test_the_panel_names_what_is_wrong(capsys, broken, rounds, word, monkeypatch):
    if word == "collapsed":
        monkeypatch.setattr(panel, "YOUNG", 1)
    trainer = toy.make(**broken)
    toy.fit(trainer, rounds)
    advice = panel.health(trainer.history)
    assert (word in advice) if word else advice == ""
    printed = capsys.readouterr().out
    assert (f"{advice} See README.md#troubleshooting." in printed) == bool(word)


def test_a_finished_run_is_not_trained_again_but_more_rounds_are(capsys, monkeypatch):
    trainer = toy.make()
    toy.fit(trainer, 2)
    before = trainer.state.values()
    again = toy.make()
    toy.fit(again, 2)
    assert "Done, 2 of 2" in capsys.readouterr().out
    assert same(before, again.state.values())
    toy.fit(again, 3)
    assert "Continuing after round 2 of 3" in capsys.readouterr().out
    assert len(again.history) == 3
    assert len(list((again.folder / "rounds").glob("*.npz"))) == run.KEEP
    monkeypatch.setenv("RESTART", "1")
    toy.fit(again, 2)
    assert [row["round"] for row in again.history] == [1, 2]
    assert same(before, again.state.values())
    assert (again.folder.parent / "smoke-previous" / "metrics.json").exists()


def other_loss(fake_logits):
    return -tf.reduce_mean(fake_logits)


@pytest.mark.parametrize(
    "change",
    [
        {"constants": {"SEED": 1, "BETA": 2}},
        {"width": 4},
        {"rate": 2e-3},
        {"g_loss": other_loss},
    ],
    ids=["constant", "network", "optimizer", "loss"],
)
def test_a_change_trains_in_its_own_folder(capsys, change):
    first = toy.make()
    toy.fit(first, 1)
    changed = toy.make(**change)
    toy.fit(changed, 1)
    assert changed.folder != first.folder
    assert "changed:" in capsys.readouterr().out
    assert len(changed.history) == 1
    unchanged = toy.make()
    toy.fit(unchanged, 1)
    assert unchanged.folder == first.folder
    assert same(first.state.values(), unchanged.state.values())


def test_a_run_made_longer_is_not_called_done_when_it_is_stopped_at_once():
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    trainer = toy.make()
    toy.fit(trainer, 1)
    assert metrics_of(trainer)["status"] == "done, 1 of 1"
    toy.fit(trainer, 2, [Interrupt()])
    assert metrics_of(trainer)["status"] == "interrupted at 1 of 2"


@INTERRUPTED
@pytest.mark.parametrize("done", [0, 1])
def test_interrupt_ends_quietly_at_the_last_round(capsys, done):
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if len(trainer.history) == done and batch == 2:
                raise KeyboardInterrupt

    trainer = toy.make()
    toy.fit(trainer, 3, [Interrupt()])
    assert f"Interrupted: saved up to round {done} of 3" in capsys.readouterr().out
    assert metrics_of(trainer)["status"] == f"interrupted at {done} of 3"
    toy.fit(trainer, 3)
    assert metrics_of(trainer)["status"] == "done, 3 of 3"
    assert len(trainer.frames) == 4
    straight = toy.make(constants={"OTHER": 1})
    toy.fit(straight, 3)
    assert same(trainer.state.values(), straight.state.values())


@INTERRUPTED
def test_interrupt_while_the_first_frame_is_drawn(capsys):
    def sample():
        raise KeyboardInterrupt

    trainer = toy.make()
    trainer.fit(toy.data(), 2, toy.STEPS, sample)
    assert "Interrupted: saved up to round 0 of 2" in capsys.readouterr().out
    toy.fit(trainer, 2)
    assert len(trainer.frames) == 3


@pytest.mark.fault(
    "a loss becomes NaN",
    "stops; names loss, step and round",
    lost="the round in progress",
)
def test_nan_stops_the_run_and_keeps_the_last_good_round():
    broken = tf.Variable(0.0)

    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            broken.assign(np.nan)

    def loss(fake_logits):
        return tf.reduce_mean(fake_logits) + broken

    trainer = toy.make(g_loss=loss)
    trainer.state.variables["broken"] = broken
    trainer.state.start["broken"] = np.zeros((), "float32")
    with pytest.raises(FloatingPointError, match=r"g_loss became nan in step 6 \(round 2\)"):
        toy.fit(trainer, 3, [Break()])
    assert metrics_of(trainer)["status"] == "interrupted at 1 of 3"
    assert all(np.isfinite(v).all() for k, v in trainer.state.values().items() if k != "broken")


@pytest.mark.fault(
    "the last step of a round makes a weight NaN",
    "stops; names the weight; the round before is kept",
    lost="the round in progress",
)
def test_weights_that_are_no_numbers_are_not_saved():
    """The results of a step are computed before its update, so they may still be finite."""
    trainer = toy.make()
    step, kernel = trainer.step, trainer.parts["generator"].trainable_variables[0]

    def breaking(batch):
        results = step(batch)
        last = tf.equal(trainer.parts["g_optimizer"].iterations, 2 * toy.STEPS)
        kernel.assign(tf.where(last, np.nan, kernel))
        return results

    trainer.step = breaking
    with pytest.raises(FloatingPointError, match=r"^(averaged_)?generator/000 is not finite"):
        toy.fit(trainer, 3)
    assert metrics_of(trainer)["status"] == "interrupted at 1 of 3"
    assert all(np.isfinite(v).all() for v in trainer.state.values().values())
    assert len(list((trainer.folder / "rounds").glob("*.npz"))) == 2


@pytest.mark.fault(
    "an error in `score` or `sample`",
    "the round is saved, the error passes; goes on bit for bit",
    lost="nothing",
)
@pytest.mark.parametrize(
    ("where", "at", "kind"),
    [
        ("score", 2, OSError),
        ("score", 3, ZeroDivisionError),
        ("sample", 0, OSError),
        ("sample", 2, ZeroDivisionError),
        ("sample", 3, OSError),
    ],
)
def test_an_error_while_a_round_is_measured_loses_nothing(where, at, kind):
    """At the start, within, and after the last round; what it lacks is made up for."""

    def options(trainer, fail):
        def number():
            return float(np.sin(1e4 * np.mean(trainer.averaged["generator"].get_weights()[0])))

        def draw():
            return np.clip(np.reshape(trainer.averaged["generator"](z)[:2], (2, 28, 28, 1)), -1, 1)

        def failing(function, name):
            return lambda: stop() if fail == (name, len(trainer.history)) else function()

        z = tf.random.stateless_normal((2, toy.LATENT), seed=(0, 0))
        found = {"sample": failing(draw, "sample"), "score": failing(number, "score")}
        return toy.data(), 3, toy.STEPS, found["sample"], found["score"]

    def stop():
        raise kind("mine")

    trainer, straight = toy.make(), toy.make(constants={"OTHER": 1})
    straight.fit(*options(straight, None))
    with pytest.raises(kind, match="mine"):
        trainer.fit(*options(trainer, (where, at)))
    assert [row["round"] for row in trainer.history] == list(range(1, at + 1))
    assert trainer.history[-1:] == [] or trainer.history[-1]["score"] is None
    assert len(trainer.frames) == at + (where == "score")
    assert metrics_of(trainer)["rounds_done"] == at
    again = toy.make()
    again.fit(*options(again, None))
    assert same(again.state.values(), straight.state.values())
    assert [row | {"seconds": 0} for row in again.history] == [
        row | {"seconds": 0} for row in straight.history
    ]
    assert len(again.frames) == 4


@pytest.mark.parametrize("value", [None, np.nan, float("inf"), "0.5", tf.ones(3)], ids=str)
def test_a_score_that_is_no_finite_number_is_named(value):
    trainer = toy.make()
    with pytest.raises(ValueError, match=r"^score returned (?s:.*): return a finite number; lower"):
        toy.fit(trainer, 2, score=lambda: value)
    assert [row["score"] for row in trainer.history] == [None]
    toy.fit(trainer, 2, score=lambda: tf.constant(2.0))
    assert [row["score"] for row in trainer.history] == [2.0, 2.0]


def test_a_nan_among_old_scores_does_not_freeze_the_best():
    trainer = toy.make()
    toy.fit(trainer, 1, score=lambda: 5.0)
    trainer.history[0]["score"] = np.nan
    trainer._save = lambda: None
    trainer.history.append(trainer.history[0] | {"round": 2})
    trainer.parts["generator"].set_weights(
        [w + 1 for w in trainer.parts["generator"].get_weights()]
    )
    trainer.averaged["generator"].set_weights(trainer.parts["generator"].get_weights())
    trainer._measure(trainer.history[-1])
    best, averaged = (x["generator"].get_weights() for x in (trainer.best, trainer.averaged))
    assert all(np.array_equal(a, b) for a, b in zip(best, averaged, strict=True))


def test_scores_of_other_sample_counts_do_not_compare(capsys):
    """More rounds with fewer samples: their scores are lower, whatever the weights are."""
    kept = []
    for rounds, samples, scores in (2, 4000, [5.0, 4.0]), (4, 1000, [0.5, 0.7]), (5, 1000, [0.6]):
        trainer = toy.make(constants={"SEED": 1, "SAMPLES": samples})
        toy.fit(trainer, rounds, score=iter(scores).__next__)
        kept.append(trainer.best["generator"].get_weights()[0])
        averaged = trainer.averaged["generator"].get_weights()[0]
    assert [row["samples"] for row in trainer.history] == [4000, 4000, 1000, 1000, 1000]
    assert capsys.readouterr().out.count("Scores are of 1000 samples now") == 1
    assert not np.array_equal(kept[0], kept[1])  # the best of 0.5 and 0.7
    np.testing.assert_array_equal(kept[1], kept[2])
    assert not np.array_equal(kept[2], averaged)


def test_the_cell_of_a_trainer_can_be_run_again_alone():
    """What stands in a later cell still holds the averaged network of the first Trainer."""
    first = toy.make()
    averaged, best = first.averaged["generator"], first.best["generator"]
    toy.fit(first, 1)
    constants = {"constants": first.constants, "average": {"generator": 0.9}}
    again = training.Trainer("toy", first.step, **constants, **first.parts)
    assert again.averaged["generator"] is averaged
    assert again.best["generator"] is best
    before = averaged.get_weights()[0]
    toy.fit(again, 2)
    assert not np.array_equal(before, averaged.get_weights()[0])
    other = training.Trainer("other", first.step, **constants, **first.parts)
    assert other.averaged["generator"] is not averaged


def test_metrics_that_were_removed_do_not_stop_a_finished_run(capsys):
    trainer = toy.make()
    toy.fit(trainer, 1)
    run.write_json(trainer.folder / "metrics.json", {"scores": {}})
    toy.fit(toy.make(), 1)
    assert "Done, 1 of 1 rounds" in capsys.readouterr().out


@contextlib.contextmanager
def files_of_at_most(size):
    """Let the system refuse to write more into a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.fault(
    "disk full in the midst of a save",
    "stops in a sentence; goes on bit for bit",
    lost="the round in progress",
)
@pytest.mark.parametrize("size", [10_000, 100_000])  # of a round of half a megabyte
def test_a_full_disk_is_named_and_the_rounds_before_are_kept(size, capsys):  # no file for print
    trainer = toy.make()
    toy.fit(trainer, 1)
    with files_of_at_most(size), pytest.raises(OSError, match="Round 2 could not be saved in out"):
        toy.fit(trainer, 3)
    assert metrics_of(trainer)["status"] == "interrupted at 1 of 3"
    assert [p.name for p in (trainer.folder / "rounds").iterdir()] == [
        "round-00000.npz",
        "round-00001.npz",
    ]
    toy.fit(trainer, 3)
    straight = toy.make(constants={"OTHER": 1})
    toy.fit(straight, 3)
    assert same(trainer.state.values(), straight.state.values())


@pytest.mark.fault(
    "memory of the device full",
    "stops; names the batch size to lower",
    lost="the round in progress",
)
def test_memory_of_the_device():
    class Full(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if trainer.history:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    trainer = toy.make()
    with pytest.raises(MemoryError, match=r"saved up to round 1 of 2\)\. Lower BATCH_SIZE, now 8"):
        toy.fit(trainer, 2, [Full()])
    toy.fit(trainer, 2)
    assert metrics_of(trainer)["status"] == "done, 2 of 2"


def test_an_optimizer_that_is_not_built_is_named():
    with pytest.raises(ValueError, match="my_optimizer is not built"):
        training.Trainer("toy", toy.generator_loss, {}, my_optimizer=keras.optimizers.Adam())


def test_metrics_say_what_was_trained(capsys):
    trainer = toy.make()
    toy.fit(trainer, 1)
    found = metrics_of(trainer)
    assert (found["lesson"], found["preset"], found["data"]) == ("toy", "smoke", "noise")
    assert (found["standin"], found["rounds_done"], found["rounds_planned"]) == (False, 1, 1)
    assert found["precision"] == "float32"
    assert found["versions"]["Keras"] == keras.__version__
    assert found["device"] == device.name()
    assert found["seconds"] > 0


@pytest.mark.fault(
    "newest checkpoint cut, changed, empty or missing",
    "named; the one before is used, bit for bit",
    lost="one round",
)
@pytest.mark.parametrize("how", ["truncated", "flipped", "empty", "missing"])
def test_a_damaged_round_is_named_and_the_one_before_is_used(tmp_path, monkeypatch, capsys, how):
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "straight"))
    straight = toy.make()
    toy.fit(straight, 3)
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "damaged"))
    trainer = toy.make()
    toy.fit(trainer, 2)
    newest = trainer.folder / "rounds" / "round-00002.npz"
    damage(newest, how, np.random.default_rng(len(how)))
    capsys.readouterr()
    resumed = toy.make()
    toy.fit(resumed, 3)
    printed = capsys.readouterr().out
    assert "Continuing after round 1 of 3" in printed
    assert ("round-00002.npz is damaged" in printed) == (how != "missing")
    assert same(straight.state.values(), resumed.state.values())


# A run is what it computes


def known(data=None, **changes):
    """Return the identity of a toy run."""
    trainer = toy.make(**changes)
    return identity(trainer, data)


def identity(trainer, data=None):
    trainer.dataset = data or toy.data()
    trainer.steps_per_round = toy.STEPS
    return trainer.identity()


@pytest.fixture(scope="module")
def unchanged():
    return known()


def with_step(change):
    """Return a toy Trainer whose step is changed."""
    trainer = toy.make()
    parts = trainer.parts
    return training.Trainer("toy", change(trainer.step), {"SEED": 1}, {"generator": 0.9}, **parts)


class CalledStep:
    def __init__(self, step):
        self.step = step

    def __call__(self, batch):
        return self.step(batch)


class OwnReLU(keras.layers.Layer):
    def call(self, x):
        return tf.nn.leaky_relu(x, 0.2)


class OwnLoss(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return tf.reduce_mean(tf.nn.softplus(-y_pred))


def renamed_loss(answers):
    """Say the same in other words."""
    positive = -answers
    return tf.reduce_mean(tf.nn.softplus(positive))


@pytest.mark.parametrize(
    "make",
    [
        lambda: with_step(tf.function),
        lambda: with_step(functools.partial),
        lambda: with_step(CalledStep),
        lambda: with_step(lambda step: lambda images: step(images)),
        lambda: toy.make(g_loss=renamed_loss),
        lambda: toy.make(g_loss=lambda x: OwnLoss(reduction=None)(x, x)),
        lambda: toy.make(constants={"SEED": 1, "ROUNDS": 7, "SAMPLES": 9, "XLA": False}),
        lambda: toy.make(activation=OwnReLU),
    ],
    ids=["function", "partial", "__call__", "lambda", "names", "Loss", "constants", "Layer"],
)
def test_what_computes_the_same_goes_on(unchanged, make):
    assert fingerprint.differences(unchanged, identity(make())) == []


def number_from(holder):
    return lambda logits: holder.weight * toy.generator_loss(logits)


def loaded_weights():
    """Set weights of one's own before the Trainer is made."""

    def change(generator):
        generator.set_weights([w + 0.1 for w in generator.get_weights()])

    return toy.make(before=change)


def frozen_layer():
    def change(generator):
        generator.layers[1].trainable = False

    return toy.make(before=change)


def other_policy():
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        return toy.make()
    finally:
        keras.mixed_precision.set_dtype_policy(before)


def inside_cond(logits):
    return tf.cond(
        tf.reduce_mean(logits) > 0, lambda: 1.5 * tf.reduce_mean(logits), lambda: tf.constant(0.0)
    )


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: toy.make(g_loss=number_from(SimpleNamespace(weight=2.0))), "train_step computes"),
        (lambda: toy.make(g_loss=inside_cond), "what train_step computes"),
        (lambda: toy.make(seed=2, constants={"SEED": 1}), "begin with"),
        (loaded_weights, "the values that generator begin with"),
        (frozen_layer, "train_step computes"),
        (other_policy, "train_step computes"),
        (lambda: toy.make(rate=2e-3), "the values that d_optimizer, g_optimizer begin with"),
        (lambda: toy.make(width=4), "the values that"),
        (lambda: toy.make(constants={"SEED": 1, "NUMBERS": {"a": 1}}), "NUMBERS"),
    ],
    ids=["number", "cond", "seed", "loaded", "frozen", "policy", "rate", "width", "constant"],
)
def test_what_computes_something_else_is_another_run(unchanged, make, words):
    assert words in ", ".join(fingerprint.differences(unchanged, identity(make())))


def changed_data(**changes):
    fields = {k: getattr(toy.data(), k) for k in ("images", "labels", "split")}
    fields |= {"name": "noise", "standin": False, "batch_size": toy.BATCH, "seed": 3}
    return datasets.ImageData(**fields | changes)


@pytest.mark.parametrize(
    "change",
    [
        {"images": np.full((50, 28, 28, 1), 99, "uint8")},
        {"labels": np.ones(50, "int64")},
        {"split": "test"},
        {"seed": 4},
        {"name": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_data_are_another_run(unchanged, change):
    found = fingerprint.differences(unchanged, known(changed_data(**change)))
    assert len(found) == 1
    assert found[0].startswith(f"the data's {next(iter(change))}")


def test_a_step_that_changes_what_the_trainer_lacks_is_refused():
    """The trap of a module-global tf.function: the step finds other networks than before."""
    trainer, other = toy.make(), toy.make()
    missing = {k: v for k, v in other.parts.items() if k != "discriminator"}
    for parts in trainer.parts, missing:
        stale = training.Trainer("toy", other.step, {}, **parts)
        with pytest.raises(ValueError, match=r"which this Trainer does not have.*run all cells"):
            toy.fit(stale, 1, averaged=other.averaged["generator"])


def test_a_network_that_is_only_read_is_not_saved_and_counts_by_its_weights():
    def network():
        return keras.Sequential(
            [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(1)]
        )

    def trainer(seed):
        keras.utils.set_random_seed(seed)
        frozen = network()
        keras.utils.set_random_seed(9)
        changing = network()

        def step(batch):
            loss = tf.reduce_mean(frozen(batch, training=True))
            changing.layers[1].bias.assign_add([loss])
            return {"loss": loss}

        return training.Trainer("toy", step, {}, network=changing)

    one, same_, other = trainer(1), trainer(1), trainer(2)
    prints = [identity(t)["computed"] for t in (one, same_, other)]
    assert prints[0] == prints[1] != prints[2]
    assert {key.split("/")[0] for key in one.state.variables} == {"steps", "network"}


class Interrupt(keras.callbacks.Callback):
    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_the_cells_of_an_interrupted_training_can_be_run_again(capsys):
    trainer = toy.make()
    toy.fit(trainer, 3, [Interrupt(7)])
    again = training.Trainer("toy", trainer.step, {"SEED": 1}, {"generator": 0.9}, **trainer.parts)
    toy.fit(again, 3)
    assert "Continuing after round 1 of 3" in capsys.readouterr().out
    assert again.folder == trainer.folder
    straight = toy.make(lesson="straight")
    toy.fit(straight, 3)
    assert same(again.state.values(), straight.state.values())


def test_a_next_stage_begins_with_the_weights_of_the_one_before():
    """It is known by them, too."""
    first = toy.make(lesson="first")
    toy.fit(first, 1)
    trained = first.parts["generator"].get_weights()
    second = training.Trainer("second", first.step, {}, **first.parts)
    for i, value in enumerate(trained):
        np.testing.assert_array_equal(second.state.start[f"generator/{i:03d}"], value)
    toy.fit(second, 1, averaged=first.averaged["generator"])
    set_since = first.parts["generator"]
    set_since.set_weights([w + 1 for w in trained])
    third = training.Trainer("second", first.step, {}, **first.parts)
    np.testing.assert_array_equal(third.state.start["generator/000"], trained[0] + 1)


def test_chosen_rounds_are_kept_as_snapshots():
    trainer, at = toy.make(), {}
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: at.update(
            {epoch + 1: trainer.averaged["generator"].get_weights()}
        )
    )
    toy.fit(trainer, 4, [note], snapshots=(1, 3))
    files = sorted((trainer.folder / "snapshots").iterdir())
    assert [path.name for path in files] == ["00001.npz", "00003.npz"]
    with np.load(files[1]) as file:
        for i, value in enumerate(at[3]):
            expected = value.astype("float16") if value.dtype == "float32" else value
            np.testing.assert_array_equal(file[f"averaged_generator/{i:03d}"], expected)


def test_a_frame_may_be_a_finished_picture_of_any_size():
    trainer = toy.make()
    sizes = iter([(8, 8), (16, 24, 3)])
    trainer.fit(toy.data(), 1, 2, lambda: np.zeros(next(sizes), "uint8"))
    shapes = [iio.imread(path).shape for path in trainer.frames]
    assert shapes[0][0] < shapes[1][0]


def test_a_callback_can_end_the_training():
    trainer = toy.make()
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: stop_now())

    def stop_now():
        stop.model.stop_training = True

    toy.fit(trainer, 3, [stop])
    assert len(trainer.history) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: None, r"NoneType: return a dict of scalars"),
        (lambda found: {}, r"dict: return a dict of scalars"),
        (lambda found: tuple(found.values()), r"tuple: return a dict of scalars"),
        (lambda found: found["d_loss"], r"\w*Tensor: return a dict of scalars"),
        (
            lambda found: found | {"loss": tf.zeros(8) + found["d_loss"]},
            r"loss of shape \(8,\): return a scalar, such as tf.reduce_mean\(loss\)",
        ),
        (lambda found: found | {"loss": None}, "loss as NoneType: return a scalar"),
        (lambda found: found | {"loss": [0.1, 0.2]}, "loss as list: return a scalar"),
        *(
            (lambda found, name=name: found | {name: found["d_loss"]}, f"'{name}', which is no")
            for name in ("round", "step", "seconds", "score", "diversity")
        ),
        (lambda found: found | {1: found["d_loss"]}, "1, which is no name for a result"),
    ],
)
def test_results_that_are_no_scalars_are_refused_before_the_training(change, words):
    trainer = toy.make()
    step = trainer.step
    trainer.step = lambda batch: change(step(batch))
    with pytest.raises(ValueError, match=rf"^train_step returns {words}[^\n]*$"):
        toy.fit(trainer, 1)
    assert trainer.folder is None


def test_a_result_may_be_a_number():
    trainer = toy.make()
    step = trainer.step
    trainer.step = lambda batch: step(batch) | {"mine": 0.5, "its": np.float32(2)}
    toy.fit(trainer, 1)
    assert (trainer.history[0]["mine"], trainer.history[0]["its"]) == (0.5, 2)


@pytest.mark.parametrize(
    "data", [None, np.zeros((8, 28, 28, 1)), tf.data.Dataset.range(3)], ids=type
)
def test_data_of_another_kind_are_refused(data):
    with pytest.raises(TypeError, match=r"^dataset is of the kind .*: use datasets\.mnist"):
        toy.make().fit(data, 1, 1, lambda: np.zeros((1, 28, 28, 1)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"snapshots": (1, 3)}, r"snapshots=3: the training has 2 rounds"),
        ({"snapshots": (1.5,)}, r"snapshots=1\.5: take a whole number"),
        ({"snapshots": (-1,)}, r"snapshots=-1: take a whole number"),
        ({"snapshots": 2}, r"snapshots='2': take a whole number"),
        ({"callbacks": [Interrupt]}, r"callbacks has a class: make an object of it, Interrupt\(\)"),
        ({"callbacks": [print]}, r"callbacks has .*print.*no keras\.callbacks\.Callback"),
    ],
)
def test_arguments_of_fit_that_mean_nothing_are_refused(options, words):
    trainer = toy.make()
    with pytest.raises(ValueError, match=f"^{words}"):
        toy.fit(trainer, 2, **options)
    assert trainer.folder is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"average": {"nett": 0.9}}, "average='nett' is not known. Use one of: generator, disc"),
        ({"average": {"rng": 0.9}}, "average='rng' is not known"),
        ({"average": {"generator": 1}}, "average of generator: 1 is no decay from 0 to below 1"),
        ({"average": {"generator": -0.1}}, "average of generator: -0.1 is no decay"),
        ({"average": {"generator": np.nan}}, "average of generator: nan is no decay"),
        ({"average": {"generator": "0.9"}}, "average of generator: '0.9' is no decay"),
        ({"record": ("averaged_nett",)}, "record='averaged_nett' is not known. Use one of: gen"),
        ({"record": ("averaged_generator",)}, "record='averaged_generator' is not known"),
    ],
)
def test_arguments_of_a_trainer_that_name_nothing_are_refused(options, words):
    trainer = toy.make()
    with pytest.raises(ValueError, match=f"^{words}"):
        training.Trainer("toy", trainer.step, {}, **options, **trainer.parts)
    training.Trainer("toy", trainer.step, {}, {"generator": np.float32(0)}, **trainer.parts)


@pytest.mark.parametrize("seed", [-1, 2**31, 1.5, True, None, "1"])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match=r"^seed=.*: take a whole number"):
        runtime.start(seed)


def test_a_callback_that_needs_a_model_is_refused_before_the_training():
    trainer = toy.make()
    with pytest.raises(ValueError, match="ModelCheckpoint needs"):
        toy.fit(trainer, 1, [keras.callbacks.ModelCheckpoint("a.keras")])
    assert trainer.folder is None


def test_a_page_piped_into_python_is_the_same_run(tmp_path, capsys):
    """No source of it can be found there."""
    script = (
        "import keras\nfrom tests import toy\n"
        "class Slope(keras.layers.Layer):\n"
        "    def call(self, x):\n        return keras.ops.leaky_relu(x, 0.3)\n"
        "def loss(logits):\n    return toy.generator_loss(logits) * 2.0\n"
        "toy.fit(toy.make(activation=Slope, g_loss=loss), 1)\n"
    )
    file = tmp_path / "page.py"
    file.write_text(script, encoding="utf-8")
    said = []
    for name in str(file), "<stdin>":
        exec(compile(script, name, "exec"), {"__name__": "__main__"})
        said.append(capsys.readouterr().out)
    assert "1 rounds, 5 steps a round" in said[0]
    assert "Done, 1 of 1 rounds" in said[1]
