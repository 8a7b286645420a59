"""A run that is killed again and again ends as the straight one, bit for bit."""

import csv
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tools import pages

ROOT = Path(__file__).parent.parent
TRAINED = [n for n in pages.lessons() if n != "03_latent_space"]
KILLED = pytest.mark.fault(
    "process killed (SIGKILL), anywhere in a round or in the midst of a save",
    "goes on; weights, pool, frames and history equal the straight run's, bit for bit",
    lost="the round in progress",
)


def process(arguments, output):
    """Start a training as a process of its own."""
    environment = os.environ | {"OUTPUT_DIR": str(output), "STANDIN": "always"}
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, **streams)


def kill(running, output, rng):
    """Kill it after a random number of rounds: anywhere in one, or in the midst of saving it.

    Returns whether it was saving, None where it had ended before.
    """
    rounds, saving = rng.randint(1, 2), rng.random() < 0.5
    known = {path.name for path in output.rglob("round-*.npz")}
    while running.poll() is None:
        new = {path.name for path in output.rglob("round-*.npz")} - known
        if len(new) >= rounds:
            if not saving:
                time.sleep(rng.random() * 0.2)
            elif not list(output.rglob("*.npz.saving")):
                continue
            running.kill()
            running.wait()
            return bool(list(output.rglob("*.npz.saving")))
        time.sleep(0.0005)
    return None


def toy(rounds, output, file):
    return ["-m", "tests.toy", f"{rounds},{output},{file}"]


def page(lesson):
    return lambda rounds, output, file: ["-m", "tests.train_page", lesson, str(rounds), str(file)]


def check(command_for, tmp_path, kills, rounds):
    """Train straight, and with kills; compare everything. Returns what each kill met."""
    found, rng = {}, random.Random(str(command_for(rounds, "", "")))
    for name in "straight", "killed":
        output, file, met = tmp_path / name, tmp_path / f"{name}.npz", []
        command = command_for(rounds, output, file)
        while name == "killed" and len(met) < kills:
            met.append(kill(process(command, output), output, rng))
            assert met[-1] is not None, "it ended before it was killed: more rounds are needed"
        assert process(command, output).wait() == 0
        with np.load(file) as saved:
            found[name] = dict(saved)
        histories = [list(csv.DictReader(p.open())) for p in output.rglob("history.csv")]
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
    record_property("tried", len(check(toy, tmp_path, 3, 12)))


@KILLED
@pytest.mark.slow
@pytest.mark.parametrize("lesson", TRAINED)
def test_kills(lesson, tmp_path, record_property):
    met = check(page(lesson), tmp_path, 5, 16)
    record_property("tried", len(met))
    print(f"{lesson}: killed {len(met)} times, {sum(met)} of them in the midst of a save")
