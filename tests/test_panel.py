"""The panel: words, health by kind of game, where it is shown; without a Trainer."""

import json
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from tools import pages
from utils import callbacks, device, images, panel, record
from utils.panel import CROSS_ENTROPY, HINGE, LEAST_SQUARES, WASSERSTEIN

ROW = {"round": 1, "step": 600, "seconds": 65.0}


def history(n=3, **values):
    return [ROW | {"round": i + 1, "step": 600 * (i + 1)} | values for i in range(n)]


@pytest.fixture
def progress(tmp_path):
    frame = tmp_path / "00000.png"
    images.save_png(frame, np.zeros((1, 8, 8, 1), "float32"))
    rows = history(2, d_loss=1.2, g_loss=0.8, d_real=0.6, d_fake=0.4, score=None)
    return panel.Progress(4, 100, rows, [frame], tmp_path)


HEALTHY = [
    (CROSS_ENTROPY, {"d_loss": 1.2, "g_loss": 0.9, "d_real": 0.6, "d_fake": 0.4, "diversity": 1.0}),
    (LEAST_SQUARES, {"d_loss": 0.2, "g_loss": 0.3, "d_real": 0.7, "d_fake": 0.3, "diversity": 0.9}),
    (WASSERSTEIN, {"d_loss": -9.0, "g_loss": 3.0, "d_real": 6.0, "d_fake": -3.0}),
    (WASSERSTEIN, {"d_loss": -80.0, "g_loss": 250.0, "d_real": 300.0, "d_fake": 220.0}),
    (HINGE, {"d_loss": 0.4, "g_loss": 2.0, "d_real": 2.0, "d_fake": -2.0}),
    (CROSS_ENTROPY, {"mse": 0.01}),  # no game at all
]
BROKEN = [
    (CROSS_ENTROPY, {"d_loss": 21.0}, "diverged"),
    (LEAST_SQUARES, {"d_loss": 21.0}, "diverged"),
    (CROSS_ENTROPY, {"g_loss": 101.0}, "diverged"),
    (WASSERSTEIN, {"d_loss": -2e4}, "diverged"),
    (HINGE, {"d_loss": 25.0}, "diverged"),
    (CROSS_ENTROPY, {"diversity": 0.4}, "collapsed"),
    (WASSERSTEIN, {"d_real": 6.0, "d_fake": -3.0, "diversity": 0.4}, "collapsed"),
    (CROSS_ENTROPY, {"d_real": 0.999, "d_fake": 0.001}, "saturated"),
    (LEAST_SQUARES, {"d_real": 0.999, "d_fake": 0.001}, "saturated"),
]


def test_a_result_that_got_another_name_is_drawn_from_there_on():
    renamed = [*history(2, loss_d=1.0), *history(3, d_loss=0.5)]
    assert panel.curves(renamed).count("<polyline") == 1
    assert panel.curves(renamed[:3]) == ""


@pytest.mark.parametrize("real", [np.zeros((6, 8, 8, 1)), np.zeros((1, 8, 8, 1))], ids=len)
def test_copies_have_no_diversity_to_compare_with(real):
    made = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, 1))
    data = SimpleNamespace(images=real.astype("uint8"))
    assert panel.diversity(made, data) == {}


@pytest.mark.parametrize(("game", "values"), HEALTHY)
def test_a_healthy_run_gets_no_warning(game, values):
    assert panel.health(history(**values), game) == ""


@pytest.mark.parametrize(("game", "values", "word"), BROKEN)
def test_a_broken_run_is_named(game, values, word):
    rows = history(**values)
    assert word in panel.health(rows, game)
    assert panel.health(rows[:2], game) == ""  # three rounds in a row
    assert panel.health([*rows[:2], history(**HEALTHY[0][1])[0]], game) == ""


def test_young_samples_may_look_alike():
    rows = [row | {"step": 100} for row in history(diversity=0.1)]
    assert panel.health(rows) == ""


@pytest.mark.parametrize("file", record.record_folder("").glob("*/state.npz"), ids=str)
def test_no_recorded_run_gets_a_warning_but_the_collapse(file):
    with np.load(file, allow_pickle=False) as state:
        rows = json.loads(str(state["history"]))
    lesson = file.parent.name[:2]
    (page,) = pages.NOTEBOOKS.glob(f"{lesson}_*.ipynb")
    game = LEAST_SQUARES if lesson in ("04", "07") else CROSS_ENTROPY
    if "panel.WASSERSTEIN" in page.read_text(encoding="utf-8"):
        game = WASSERSTEIN
    found = {panel.health(rows[:n], game) for n in range(len(rows) + 1)}
    collapses = file.parent.name.endswith("_collapse")  # on purpose: lesson 01 shows it
    assert ("The samples look alike: the generator looks collapsed." in found) == collapses
    assert collapses or found == {""}


def test_words(progress):
    seen = panel.view(progress, 50, pace=0.5, ends_round=False)
    results = "d_loss 1.20 · g_loss 0.80 · D(x) 0.60 · D(G(z)) 0.40"
    assert seen.text == f"round 2/4 · step 50/100 · 1:15 left · {results}"
    assert seen.share == 250 / 400
    assert seen.bar == "██████░░░░"
    progress.history += history(2, d_loss=1.0)
    assert panel.view(progress, 0, 0.5, True).text == "round 4/4 · trained 1:05 · d_loss 1.00"
    progress.history.clear()
    assert panel.view(progress, 0, None, False).text == "round 0/4"


def test_a_log_has_a_line_a_round_and_the_advice(progress, capsys):
    progress.history[:] = history(3, d_loss=30.0)
    panel.show_in_log(panel.view(progress, 7, 0.5, ends_round=False))
    assert capsys.readouterr().out == ""
    panel.show_in_log(panel.view(progress, 0, 0.5, ends_round=True))
    first, second = capsys.readouterr().out.splitlines()
    assert first == "round 3/4 · 0:50 left · d_loss 30.00"
    assert second.endswith("looks diverged. See README.md#troubleshooting.")


def test_a_terminal_renews_one_line(progress, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    panel.show_in_terminal(panel.view(progress, 7, 0.5, ends_round=False))
    shown = capsys.readouterr().out
    assert shown.startswith("\r\033[K█████░░░░░ round 2/4")
    assert len(shown) == len("\r\033[K") + 39
    progress.history += history(2)
    panel.show_in_terminal(panel.view(progress, 0, 0.5, ends_round=True))
    assert capsys.readouterr().out.endswith("\n")


class Gone:
    """A terminal that was closed, or a log on a full disk."""

    def __init__(self, error):
        self.error = error

    def write(self, text):
        raise self.error

    def isatty(self):
        raise self.error

    flush = write


@pytest.mark.fault(
    "terminal gone, or log on a full disk",
    "the training goes on silently",
    lost="what would have been printed",
)
@pytest.mark.parametrize(
    "stdout",
    [
        None,
        Gone(BrokenPipeError(32, "Broken pipe")),
        Gone(OSError(28, "No space left on device")),
        Gone(ValueError("I/O operation on closed file.")),
    ],
    ids=["none", "pipe", "disk", "closed"],
)
def test_a_terminal_that_is_gone_ends_nothing(progress, stdout, monkeypatch):
    progress.history[:] = history(3, d_loss=30.0)
    seen = panel.view(progress, 0, 0.5, ends_round=True)
    monkeypatch.setattr(sys, "stdout", stdout)
    shown = panel.Panel(progress)
    shown.on_train_begin()
    shown.on_epoch_end(0)
    panel.show_in_terminal(seen)
    panel.show_in_log(seen)
    device.say("a sentence")


def test_a_notebook_has_one_output_that_renews_itself(progress, monkeypatch):
    class Handle:
        def update(self, bundle, **options):
            shown.append((bundle, options))

    def display(bundle, display_id, **options):
        shown.append((bundle, options))
        return Handle()

    shown = []
    monkeypatch.setattr(panel.display, "display", display)
    notebook = panel.Notebook(progress)
    notebook(panel.view(progress, 5, None, ends_round=False))
    notebook(panel.view(progress, 0, None, ends_round=True))
    ends = [options["metadata"]["panel"]["ends_round"] for _, options in shown]
    assert ends == [False, True]
    html = shown[-1][0]["text/html"]
    assert "<progress" in html
    assert html.count("<svg") == 2  # d_loss, and D(x) with D(G(z))
    assert "data:image/png;base64," in html
    assert len(json.dumps(shown)) < 10_000


@pytest.mark.parametrize(
    ("game", "lines"),
    [(CROSS_ENTROPY, 3), (HINGE, 2), (WASSERSTEIN, 1)],
    ids=["GAN", "hinge", "Wasserstein"],
)
def test_curves_have_a_dashed_line_where_the_game_has_one(game, lines):
    rows = history(2, d_loss=1.0, d_real=0.6, d_fake=0.4, diversity=1.0)
    assert panel.curves(rows, game).count("stroke-dasharray") == lines
    assert panel.curves(rows[:1], game) == ""
    assert ("1.39, D always says ½" in panel.curves(rows, game)) == (game == CROSS_ENTROPY)
    assert ("2.00, D knows nothing" in panel.curves(rows, game)) == (game == HINGE)


def test_results_stand_in_the_order_of_labels(progress):
    """tf.function gives them in the order of their names."""
    row = {"d_fake": 0.4, "d_loss": 1.2, "d_real": 0.6, "g_loss": 0.8, "mse": 0.1}
    progress.history[:] = history(1, **row)
    words = panel.view(progress, 0, None, ends_round=True).text
    assert words.endswith("d_loss 1.20 · g_loss 0.80 · D(x) 0.60 · D(G(z)) 0.40 · mse 0.10")


def test_a_panel_times_the_steps_but_the_first(progress, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(panel.time, "perf_counter", lambda: now[0])
    progress.history.clear()
    shown = panel.Panel(progress)
    shown.on_train_begin()
    for batch, seconds in enumerate((60.0, 1.0, 1.0)):  # the first compiles
        now[0] += seconds
        shown.on_train_batch_end(batch)
    progress.history += history(1)
    shown.on_epoch_end(0)
    assert "round 1/4 · 5:00 left" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "said"), [(9.0, ""), (30.0, "about 3 h 14 min more on this device")]
)
def test_a_training_of_more_than_an_hour_says_its_hours_at_once(
    progress, seconds, said, monkeypatch, capsys
):
    """Of 4 rounds of 100 steps, 389 steps are left then."""
    now = [0.0]
    monkeypatch.setattr(panel.time, "perf_counter", lambda: now[0])
    shown = panel.Panel(progress)
    progress.history.clear()
    shown.on_train_begin()
    for batch in range(30):
        now[0] += seconds
        shown.on_train_batch_end(batch)
    out = capsys.readouterr().out
    assert ("Judging by its first 10 steps" in out) == bool(said)
    assert out.count("You can interrupt it") == bool(said)
    assert said in out


def test_a_result_that_is_no_number_stops_the_run():
    results = np.array([[1.0, 2.0], [1.0, np.nan], [np.inf, 2.0]])
    before = {"round": 1, "step": 10}
    with pytest.raises(FloatingPointError, match=r"g_loss became nan in step 12 \(round 2\)"):
        panel.check_finite(["d_loss", "g_loss"], results, before)
    panel.check_finite(["d_loss", "g_loss"], results[:1], before)


@pytest.mark.parametrize(
    ("callback", "words"),
    [
        (keras.callbacks.ModelCheckpoint("a.keras"), "ModelCheckpoint needs .*snapshots"),
        (keras.callbacks.LearningRateScheduler(lambda i: 0.1), "schedule of keras.optimizers"),
        (keras.callbacks.ReduceLROnPlateau(), "schedule of keras.optimizers"),
        (keras.callbacks.SwapEMAWeights(), "Use `average=`"),
        (keras.callbacks.BackupAndRestore("folder"), "every round is saved"),
        (type("Own", (keras.callbacks.ModelCheckpoint,), {})("a.keras"), "Own needs"),
    ],
)
def test_a_callback_that_needs_a_model_is_refused_by_name(callback, words):
    with pytest.raises(ValueError, match=words):
        callbacks.check([keras.callbacks.Callback(), callback])


def test_what_a_callback_asks_of_its_model_is_named():
    model = callbacks.NoModel()
    with pytest.raises(AttributeError, match=r"asks for model\.optimizer, .*trainer\.averaged"):
        _ = model.optimizer
    model.stop_training = True
