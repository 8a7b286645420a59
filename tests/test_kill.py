"""A run that is killed again and again ends as the straight one, bit for bit."""

import csv
import functools
import random
import time

import numpy as np
import pytest

from tests import processes, toy, train_page
from tools import pages

KILLED = pytest.mark.fault(
    "process killed (SIGKILL), anywhere in a round or in the midst of a save",
    "goes on; weights, pool, frames and history equal the straight run's, bit for bit",
    lost="the round in progress",
)


def kill(running, output, rng):
    """Kill it after a random number of rounds: anywhere in one, or in the midst of saving it.

    Returns whether it was saving, None where it had ended before.
    """
    rounds, saving = rng.randint(1, 2), rng.random() < 0.5
    known = {path.name for path in output.rglob("round-*.npz")}
    while running.is_alive():
        new = {path.name for path in output.rglob("round-*.npz")} - known
        if len(new) >= rounds:
            if not saving:
                time.sleep(rng.random() * 0.2)
            elif not list(output.rglob("*.npz.saving")):
                continue
            running.kill()
            running.join()
            return bool(list(output.rglob("*.npz.saving")))
        time.sleep(0.0005)
    return None


def check(train, tmp_path, kills, rounds, seed):
    """Train straight, and with kills; compare everything. Returns what each kill met.

    Args:
        train: (rounds, output folder, file that gets the state) -> None.
        tmp_path: an empty folder.
        kills: how many.
        rounds: more than may be over by the last kill.
        seed: decides when the kills come.
    """
    found, rng = {}, random.Random(seed)
    for name in "straight", "killed":
        output, file, met = tmp_path / name, tmp_path / f"{name}.npz", []
        begin = functools.partial(processes.start, train, rounds, str(output), str(file))
        while name == "killed" and len(met) < kills:
            met.append(kill(begin(), output, rng))
            assert met[-1] is not None, "it ended before it was killed: more rounds are needed"
        last = begin()
        last.join()
        assert last.exitcode == 0
        with np.load(file) as saved:
            found[name] = dict(saved)
        histories = [
            list(csv.DictReader(p.open(encoding="utf-8"))) for p in output.rglob("history.csv")
        ]
        for history in histories:
            numbers = [int(row["round"]) for row in history]
            assert numbers == list(range(1, len(numbers) + 1))
        assert max(map(len, histories)) == rounds
    assert found["straight"].keys() == found["killed"].keys()
    for key, value in found["straight"].items():
        np.testing.assert_array_equal(value, found["killed"][key], err_msg=key)
    return met


@KILLED
def test_three_kills(tmp_path, record_property):
    record_property("tried", len(check(toy.train, tmp_path, 3, 12, "toy")))


@KILLED
@pytest.mark.slow
@pytest.mark.parametrize("lesson", pages.trained())
def test_kills(lesson, tmp_path, record_property, monkeypatch):
    monkeypatch.setenv("STANDIN", "always")
    met = check(functools.partial(train_page.train, lesson), tmp_path, 5, 16, lesson)
    record_property("tried", len(met))
    print(f"{lesson}: killed {len(met)} times, {sum(met)} of them in the midst of a save")
