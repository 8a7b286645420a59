"""Trainer, rounds, fingerprint, record: nothing is lost, nothing old is trained."""

import contextlib
import csv
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import toy
from tools import records
from utils import checkpoints, loop, monitor, runtime, training
from utils.fingerprint import code, differences, fingerprint

INTERRUPTED = pytest.mark.fault(
    "interrupt (Ctrl-C), also in the first frame",
    "ends with one line; goes on bit for bit",
    lost="the round in progress",
)


def same(a, b):
    assert a.keys() == b.keys()
    return all(np.array_equal(a[key], b[key]) for key in a)


def metrics_of(trainer):
    return json.loads((trainer.folder / "metrics.json").read_text())


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_two_rounds_and_two_in_a_new_process_are_four(tmp_path, monkeypatch, precision):
    """Weights, optimizers, averages, the best, seeds, order of data, frames: bit for bit."""
    monkeypatch.setenv("PRECISION", precision)

    def process(rounds, output):
        monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / output))
        script = [sys.executable, "-m", "tests.toy", str(rounds), str(tmp_path / "state.npz")]
        subprocess.run(script, check=True, cwd=Path(__file__).parent.parent)
        with np.load(tmp_path / "state.npz") as file:
            return dict(file)

    straight = process(4, "straight")
    process(2, "halves")
    resumed = process(4, "halves")
    assert same(straight, resumed)
    assert len(resumed["frames"]) == 5
    with (tmp_path / "halves/toy/smoke/history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["round"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["step"] for row in rows] == ["5", "10", "15", "20"]
    assert all(row["score"] for row in rows)


@pytest.mark.parametrize(("name", "error"), [("bfloat16", 0.25), ("float16", 0.03)])
def test_half_precision_of_a_gpu(name, error, monkeypatch):
    """Gradients are those of float32 up to rounding, also where float16 alone makes them 0."""
    monkeypatch.setattr(runtime, "GPUS", ["one"])
    parts = toy.make().parts
    generator, discriminator = parts["generator"], parts["discriminator"]
    z = tf.random.stateless_normal((8, toy.LATENT), seed=(0, 0))
    variables = generator.trainable_variables

    def gradients(factor):
        with tf.GradientTape() as tape:
            tape.watch(z)
            logits = discriminator(generator(z, training=True), training=False)
            loss = factor * toy.generator_loss(logits)
        assert logits.dtype == tf.float32
        found = tape.gradient(loss, [z, *variables])
        found[1:] = [g / (parts["g_optimizer"].loss_scale_factor or 1) for g in found[1:]]
        return [g.numpy() / factor for g in found]

    def off(found):
        pairs = list(zip(found, expected, strict=True))
        return max(np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs)

    expected = gradients(1.0)
    with runtime.precision(name, parts.values()):
        convolution = discriminator.layers[0]
        assert convolution(np.zeros((1, 28, 28, 1))).dtype == name
        assert convolution.kernel.dtype == "float32"
        assert 0 < off(gradients(1.0)) < error
        assert off(gradients(1e-5)) < error
    monkeypatch.setattr(runtime, "LOSS_SCALE", 1.0)
    with runtime.precision(name, parts.values()):
        assert (off(gradients(1e-5)) > 0.5) == (name == "float16")
    assert off(gradients(1e-5)) < 1e-5
    assert convolution(np.zeros((1, 28, 28, 1))).dtype == "float32"


def test_layers_within_layers_take_the_precision():
    inner = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(4)])
    network = keras.Sequential([inner, keras.layers.Dense(3), keras.layers.Dense(2)])
    network.build((None, 4))
    with runtime.precision("float16", [network]):
        dtypes = [layer.compute_dtype for layer in (*inner.layers, *network.layers)]
    assert dtypes == ["float16", "float16", "float16", "float32"]


def test_fit_computes_in_the_precision_of_training(monkeypatch):
    monkeypatch.setattr(runtime, "_training_precision", "float16")
    trainer, seen = toy.make(), []
    layer = trainer.parts["discriminator"].layers[0]
    note = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append(layer.compute_dtype)
    )
    toy.fit(trainer, 1, [note])
    assert (seen, layer.compute_dtype) == (["float16"], "float32")


def test_the_same_seed_gives_the_same_weights(monkeypatch, tmp_path):
    states = []
    for folder, seed in ("a", 1), ("b", 1), ("c", 2):
        monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / folder))
        trainer = toy.make(seed=seed)
        toy.fit(trainer, 1)
        states.append(toy.state(trainer))
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
    trainer, traced = toy.make(), []
    update = trainer.update
    trainer.update = lambda batch: traced.append(1) or update(batch)
    toy.fit(trainer, 2)
    assert len(traced) == 1


def test_xla_computes_the_same():
    weights = []
    for xla in False, True:
        weight = tf.Variable(tf.ones((28 * 28, 1)))

        def step(batch, weight=weight):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((tf.reshape(batch, (toy.BATCH, -1)) @ weight) ** 2)
            weight.assign_sub(1e-4 * tape.gradient(loss, weight))
            return {"loss": loss}

        model = loop.Compiled(step, xla)
        model.fit(toy.data().from_step(0), steps_per_epoch=5, verbose=0)
        weights.append(weight.numpy())
    assert np.abs(weights[0] - 1).max() > 1e-3
    np.testing.assert_allclose(*weights, rtol=1e-5)


def test_the_faster_way_is_tried_once_a_run_and_leaves_no_trace(monkeypatch):
    def xla_pays(step, batch):
        tried.append(tf.function(step)(batch))
        return True

    tried, plain, first, again = [], toy.make(lesson="plain"), toy.make(), toy.make()
    toy.fit(plain, 1)  # too short to try
    monkeypatch.setattr(runtime, "xla_pays", xla_pays)
    monkeypatch.setattr(training, "WORTH_A_TRY", 1)
    toy.fit(first, 1)
    np.testing.assert_array_equal(plain.frames[0], first.frames[0])
    assert int(first.steps) == toy.STEPS
    toy.fit(again, 2)
    assert len(tried) == 1
    assert again.xla


def test_a_slow_step_is_not_tried_with_xla():
    def slow(x):
        return tf.py_function(lambda y: time.sleep(0.25) or y, [x], tf.float32)  # no XLA for it

    assert not runtime.xla_pays(slow, tf.zeros(3))


def test_other_work_in_the_midst_of_a_trial_does_not_decide_it(monkeypatch):
    """XLA halves the time; from some call on, all takes three times as long."""
    for disturbed_from in range(15):
        now, calls = [0.0], []

        def compiled(function, jit_compile, now=now, calls=calls, begin=disturbed_from):
            def call():
                now[0] += (0.01 if jit_compile else 0.02) * (3 if len(calls) >= begin else 1)
                calls.append(jit_compile)
                return 0.0

            return call

        monkeypatch.setattr(runtime.time, "perf_counter", lambda now=now: now[0])
        monkeypatch.setattr(runtime.tf, "function", compiled)
        assert runtime.xla_pays(abs), disturbed_from


def test_training_begins_with_the_state_at_construction():
    """Updates between construction and `fit`, as in the timing cell, leave no trace."""
    trainer, other = toy.make(), toy.make(constants={"OTHER": 1})
    for batch in toy.data().from_step(0).take(2):
        other.step(batch)
    toy.fit(trainer, 1)
    toy.fit(other, 1)
    assert same(toy.state(trainer), toy.state(other))


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
    with (trainer.folder / "history.csv").open() as file:
        assert [row["score"] for row in csv.DictReader(file)][:4] == ["", "3.0", "", "1.0"]
    again = toy.make()
    toy.fit(again, 7)  # opened, not trained
    for a, b in zip(again.best["generator"].get_weights(), at[4], strict=True):
        np.testing.assert_array_equal(a, b)


def wasserstein(real_logits, fake_logits):
    return tf.reduce_mean(fake_logits) - tf.reduce_mean(real_logits)


@pytest.mark.parametrize(
    ("broken", "rounds", "word"),
    [
        ({}, 8, ""),
        ({"sight": 0.0}, 5, "collapsed"),  # G does not see z
        ({"rate": 0.0, "d_rate": 0.02}, 16, "saturated"),  # G stands still
        (
            {"rate": 0.05, "g_loss": lambda f: -tf.reduce_mean(f), "d_loss": wasserstein},
            9,
            "diverged",
        ),
    ],
    ids=["healthy", "collapsed", "saturated", "diverged"],
)
def test_the_panel_names_what_is_wrong(capsys, broken, rounds, word):
    trainer = toy.make(**broken)
    toy.fit(trainer, rounds, steps=250 if word == "collapsed" else toy.STEPS)
    advice = monitor.health(trainer.history)
    assert (word in advice) if word else advice == ""
    printed = capsys.readouterr().out
    assert (f"{advice} See README.md#troubleshooting." in printed) == bool(word)


def test_health_is_silent_on_every_recorded_run():
    for file in checkpoints.record_folder("").glob("*/state.npz"):
        with np.load(file, allow_pickle=False) as state:
            history = json.loads(str(state["history"]))
        assert [monitor.health(history[:n]) for n in range(len(history) + 1)] == [""] * (
            len(history) + 1
        ), file


def test_a_finished_run_is_not_trained_again_but_more_rounds_are(capsys, monkeypatch):
    trainer = toy.make()
    toy.fit(trainer, 2)
    before = toy.state(trainer)
    again = toy.make()
    toy.fit(again, 2)
    assert "Done, 2 of 2" in capsys.readouterr().out
    assert same(before, toy.state(again))
    toy.fit(again, 3)
    assert "Going on after round 2 of 3" in capsys.readouterr().out
    assert len(again.history) == 3
    assert len(list((again.folder / "rounds").glob("*.npz"))) == checkpoints.KEEP
    monkeypatch.setenv("RESTART", "1")
    toy.fit(again, 2)
    assert [row["round"] for row in again.history] == [1, 2]
    assert same(before, toy.state(again))
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
    assert same(toy.state(first), toy.state(unchanged))


def test_fingerprint_ignores_what_does_not_matter():
    """Names that Keras counts up, the number of rounds, the project's address."""
    trainers = [toy.make(), toy.make()]  # the second has dense_2 where the first has dense
    prints = [
        fingerprint(
            t.step, t.parts, {"A": 1, "ROUNDS": n, "SAMPLES": n, "ADDRESS": str(n)}, "noise"
        )
        for n, t in enumerate(trainers)
    ]
    assert differences(*prints) == []
    assert prints[0] == prints[1]


def test_fingerprint_ignores_comments_and_docstrings():
    def loss(x):
        return x + 1

    plain = code(loss)

    def loss(x):
        """Say something."""
        return x + 1  # and more

    assert code(loss) == plain

    def loss(x):
        return x + 2

    assert code(loss) != plain


def test_fingerprint_sees_wiring():
    """Two networks with the same layers in the same order, connected differently."""

    def network(swap):
        a = inputs = keras.Input((4,))
        b = keras.layers.Dense(4)(a)
        c = keras.layers.Dense(4)(a if swap else b)
        return keras.Model(inputs, keras.layers.Add()([b, c]))

    a, b = ({"generator": network(swap)} for swap in (False, True))
    found = differences(*(fingerprint(toy.generator_loss, p, {}, "noise") for p in (a, b)))
    assert found == ["generator"]


def test_differences_name_the_constant():
    prints = [
        fingerprint(toy.generator_loss, {}, {"BATCH_SIZE": n, "SEED": 1}, "noise")
        for n in (64, 128)
    ]
    assert differences(*prints) == ["BATCH_SIZE 64 -> 128"]


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
    assert same(toy.state(trainer), toy.state(straight))


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
    trainer.variables["broken"] = broken
    trainer._initial["broken"] = np.zeros((), "float32")
    with pytest.raises(FloatingPointError, match=r"g_loss became nan in step 6 \(round 2\)"):
        toy.fit(trainer, 3, [Break()])
    assert metrics_of(trainer)["status"] == "interrupted at 1 of 3"
    assert all(np.isfinite(v).all() for k, v in toy.state(trainer).items() if k != "broken")


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
    assert same(toy.state(trainer), toy.state(straight))


@pytest.mark.fault(
    "output folder that cannot be written to",
    "refused in a sentence, before the training",
    lost="nothing",
)
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "file" / "outputs"))
    with pytest.raises(OSError, match=r"cannot be written to: Not a directory\. Set OUTPUT_DIR"):
        toy.fit(toy.make(), 1)


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


@pytest.mark.fault(
    "two runs in one folder",
    "the second waits, then stops in a sentence",
    lost="nothing",
)
def test_a_second_process_in_the_same_folder_waits_and_stops(monkeypatch):
    trainer = toy.make()
    toy.fit(trainer, 1)
    before = [(p.name, p.stat().st_mtime_ns) for p in sorted(trainer.folder.rglob("*"))]
    lock = trainer.folder.parent / f".{trainer.folder.name}.lock"
    script = f"import filelock, time; lock = filelock.FileLock({str(lock)!r}); lock.acquire()"
    script += "; print('locked', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"locked\n"
    monkeypatch.setattr(checkpoints, "WAIT", 0.3)
    for restart in "0", "1":
        monkeypatch.setenv("RESTART", restart)
        with pytest.raises(OSError, match=r"Another process trains in outputs/toy/smoke\. Wait"):
            toy.fit(toy.make(), 2)
    assert before == [(p.name, p.stat().st_mtime_ns) for p in sorted(trainer.folder.rglob("*"))]
    other.kill()  # the lock does not outlive it
    other.wait()
    monkeypatch.setenv("RESTART", "0")
    toy.fit(trainer, 2)
    assert metrics_of(trainer)["status"] == "done, 2 of 2"


def test_networks_built_again_are_never_trained_by_an_old_step():
    """The trap of a module-global tf.function: the step finds other networks than before."""

    def build():
        return keras.Sequential([keras.layers.Input((784,)), keras.layers.Dense(1)])

    network = build()

    def step(batch):
        loss = tf.reduce_mean(network(tf.reshape(batch, (-1, 784)), training=True))
        return {"loss": loss}

    def fit(trainer, rounds):
        return trainer.fit(toy.data(), rounds, 2, lambda: np.zeros((1, 28, 28, 1)))

    trainer = training.Trainer("toy", step, {}, network=network)
    fit(trainer, 1)
    network = build()
    for rounds in 1, 2:  # finished or not
        with pytest.raises(ValueError, match="`network` that this Trainer does not have"):
            fit(trainer, rounds)
    trainer = training.Trainer("toy", step, {}, network=network)
    assert len(fit(trainer, 2)) == 2


def test_a_variable_that_would_not_be_saved_is_an_error():
    box = [tf.Variable(0.0)]

    def step(batch):
        return {"loss": tf.reduce_mean(batch) + box[0].assign_add(1.0)}

    trainer = training.Trainer("toy", step, {})
    with pytest.raises(ValueError, match="a variable that this Trainer does not save"):
        trainer.fit(toy.data(), 1, 2, lambda: np.zeros((1, 28, 28, 1)))


def test_a_network_that_does_not_change_is_used_and_not_saved():
    frozen, network = (
        keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
        for _ in "ab"
    )
    frozen.trainable = False

    def step(batch):
        return {
            "loss": tf.reduce_mean(frozen(batch, training=True) + network(batch, training=True))
        }

    def fit(**options):
        trainer = training.Trainer("toy", step, {}, network=network, **options)
        trainer.fit(toy.data(), 1, 2, lambda: np.zeros((1, 28, 28, 1)))
        return trainer

    with pytest.raises(ValueError, match="`frozen` that this Trainer does not have"):
        fit()
    before = frozen.get_weights()
    trainer = fit(frozen=[frozen])
    assert {key.split("/")[0] for key in trainer.variables} == {"steps", "network"}
    for a, b in zip(before, frozen.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


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
    assert found["device"] == runtime.device()
    assert found["seconds"] > 0


def damage(path, how, rng):
    content = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(content[: rng.integers(len(content))])
    elif how == "flipped":
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(content)
    elif how == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()


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
    assert "Going on after round 1 of 3" in printed
    assert ("round-00002.npz is damaged" in printed) == (how != "missing")
    assert same(toy.state(straight), toy.state(resumed))


@pytest.mark.fault(
    "checkpoint with flipped bits or cut, small",
    "found whole, or refused in a sentence",
    lost="at most what was damaged",
)
def test_no_flipped_bit_passes_in_silence(tmp_path, record_property):
    """What is read is what was written, or nothing: 200 damaged copies of a small round."""
    state = {"a/000": np.arange(50, dtype="float32"), "history": np.array("[]")}
    rng = np.random.default_rng(0)
    folder = tmp_path / "outputs" / "toy" / "smoke"
    (folder / "rounds").mkdir(parents=True)
    record_property("tried", 200)
    for i in range(200):
        checkpoints.save_round(folder, 1, state)
        path = folder / "rounds" / "round-00001.npz"
        damage(path, ("flipped", "truncated")[i % 2], rng)
        try:
            found = checkpoints.load_round(folder)
        except ValueError as error:
            assert "RESTART=1" in str(error)  # noqa: PT017
        else:
            assert same(found, state)


@pytest.mark.fault("damaged run.json", "refused in a sentence", lost="nothing")
def test_a_damaged_run_json_is_named():
    trainer = toy.make()
    toy.fit(trainer, 1)
    (trainer.folder / "run.json").write_text('{"constants": {')
    with pytest.raises(ValueError, match=r"run\.json is damaged"):
        toy.fit(toy.make(), 2)


@pytest.fixture
def record(monkeypatch, tmp_path):
    """A finished `long` toy run, made the record of its lesson."""
    monkeypatch.setattr(checkpoints, "ROOT", tmp_path / "project")
    monkeypatch.setenv("PRESET", "long")
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "first"))
    trainer = toy.make()
    toy.fit(trainer, 2)
    records.write_record(trainer.folder)
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "second"))
    return trainer


def test_a_record_is_a_finished_run(record, capsys):
    trainer = toy.make()
    history = toy.fit(trainer, 2)
    assert "Record of" in capsys.readouterr().out
    assert history == record.history
    for networks, recorded in (trainer.parts, record.parts), (trainer.averaged, record.averaged):
        variables = networks["generator"].variables, recorded["generator"].variables
        for a, b in zip(*variables, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)  # half precision
    assert len(trainer.frames) == 3
    assert metrics_of(trainer)["status"] == "done, 2 of 2"
    assert (trainer.folder / "history.csv").exists()
    card = (checkpoints.record_folder("toy") / "README.md").read_text(encoding="utf-8")
    assert "Trained on noise, preset `long`: 10 updates" in card


def test_a_record_may_keep_the_averaged_networks_only(record, monkeypatch, tmp_path):
    """What it lacks of a network comes from the average: no weights of the start slip in."""
    trainer = toy.make(lesson="slim", record=["averaged_generator"])
    toy.fit(trainer, 2)
    records.write_record(trainer.folder)
    with np.load(checkpoints.record_folder("slim") / "state.npz") as file:
        kept = {key.split("/")[0] for key in file.files}
    assert kept == {"averaged_generator", "steps", "history", "frames"}
    with pytest.raises(ValueError, match="has no generator like this one"):
        checkpoints.load_networks("slim", generator=trainer.parts["generator"])
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "third"))
    again = toy.make(lesson="slim")
    toy.fit(again, 2)
    expected = trainer.averaged["generator"].get_weights()
    for network in again.averaged, again.best, again.parts:
        arrays = network["generator"].get_weights()
        for a, b in zip(expected, arrays, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("scores", "kept"), [((2.0, 1.0), False), ((1.0, 2.0), True)])
def test_a_record_keeps_the_best_weights_once(record, scores, kept):
    """Where the end was best, the averaged weights are the best ones."""
    trainer = toy.make(lesson="scored")
    toy.fit(trainer, 2, score=iter(scores).__next__)
    records.write_record(trainer.folder)
    with np.load(checkpoints.record_folder("scored") / "state.npz") as file:
        assert any(key.startswith("best_") for key in file.files) == kept
    network = toy.make().parts["generator"]
    checkpoints.load_networks("scored", best_generator=network)
    for a, b in zip(trainer.best["generator"].get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "rounds", "environment"),
    [
        ({"constants": {"SEED": 2}}, 2, {}),
        ({"width": 4}, 2, {}),
        ({"g_loss": other_loss}, 2, {}),
        ({}, 3, {}),
        ({}, 2, {"PRESET": "quick"}),
        ({}, 2, {"RESTART": "1"}),
    ],
    ids=["constants", "network", "loss", "rounds", "preset", "restart"],
)
@pytest.mark.fault(
    "record of another network, loss, constant, preset or length",
    "not used",
    lost="nothing",
)
def test_a_record_of_something_else_is_not_used(
    record, capsys, monkeypatch, change, rounds, environment
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    trainer = toy.make(**change)
    toy.fit(trainer, rounds)
    assert "Record of" not in capsys.readouterr().out
    assert len(trainer.history) == rounds


def test_a_record_holds_for_a_step_written_differently(record):
    trainer = toy.make()
    prints = fingerprint(trainer.step, trainer.parts, {"SEED": 1}, "noise")
    changed = {**prints, "step": "other source", "precision": "bfloat16"}
    assert checkpoints.load_record("toy", changed, 2) is not None


@pytest.mark.fault("damaged record", "refused in a sentence", lost="nothing")
def test_a_damaged_record_is_named(record, tmp_path):
    path = tmp_path / "project" / "outputs" / "pretrained" / "toy" / "state.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"state\.npz is damaged.*git checkout"):
        toy.fit(toy.make(), 2)


def test_only_a_finished_run_on_real_data_becomes_a_record(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "ROOT", tmp_path / "project")
    trainer = toy.make()
    toy.fit(trainer, 1)
    for key, value, reason in (
        ("status", "interrupted at 1 of 2", "finished"),
        ("standin", True, "real"),
    ):
        before = (trainer.folder / "metrics.json").read_text()
        checkpoints.write_metrics(trainer.folder, {key: value})
        with pytest.raises(ValueError, match=reason):
            records.write_record(trainer.folder)
        (trainer.folder / "metrics.json").write_text(before)
