"""The project's own records: all open, with data as a reader fetches them; none over a stand-in."""

import functools
import http.server
import io
import os
import tarfile
import threading
import zipfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tests import toy
from tools import pages, update
from utils import datasets, record, run
from utils.topics import pairs, superresolution

RECORDS = sorted(path.parent.name for path in record.record_folder("").glob("*/run.json"))
DIGITS = "02_dcgan", "04_lsgan", "05_wgan_gp", "06_cgan"
FACES = "08_stargan", "11_faces"
STAGES = [name for name in RECORDS if name.startswith("10_pggan_")]
OF_TWO = "01_gan", "01_gan_collapse", "09_srresnet", "09_srgan"  # pages with two trainings
# Read here, as every test has an environment of its own.
DATA = os.environ.get("DATA_DIR", "")


@pytest.fixture
def served(monkeypatch):
    """Servers on this machine hand out the archives in DATA_DIR, once: then the cache has them."""
    address = serve(DATA)
    monkeypatch.setattr(datasets, "MNIST_URLS", (f"{address}/mnist.npz",))
    monkeypatch.setattr(pairs, "HORSE_URLS", (f"{address}/horse2zebra.zip",))
    monkeypatch.setattr(superresolution, "BENCHMARK_URL", f"{address}/")


def serve(folder):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(scope="module")
def bsds500(tmp_path_factory):
    """Address of BSDS500 as it is published: a tar with more than the photographs."""
    home = tmp_path_factory.mktemp("published")
    source = Path(DATA, "BSDS500_train_test.zip")
    with (
        zipfile.ZipFile(source) as photos,
        tarfile.open(home / superresolution.BSDS_FILE, "w:gz", compresslevel=1) as published,
    ):
        for name in reversed(photos.namelist()):
            if name.endswith(".jpg"):
                add(
                    published, f"BSR/BSDS500/data/images/{name.split('/', 1)[1]}", photos.read(name)
                )
        add(published, "BSR/BSDS500/data/images/val/1.jpg", b"never read")
        add(published, "BSR/BSDS500/data/groundTruth/train/1.mat", b"never read")
    return f"{serve(home)}/{superresolution.BSDS_FILE}"


def add(archive, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


@pytest.fixture
def as_a_reader(served, monkeypatch, in_float32):
    """Take data as somebody does who has nothing yet."""
    monkeypatch.delenv("DATA_DIR", raising=False)
    monkeypatch.setenv("PRESET", "long")
    monkeypatch.setenv("STANDIN", "never")


def needs(*files):
    there = DATA and all(Path(DATA, file).exists() for file in files)
    return pytest.mark.skipif(not there, reason=f"{', '.join(files)} must lie in DATA_DIR")


def assert_opened(name, trainer, out):
    told = run.read_metrics(record.record_folder(name))
    rounds = told["rounds_done"]
    assert f"Opened the record of {told['date']}" in out
    assert f"Done, {rounds} of {rounds} rounds" in out
    assert len(trainer.history) == rounds
    assert len(trainer.frames) == rounds + 1


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=needs("mnist.npz")) for name in DIGITS]
    + [pytest.param("07_cyclegan", marks=needs("horse2zebra.zip"))],
)
def test_the_record_opens_and_trains_nothing(name, as_a_reader, capsys):
    opens(name, capsys)


def test_every_record_is_opened_here():
    assert {*RECORDS} == {*DIGITS, *FACES, *STAGES, *OF_TWO, "07_cyclegan"}


@needs("celeba_small.zip", "celeba_test128.zip")
@pytest.mark.parametrize("name", FACES)
def test_the_record_of_faces_opens(name, as_a_reader, monkeypatch, capsys):
    """The small sets of CelebA are nowhere to download."""
    monkeypatch.setenv("DATA_DIR", DATA)
    opens(name, capsys)


@needs("celeba_small.zip", "celeba_test128.zip")
def test_the_records_of_all_stages_open(as_a_reader, monkeypatch, capsys):
    """Each begins with what the one before has made."""
    monkeypatch.setenv("DATA_DIR", DATA)
    page = pages.Page("10_pggan")
    names = page.execute({}, until=["stages.append("], show=["stages.append("])
    out = capsys.readouterr().out
    found = {f"10_pggan_{stage.size}": stage.trainer for stage in names["stages"]}
    assert sorted(found) == STAGES
    for name, trainer in found.items():
        assert_opened(name, trainer, out)


def opens(name, capsys):
    """Open a page's record; what the page only shows is left out."""
    found = pages.Page(name).definitions("trainer", "dataset")
    assert not found.dataset.standin
    rounds = run.read_metrics(record.record_folder(name))["rounds_done"]
    steps = found.trainer.constants["STEPS_PER_ROUND"]
    found.trainer.fit(found.dataset, rounds, steps, sample=None)
    assert_opened(name, found.trainer, capsys.readouterr().out)


@needs("BSDS500_train_test.zip", "Set5.zip", "Set14.zip")
def test_the_records_of_both_stages_open(as_a_reader, bsds500, monkeypatch, capsys):
    """The second one begins with what the first has made."""
    urls = "http://127.0.0.1:1/gone", bsds500
    monkeypatch.setattr(superresolution, "BSDS_URLS", urls)
    page = pages.Page("09_srgan")
    page.drop("# A first result")  # measures, and shows
    plt.switch_backend("agg")
    names = page.execute({}, until=["second.fit("])
    assert not names["crops"].standin
    out = capsys.readouterr().out
    for name, trainer in ("09_srresnet", names["first"]), ("09_srgan", names["second"]):
        assert_opened(name, trainer, out)


@needs("mnist.npz")
def test_both_records_of_lesson_01_open(as_a_reader, capsys):
    """The page's two trainings, up to the second; what is shown and measured is left out."""
    page = pages.Page("01_gan")
    page.drop("Image(ROOT", "play(", "panel.plot(curves", "plt.hist(", "images.save_gif(")
    page.drop("table(evaluation.floor()")
    plt.switch_backend("agg")
    names = page.execute({}, until=["second.fit("])
    assert not names["dataset"].standin
    out = capsys.readouterr().out
    for name, trainer in ("01_gan", names["trainer"]), ("01_gan_collapse", names["second"]):
        assert_opened(name, trainer, out)


@pytest.mark.parametrize("name", RECORDS)
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
