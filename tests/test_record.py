"""Records: a finished run that is opened instead of trained, and what it is not opened for."""

import re
import shutil

import imageio.v3 as iio
import numpy as np
import pytest
import tensorflow as tf

from tests import toy
from tests.test_training import metrics_of
from tools import records
from utils import record, run


def other_loss(fake_logits):
    return -tf.reduce_mean(fake_logits)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished `long` toy run, made the record of its lesson; and the project that keeps it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "ROOT", home / "project")
        patch.setenv("PRESET", "long")
        patch.setenv("OUTPUT_DIR", str(home / "first"))
        for name in "PRECISION", "RESTART", "STANDIN", "DEVICES", "XLA":
            patch.delenv(name, raising=False)
        trainer = toy.make()
        toy.fit(trainer, 2)
        records.write_record(trainer.folder)
    return trainer, home / "project"


@pytest.fixture
def recorded(finished, monkeypatch, tmp_path):
    """The same, with a copy of the project and another output folder."""
    trainer, project = finished
    shutil.copytree(project, tmp_path / "project")
    monkeypatch.setattr(record, "ROOT", tmp_path / "project")
    monkeypatch.setenv("PRESET", "long")
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "second"))
    return trainer


def test_a_record_is_a_finished_run(recorded, capsys):
    trainer = toy.make()
    history = toy.fit(trainer, 2)
    assert "Record of" in capsys.readouterr().out
    assert history == recorded.history
    for networks, kept in (
        (trainer.parts, recorded.parts),
        (trainer.averaged, recorded.averaged),
    ):
        variables = networks["generator"].variables, kept["generator"].variables
        for a, b in zip(*variables, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)  # half precision
    assert len(trainer.frames) == 3
    for path, first in zip(trainer.frames, recorded.frames, strict=True):
        assert path.parent != first.parent
        np.testing.assert_array_equal(iio.imread(path), iio.imread(first))
    assert metrics_of(trainer)["status"] == "done, 2 of 2"
    assert (trainer.folder / "history.csv").exists()
    card = (record.record_folder("toy") / "README.md").read_text(encoding="utf-8")
    assert "Trained on noise, preset `long`: 10 updates" in card


def test_a_record_may_keep_the_averaged_networks_only(recorded, monkeypatch, tmp_path):
    """What it lacks of a network comes from the average: no weights of the start slip in."""
    trainer = toy.make(lesson="slim", record=["averaged_generator"])
    toy.fit(trainer, 2)
    records.write_record(trainer.folder)
    with np.load(record.record_folder("slim") / "state.npz") as file:
        kept = {key.split("/")[0] for key in file.files}
    assert kept == {"averaged_generator", "steps", "history", "frame"}
    with pytest.raises(ValueError, match="has no generator like this one"):
        record.load_networks("slim", generator=trainer.parts["generator"])
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "third"))
    again = toy.make(lesson="slim")
    toy.fit(again, 2)
    expected = trainer.averaged["generator"].get_weights()
    for network in again.averaged, again.best, again.parts:
        arrays = network["generator"].get_weights()
        for a, b in zip(expected, arrays, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("scores", "kept"), [((2.0, 1.0), False), ((1.0, 2.0), True)])
def test_a_record_keeps_the_best_weights_once(recorded, scores, kept):
    """Where the end was best, the averaged weights are the best ones."""
    trainer = toy.make(lesson="scored")
    toy.fit(trainer, 2, score=iter(scores).__next__)
    records.write_record(trainer.folder)
    with np.load(record.record_folder("scored") / "state.npz") as file:
        assert any(key.startswith("best_") for key in file.files) == kept
    network = toy.make().parts["generator"]
    record.load_networks("scored", best_generator=network)
    for a, b in zip(trainer.best["generator"].get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "rounds", "environment", "words"),
    [
        ({"constants": {"SEED": 2}}, 2, {}, "SEED 1 → 2"),
        ({"width": 4}, 2, {}, "the values that .*generator.* begin with"),
        ({"g_loss": other_loss}, 2, {}, "what train_step computes"),
        ({}, 3, {}, "rounds 2 → 3"),
        ({}, 2, {"PRESET": "quick"}, None),
        ({}, 2, {"RESTART": "1"}, None),
    ],
    ids=["constants", "network", "loss", "rounds", "preset", "restart"],
)
@pytest.mark.fault(
    "record of another network, loss, constant, preset or length",
    "not used",
    lost="nothing",
)
def test_a_record_of_something_else_is_not_used(
    recorded, capsys, monkeypatch, change, rounds, environment, words
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    trainer = toy.make(**change)
    trainer.dataset, trainer.steps_per_round = toy.data(), toy.STEPS
    found = record.load_record("toy", trainer.identity(), rounds, trainer.first_update)
    assert found is None
    out = capsys.readouterr().out
    if words:
        assert re.search(rf"The record in .*toy is not opened \(changed: .*{words}", out)
    else:
        assert out == ""  # nobody asked for it


def test_what_is_not_the_record_is_trained(recorded, capsys):
    trainer = toy.make()
    toy.fit(trainer, 3)
    out = capsys.readouterr().out
    assert "Record of" not in out
    assert "3 rounds, 5 steps a round" in out
    assert len(trainer.history) == 3


@pytest.mark.fault("damaged record", "refused in a sentence", lost="nothing")
def test_a_damaged_record_is_named(recorded, tmp_path):
    path = tmp_path / "project" / "outputs" / "pretrained" / "toy" / "state.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"state\.npz is damaged.*git checkout"):
        toy.fit(toy.make(), 2)


def test_only_a_finished_run_on_real_data_becomes_a_record(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "ROOT", tmp_path / "project")
    trainer = toy.make()
    toy.fit(trainer, 1)
    for key, value, reason in (
        ("status", "interrupted at 1 of 2", "finished"),
        ("standin", True, "real"),
    ):
        before = (trainer.folder / "metrics.json").read_text()
        run.write_metrics(trainer.folder, {key: value})
        with pytest.raises(ValueError, match=reason):
            records.write_record(trainer.folder)
        (trainer.folder / "metrics.json").write_text(before)
