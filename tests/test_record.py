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

NOT_USED = pytest.mark.fault(
    "record of another network, loss, constant, preset or length",
    "not used",
    lost="nothing",
)


def other_loss(fake_logits):
    return -tf.reduce_mean(fake_logits)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished `long` toy run, best after round 1, made the record of its lesson."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in "PRECISION", "RESTART", "STANDIN", "DEVICES", "XLA":
            patch.delenv(name, raising=False)
        patch.setenv("PRESET", "long")
        patch.setenv("OUTPUT_DIR", str(home / "first"))
        project_at(home / "project", patch)
        trainer = toy.make()
        toy.fit(trainer, 2, score=iter((1.0, 2.0)).__next__, snapshots=[1, 2])
        records.write_record(trainer.folder)
    return trainer


def project_at(folder, patch):
    for module in record, run:
        patch.setattr(module, "ROOT", folder)


@pytest.fixture
def recorded(finished, monkeypatch, tmp_path):
    """The same, with a copy of the project and another output folder."""
    project = finished.folder.parents[2] / "project"
    shutil.copytree(project, tmp_path / "project")
    project_at(tmp_path / "project", monkeypatch)
    monkeypatch.setenv("PRESET", "long")
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "second"))
    return finished


def copied(trainer, folder, **metrics):
    """Return a copy of a run's folder with other metrics."""
    shutil.copytree(trainer.folder, folder)
    run.write_metrics(folder, metrics)
    return folder


def assert_close(a, b):
    """Equal up to half precision."""
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-6)


def test_a_record_is_a_finished_run(recorded, capsys):
    trainer = toy.make()
    history = toy.fit(trainer, 2)
    assert "Opened the record of" in capsys.readouterr().out
    assert history == recorded.history
    for networks, kept in (
        (trainer.parts, recorded.parts),
        (trainer.averaged, recorded.averaged),
        (trainer.best, recorded.best),
    ):
        assert_close(networks["generator"].variables, kept["generator"].variables)
    assert len(trainer.frames) == 3
    for path, first in zip(trainer.frames, recorded.frames, strict=True):
        assert path.parent != first.parent
        np.testing.assert_array_equal(iio.imread(path), iio.imread(first))
    assert metrics_of(trainer)["status"] == "done, 2 of 2"
    assert (trainer.folder / "history.csv").exists()
    card = (record.record_folder("toy") / "README.md").read_text(encoding="utf-8")
    assert "Trained on noise, preset `long`: 10 updates" in card


def test_a_record_may_keep_the_averaged_networks_only(recorded, tmp_path):
    """What it lacks of a network comes from the average: no weights of the start slip in."""
    again = toy.make(lesson="slim", record=["averaged_generator"])
    assert metrics_of(recorded)["record"] == list(recorded.state.networks)
    assert again.record == ["averaged_generator"]
    records.write_record(copied(recorded, tmp_path / "slim", lesson="slim", record=again.record))
    with np.load(record.record_folder("slim") / "state.npz") as file:
        kept = {key.split("/")[0] for key in file.files}
    assert kept == {"averaged_generator", "steps", "history", "frame"}
    with pytest.raises(ValueError, match="has no generator like this one"):
        record.load_networks("slim", generator=again.parts["generator"])
    toy.fit(again, 2)
    for network in again.averaged, again.best, again.parts:
        arrays = network["generator"].get_weights()
        assert_close(recorded.averaged["generator"].get_weights(), arrays)


def test_a_record_keeps_the_snapshots_of_the_run(recorded):
    """A file a round, of the averaged networks; the card names them, the sums hold them."""
    folder = record.record_folder("toy")
    names = ["snapshot-00001.npz", "snapshot-00002.npz"]
    assert [path.name for path in sorted(folder.glob("snapshot*"))] == names
    assert "after rounds 1, 2." in (folder / "README.md").read_text(encoding="utf-8")
    with np.load(folder / names[1]) as file:
        last = [file[f"averaged_generator/{i:03d}"] for i in range(len(file.files))]
    assert_close(last, recorded.averaged["generator"].get_weights())
    (folder / names[0]).write_bytes(b"another")
    with pytest.raises(ValueError, match=r"snapshot-00001\.npz is damaged"):
        record.load_state(folder)


@pytest.mark.parametrize("kept", [False, True])
def test_a_record_keeps_the_best_weights_once(recorded, tmp_path, kept):
    """Where the end was best, the averaged weights are the best ones."""
    folder = copied(recorded, tmp_path / "scored", lesson="scored")
    state = run.load_round(folder)
    if not kept:
        ends = {k: v for k, v in state.items() if k.startswith("averaged_")}
        state |= {k.replace("averaged_", "best_"): value for k, value in ends.items()}
        run.save_round(folder, 2, state, np.zeros((4, 4), "uint8"))
    records.write_record(folder)
    with np.load(record.record_folder("scored") / "state.npz") as file:
        assert any(key.startswith("best_") for key in file.files) == kept
    network = toy.networks()[0]
    record.load_networks("scored", best_generator=network)
    expected = [state[f"best_generator/{i:03d}"] for i in range(len(network.variables))]
    assert_close(expected, network.variables)
    at_end = [state[f"averaged_generator/{i:03d}"] for i in range(len(network.variables))]
    same = [np.allclose(x, y, rtol=1e-3, atol=1e-6) for x, y in zip(expected, at_end, strict=True)]
    assert all(same) != kept


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"constants": {"SEED": 2}}, "SEED 1 → 2"),
        ({"width": 4}, "the values that .*generator.* begin with"),
        ({"g_loss": other_loss}, "what train_step computes"),
    ],
    ids=["constants", "network", "loss"],
)
@NOT_USED
def test_a_record_of_something_else_is_not_used(recorded, capsys, change, words):
    trainer = toy.make(**change)
    trainer.dataset, trainer.steps_per_round = toy.data(), toy.STEPS
    assert record.load_record("toy", trainer.identity(), 2, trainer.first_update) is None
    out = capsys.readouterr().out
    assert re.search(f"The record in .*toy is not opened \\(changed: .*{words}", out)


@pytest.mark.parametrize("environment", [{"PRESET": "quick"}, {"RESTART": "1"}], ids=str)
@NOT_USED
def test_a_record_that_nobody_asked_for_is_not_used(recorded, capsys, monkeypatch, environment):
    identity = run.read_json(record.record_folder("toy") / "run.json")
    assert record.load_record("toy", identity, 2, dict) is not None
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert record.load_record("toy", identity, 2, dict) is None
    assert capsys.readouterr().out == ""


@NOT_USED
def test_what_is_longer_than_the_record_is_trained(recorded, capsys):
    trainer = toy.make()
    toy.fit(trainer, 3)
    out = capsys.readouterr().out
    assert "is not opened (changed: rounds 2 → 3)" in out
    assert "Opened the record of" not in out
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


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [({"status": "interrupted at 1 of 2"}, "finished"), ({"standin": True}, "real")],
    ids=["unfinished", "stand-in"],
)
def test_only_a_finished_run_on_real_data_becomes_a_record(recorded, tmp_path, metrics, reason):
    folder = copied(recorded, tmp_path / "other", lesson="other", **metrics)
    with pytest.raises(ValueError, match=reason):
        records.write_record(folder)
    assert not record.record_folder("other").exists()
