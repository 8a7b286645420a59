"""A run that is killed again and again ends as the straight one, bit for bit."""

import csv
import functools
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from tests import processes, test_workers, toy, train_page
from tools import headless, pages
from utils.options import ROOT

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


# Two workers, as `make run` starts them. Each is a process that reads a page, and its kernel.

RUN = """
import sys
from pathlib import Path
from tools import headless, pages

pages.NOTEBOOKS = Path(sys.argv[1])
sys.exit(headless.run("01_gan"))
"""
KILLS = int(os.environ.get("KILLS", 50))
WORKER_ROUNDS = 3 * KILLS + 6  # more than are over by the last kill


def begin(folder, number, ports):
    """Start a worker; its messages go to a file."""
    environment = os.environ | {
        "TF_CONFIG": test_workers.config(number, ports),
        "OUTPUT_DIR": str(folder),
        "PYTHONPATH": str(ROOT),
        "STANDIN": "always",
        "XLA": "0",
    }
    with (folder / f"said-{number}.txt").open("w", encoding="utf-8") as said:
        command = [sys.executable, "-c", RUN, str(folder.parent)]
        return subprocess.Popen(command, env=environment, stdout=said, stderr=said, cwd=ROOT)


def both(folder):
    ports = test_workers.free_ports(2)
    return [begin(folder, number, ports) for number in (0, 1)]


def kernel_of(process):
    """Return a worker's kernel, None before it has one."""
    found = [x for x in psutil.Process(process.pid).children() if "ipykernel" in str(x.cmdline())]
    return found[0] if found else None


def rounds_of(folder):
    return {path.name for path in folder.glob("01_gan/smoke/rounds/round-*.npz")}


def killed(folder, rng):
    """Start two workers, kill one of them, and wait for both.

    Returns the rounds that were new, and the seconds for which the other went on.
    """
    running = both(folder)
    number, rounds, known = rng.randint(0, 1), rng.randint(0, 2), rounds_of(folder)
    while not (kernel := kernel_of(running[number])):
        time.sleep(0.05)
    wait = rng.random() * (0.3 if rounds else 15)  # without a round: while they begin
    while len(rounds_of(folder) - known) < rounds:
        time.sleep(0.005)
        assert all(process.poll() is None for process in running), "it ended before it was killed"
    time.sleep(wait)
    kernel.kill()
    began = time.monotonic()
    running[number].wait()
    other = running[1 - number]
    try:
        other.wait(60)
    except subprocess.TimeoutExpired:  # the killed one had not come yet, and it waits, as it says
        said = (folder / f"said-{1 - number}.txt").read_text(encoding="utf-8")
        assert said.splitlines()[-1].startswith(f"Worker {1 - number} of 2 waits for 127.0.0.1:")
        other.send_signal(signal.SIGINT)
        assert other.wait(30) == 130
        return 0, None
    seconds = time.monotonic() - began
    for i in 0, 1:
        said = (folder / f"said-{i}.txt").read_text(encoding="utf-8")
        assert said.count(headless.TOGETHER) == 1, said[-3000:]
    return len(rounds_of(folder) - known), seconds


def state_in(file):
    """Return all that a round's file holds, but for seconds."""
    state = dict(np.load(file))
    rows = json.loads(str(state["history"]))
    return state | {"history": [{k: v for k, v in x.items() if k != "seconds"} for x in rows]}


@pytest.mark.fault(
    "one of two workers killed (SIGKILL) while lesson 01 runs",
    "the other ends within a minute, in a sentence; both go on, bit for bit",
    lost="the round in progress",
)
@pytest.mark.slow
def test_kills_of_workers(tmp_path, record_property):
    page = pages.Page("01_gan")
    page.set(ROUNDS=WORKER_ROUNDS)
    page.save(tmp_path / "01_gan.ipynb")
    rng, met = random.Random("workers"), []
    for name in "straight", "killed":
        folder = tmp_path / name
        folder.mkdir()
        while name == "killed" and len(met) < KILLS:
            met.append(killed(folder, rng))
            print(f"kill {len(met)}: {met[-1]}", flush=True)
        assert [process.wait() for process in both(folder)] == [0, 0]
    last = f"01_gan/smoke/rounds/round-{WORKER_ROUNDS:05}.npz"
    straight, other = (state_in(tmp_path / x / last) for x in ("straight", "killed"))
    assert straight.keys() == other.keys()
    for key, value in straight.items():
        np.testing.assert_array_equal(value, other[key], err_msg=key)
    record_property("tried", len(met))
