"""The project's own records: all open, with data as a reader fetches them; none over a stand-in."""

import functools
import http.server
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from tests import toy
from tools import pages, update
from utils import datasets, record, run, sources
from utils.options import ROOT
from utils.topics import pairs

PAGES = {
    "01_gan": "01_gan",
    "02_dcgan": "02_dcgan",
    "04_lsgan": "04_lsgan",
    "07_cyclegan": "07_cyclegan",
    "09_srresnet": "09_srgan",
    "09_srgan": "09_srgan",
}
# Read here, as every test has an environment of its own.
DATA = os.environ.get("DATA_DIR", "")
NEEDED = {"07": ("horse2zebra.zip",), "09": ("BSDS500_train_test.zip",)}


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server on this machine hands out the archives in DATA_DIR; the cache is empty."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=DATA)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(datasets, "MNIST_URLS", (f"{address}/mnist.npz",))
    monkeypatch.setattr(pairs, "HORSE_URLS", (f"{address}/horse2zebra.zip",))
    get_file = sources.keras.utils.get_file
    cached = functools.partial(get_file, cache_dir=str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    monkeypatch.setattr(sources.keras.utils, "get_file", cached)
    yield
    server.shutdown()


def ready(name, monkeypatch):
    """Return the Trainer of a page, and its data; what the page only shows is left out."""
    if name == "09_srgan":  # begins with what the first stage made
        monkeypatch.chdir(ROOT)
        return update.reach(ROOT, PAGES[name], name)
    names = ("first", "crops") if name == "09_srresnet" else ("trainer", "dataset")
    found = pages.Page(PAGES[name]).definitions(*names)
    return tuple(getattr(found, name) for name in names)


@pytest.mark.parametrize("name", PAGES)
def test_the_record_opens_and_trains_nothing(name, served, monkeypatch, capsys, in_float32):
    wanted = NEEDED.get(name[:2], ("mnist.npz",))
    if not DATA or not all(Path(DATA, file).exists() for file in wanted):
        pytest.skip(f"{', '.join(wanted)} must lie in DATA_DIR")
    monkeypatch.delenv("DATA_DIR")
    if name.startswith("09"):  # nothing to fetch it from yet
        monkeypatch.setenv("DATA_DIR", DATA)
    monkeypatch.setenv("PRESET", "long")
    monkeypatch.setenv("STANDIN", "never")
    trainer, dataset = ready(name, monkeypatch)
    told = run.read_metrics(record.record_folder(name))
    assert not dataset.standin
    capsys.readouterr()
    rounds = told["rounds_done"]
    steps = trainer.constants["GAN_STEPS" if name == "09_srgan" else "STEPS_PER_ROUND"]
    history = trainer.fit(dataset, rounds, steps, sample=None)
    out = capsys.readouterr().out
    assert f"Record of {told['date']}" in out
    assert f"Done, {rounds} of {rounds} rounds" in out
    assert len(history) == rounds
    assert len(trainer.frames) == rounds + 1


@pytest.mark.parametrize("name", PAGES)
def test_no_record_opens_over_a_standin(name, monkeypatch, capsys):
    monkeypatch.setenv("PRESET", "long")
    identity = run.read_json(record.record_folder(name) / "run.json")
    rounds = run.read_metrics(record.record_folder(name))["rounds_done"]
    assert record.load_record(name, identity, rounds, dict) is not None
    identity["data"]["standin"] = True
    assert record.load_record(name, identity, rounds, dict) is None
    assert "the data are a stand-in" in capsys.readouterr().out


def test_updates_from_one_state_agree_bit_for_bit_or_are_told():
    batch = next(iter(toy.data().from_step(0)))
    one, same, other = (
        update.updates(toy.make(g_loss=times(factor)), batch) for factor in (1.0, 1.0, 1.001)
    )
    assert any(name.startswith("result 1") for name in one)
    assert all(np.array_equal(one[name], same[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


def times(factor):
    return lambda logits: factor * toy.generator_loss(logits)
