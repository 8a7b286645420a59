"""A run's folder: whose it is, lock, rounds, frames, history; without a Trainer."""

import csv
import json
import resource
import subprocess
import sys
from types import SimpleNamespace

import imageio.v3 as iio
import numpy as np
import pytest

from tests.test_fingerprint import identity
from utils import device, run

FRAME = np.zeros((4, 6), "uint8")


@pytest.fixture
def folder(tmp_path):
    found = tmp_path / "outputs" / "toy" / "smoke"
    found.mkdir(parents=True)
    return found


def opened(lesson="toy", **changes):
    with run.open_folder(lesson, identity(**changes)) as found:
        return found


def test_a_changed_run_gets_a_folder_of_its_own_and_finds_it_again(capsys):
    first = opened()
    other = opened(constants={"BATCH_SIZE": 128})
    assert first.name == "smoke"
    assert other.name.startswith("smoke-")
    assert "changed: BATCH_SIZE 64 → 128" in capsys.readouterr().out
    assert opened() == first
    assert opened(constants={"BATCH_SIZE": 128}) == other
    close = {"generator/000": [1.00001, 0.5]}  # as another processor rounds
    assert opened(start=close) == first
    assert opened(start=close, constants={"BATCH_SIZE": 128}) == other


def test_a_run_json_that_appears_meanwhile_is_not_another_run(folder, monkeypatch):
    known, seen = run._known, []

    def written_after_a_look(file):
        seen.append(known(file))
        run.write_json(file, identity())  # by another worker that trains the same
        return seen[-1]

    monkeypatch.setattr(run, "_known", written_after_a_look)
    assert run.find_folder("toy", identity()) == folder
    assert seen == [None]


def test_restart_sets_a_run_aside(monkeypatch, capsys):
    first = opened()
    (first / "rounds").mkdir()
    monkeypatch.setenv("RESTART", "1")
    assert opened() == first
    assert "the earlier run was moved to outputs/toy/smoke-previous" in capsys.readouterr().out
    assert not (first / "rounds").exists()
    (first / "second").touch()
    assert opened() == first
    assert "the earlier run was moved to outputs/toy/smoke-previous-2" in capsys.readouterr().out
    assert (first.with_name("smoke-previous") / "rounds").exists()  # nothing is replaced
    assert (first.with_name("smoke-previous-2") / "second").exists()
    monkeypatch.setenv("RESTART", "0")
    assert opened() == first  # those aside are no candidates
    changed = {"constants": {"BATCH_SIZE": 128}}
    other = opened(**changed)
    monkeypatch.setenv("RESTART", "1")
    assert opened(**changed) == opened(**changed) == other
    monkeypatch.setenv("RESTART", "0")
    assert opened(**changed) == other
    assert other.with_name(f"{other.name}-previous-2").exists()


def test_an_old_run_json_is_another_run(folder, capsys):
    (folder / "run.json").write_text(
        json.dumps({"constants": {}, "step": "def step()"}), encoding="utf-8"
    )
    assert opened() != folder
    assert "another version of utils wrote it" in capsys.readouterr().out


@pytest.mark.fault("damaged run.json", "refused in a sentence", lost="nothing")
def test_a_damaged_run_json_is_named(folder):
    (folder / "run.json").write_text('{"constants": {', encoding="utf-8")
    with pytest.raises(ValueError, match=r"toy/smoke/run\.json is damaged.*rounds without a run"):
        opened()


@pytest.mark.fault(
    "run.json empty or missing beside rounds",
    "the rounds are set aside, with a sentence",
    lost="nothing",
)
@pytest.mark.parametrize("how", ["empty", "missing"])
@pytest.mark.parametrize("restart", ["0", "1"])
def test_rounds_of_an_unknown_run_are_never_continued(folder, how, restart, monkeypatch, capsys):
    monkeypatch.setenv("RESTART", restart)
    run.save_round(folder, 1, {"x": np.zeros(3)}, FRAME)
    if how == "empty":
        (folder / "run.json").touch()
    assert opened() == folder
    assert run.load_round(folder) is None
    assert run.load_round(folder.with_name("smoke-previous")) is not None
    assert "moved to outputs/toy/smoke-previous." in capsys.readouterr().out
    monkeypatch.setenv("RESTART", "0")
    assert opened() == folder


def test_an_empty_run_json_without_rounds_is_written_anew(folder, capsys):
    (folder / "run.json").touch()
    assert opened() == folder == opened()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["rounds", "frames", "snapshots"])
def test_a_file_in_place_of_a_folder_of_the_run_is_named(folder, name):
    (folder / name).touch()
    with pytest.raises(OSError, match=rf"cannot be written to: {name} in it is a file, not a fold"):
        opened()


@pytest.mark.fault(
    "output folder that cannot be written to",
    "refused in a sentence, before the training",
    lost="nothing",
)
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "file" / "outputs"))
    with pytest.raises(OSError, match=r"cannot be written to: Not a directory\. Set OUTPUT_DIR"):
        opened()


@pytest.mark.fault(
    "two runs in one folder",
    "the second waits, then stops in a sentence",
    lost="nothing",
)
def test_a_second_process_in_the_same_folder_waits_and_stops(monkeypatch):
    folder = opened()
    lock = folder.parent / f".{folder.name}.lock"
    script = f"import filelock, time; lock = filelock.FileLock({str(lock)!r}); lock.acquire()"
    script += "; print('locked', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"locked\n"
    monkeypatch.setattr(run, "WAIT", 0.3)
    before = [(p.name, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*"))]
    for restart in "0", "1":
        monkeypatch.setenv("RESTART", restart)
        with pytest.raises(OSError, match=r"Another process trains in outputs/toy/smoke\. Wait"):
            opened()
    assert before == [(p.name, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*"))]
    other.kill()  # the lock does not outlive it
    other.wait()
    monkeypatch.setenv("RESTART", "0")
    assert opened() == folder


def test_only_the_chief_writes_locks_and_prints(folder, monkeypatch, capsys):
    monkeypatch.setattr(device, "is_chief", lambda: False)
    run.save_round(folder, 1, {"x": np.zeros(3)}, FRAME)
    run.save_snapshot(folder, 1, {"averaged_x": np.zeros(3)})
    run.write_history(folder, [{"round": 1}])
    run.write_metrics(folder, {"data": "noise"})
    run.announce(folder, 0, 2, 5)
    with run.open_folder("toy", identity()):
        pass
    assert list(folder.parent.rglob("*")) == [folder]
    assert capsys.readouterr().out == ""


def test_rounds_and_frames_are_kept(folder):
    sizes = [(4, 6), (4, 6), (8, 12, 3), (8, 12, 3), (16, 24)]  # stages that grow
    for number, size in enumerate(sizes):
        run.save_round(folder, number, {"x": np.full(3, number)}, np.full(size, number, "uint8"))
    names = sorted(path.name for path in (folder / "rounds").iterdir())
    assert names == [f"round-{i:05d}.npz" for i in (2, 3, 4)]
    np.testing.assert_array_equal(run.load_round(folder)["x"], np.full(3, 4))
    frames = run.frames(folder, 3)  # the fifth is of a round that is not counted
    assert [iio.imread(path).shape for path in frames] == sizes[:4]
    assert run.load_round(folder.parent) is None


def test_what_a_round_writes_does_not_grow_with_their_number(folder):
    """200 rounds with a grid of 42 images of 128 x 128 wrote 42 GB before."""
    frame = np.random.default_rng(0).integers(0, 255, (780, 910, 3)).astype("uint8")
    sizes = []
    for number in range(1, 6):
        run.save_round(folder, number, {"x": np.zeros(1000)}, frame)
        newest = folder / "rounds" / f"round-{number:05d}.npz"
        picture = folder / "frames" / f"{number:05d}.png"
        sizes.append(newest.stat().st_size + picture.stat().st_size)
    assert len(set(sizes)) == 1
    assert 200 * sizes[0] < 500e6


def test_snapshots_hold_the_averaged_networks_in_half_precision(folder):
    values = np.linspace(0, 1, 7, dtype="float32")
    state = {"averaged_generator/000": values, "generator/000": values, "steps": np.int64(3)}
    run.save_snapshot(folder, 12, state)
    with np.load(folder / "snapshots" / "00012.npz") as file:
        assert file.files == ["averaged_generator/000"]
        assert file["averaged_generator/000"].dtype == "float16"
        np.testing.assert_allclose(file["averaged_generator/000"], values, atol=1e-3)


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
    "checkpoint with flipped bits or cut, small",
    "found whole, or refused in a sentence",
    lost="at most what was damaged",
)
def test_no_flipped_bit_passes_in_silence(folder, record_property):
    """What is read is what was written, or nothing: 200 damaged copies of a small round."""
    state = {"a/000": np.arange(50, dtype="float32"), "history": np.array("[]")}
    rng = np.random.default_rng(0)
    record_property("tried", 200)
    for i in range(200):
        run.save_round(folder, 1, state, FRAME)
        damage(folder / "rounds" / "round-00001.npz", ("flipped", "truncated")[i % 2], rng)
        try:
            found = run.load_round(folder)
        except ValueError as error:
            assert "RESTART=1" in str(error)  # noqa: PT017
        else:
            assert all(np.array_equal(found[key], state[key]) for key in state)


def test_a_full_disk_leaves_the_file_that_was_there(folder):
    run.write_metrics(folder, {"a": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError), run.explained(folder, 3):  # noqa: PT011
            run.save_round(folder, 3, {"x": np.zeros(5000)}, FRAME)
        named = pytest.raises(
            OSError, match="Round 3 could not be saved in outputs/toy/smoke: File"
        )
        with named, run.explained(folder, 3):
            run.write_metrics(folder, {"b": "long" * 1000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert run.read_metrics(folder) == {"a": 1}
    assert not list(folder.rglob("*.saving"))


def test_history_and_metrics(folder):
    rows = [{"round": 1, "loss": 0.5}, {"round": 2, "loss": 0.4, "score": 3.0}]
    run.write_history(folder, rows)
    with (folder / "history.csv").open(encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    assert [row["score"] for row in read] == ["", "3.0"]
    run.write_metrics(folder, {"scores": {"best": 1}})
    run.write_metrics(folder, {"status": "done"})
    assert run.read_metrics(folder) == {"scores": {"best": 1}, "status": "done"}


def test_all_devices_that_trained_a_run_are_named_in_order(folder, monkeypatch, capsys):
    data = SimpleNamespace(name="noise", standin=False)
    rows = [{"round": n, "step": n, "seconds": 1.0} for n in range(1, 6)]

    def train(device_name, *done):
        monkeypatch.setattr(device, "name", lambda: device_name)
        for n in done:
            run.write_status(folder, {}, data, rows[:n], 5)

    train("idle", 0)
    train("A", 0, 0, 1, 2)
    train("B", 2, 3)
    train("C", 3)  # opened there, and interrupted
    train("A", 3, 4)
    assert run.read_metrics(folder)["device"] == "A and then on B"
    run.announce(folder, 4, 5, 1)
    assert "Trained in float32 on A and then on B, " in capsys.readouterr().out
    train("B", 0, 1)  # anew
    assert run.read_metrics(folder)["device"] == "B"
