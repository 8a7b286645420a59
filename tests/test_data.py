"""datasets and sources: what the arrays hold, in which order, and where they come from."""

import http.server
import itertools
import os
import resource
import shutil
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import toy
from tests.conftest import KERAS_HOME
from utils import datasets, sources
from utils.options import ROOT


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.delenv("DATA_DIR", raising=False)
    monkeypatch.setattr(datasets, "MNIST_URLS", ("http://127.0.0.1:9/mnist.npz",))


@pytest.fixture
def tiny_mnist(monkeypatch, tmp_path):
    """A file laid out as mnist.npz, and the hashes that make it pass for the real one."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (100, 28, 28)).astype("uint8"),
        "y_train": rng.integers(0, 10, 100).astype("uint8"),
        "x_test": rng.integers(0, 256, (20, 28, 28)).astype("uint8"),
        "y_test": rng.integers(0, 10, 20).astype("uint8"),
    }
    path = tmp_path / "served" / "mnist.npz"
    path.parent.mkdir()
    np.savez(path, **arrays)
    hashes = {name: sources.sha256(array) for name, array in arrays.items()}
    monkeypatch.setattr(datasets, "MNIST_HASHES", hashes)
    return path


@pytest.fixture
def check(tiny_mnist):
    return sources.has_hash(sources.sha256(tiny_mnist.read_bytes()))


@pytest.fixture
def empty_cache():
    cache = Path(KERAS_HOME) / "datasets"
    shutil.rmtree(cache, ignore_errors=True)
    yield cache
    shutil.rmtree(cache, ignore_errors=True)


@pytest.fixture
def server(tiny_mnist):
    """Serve the file at /mnist.npz, and what goes wrong with downloads under other names."""
    content, asked, over = tiny_mnist.read_bytes(), [], threading.Event()
    half = content[: len(content) // 2]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            name = self.path[1:]
            self.send_response({"error": 503, "gone": 404, "redirect": 302}.get(name, 200))
            if name == "redirect":
                self.send_header("Location", "/mnist.npz")
            if name in ("whole", "stall", "break"):
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            whole = name in ("mnist.npz", "whole", "slow")
            halves = name in ("short", "stall", "break")
            time.sleep(0.5 * (name == "slow"))
            self.wfile.write(content if whole else half if halves else b"rubbish")
            self.wfile.flush()
            if name == "stall":
                over.wait(20)

        def log_message(self, *arguments):
            pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", asked
        over.set()
        running.shutdown()


def batches(data, step, n):
    return [batch.numpy() for batch in data.from_step(step).take(n)]


def test_batches_are_full_float32_and_in_range():
    for batch in batches(toy.data(), 0, 20):
        assert batch.shape == (8, 28, 28, 1)
        assert batch.dtype == np.float32
        assert batch.min() >= -1
        assert batch.max() <= 1


def test_values_are_the_images():
    data = toy.data()
    batch = batches(data, 0, 1)[0]
    known = {image.tobytes() for image in data.images}
    back = np.rint((batch + 1) * 127.5).astype("uint8")
    assert all(image.tobytes() in known for image in back)
    assert {0, 255} <= set(back.ravel().tolist())


def test_order_depends_on_seed_and_step_alone():
    straight = batches(toy.data(), 0, 20)
    for step in (1, 5, 6, 7, 13):  # within an epoch of six batches, at its end, after it
        for a, b in zip(straight[step:], batches(toy.data(), step, 20 - step), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not np.array_equal(straight[0], batches(toy.data(seed=4), 0, 1)[0])


def test_no_tuning_thread_delays_the_end_of_a_training():
    """The iterator's destructor waited for that thread: 58 seconds after 205 of training."""
    assert toy.data().from_step(0).options().autotune.enabled is False


def test_an_epoch_shows_no_image_twice_and_epochs_differ():
    epochs = [np.concatenate(batches(toy.data(), 6 * e, 6)) for e in range(2)]
    seen = [[image.tobytes() for image in epoch] for epoch in epochs]
    assert [len(set(images)) for images in seen] == [48, 48]
    assert seen[0] != seen[1]


def test_mnist_is_never_held_twice_as_floats(no_network):
    images = np.zeros((60000, 28, 28, 1), "uint8")
    data = datasets.ImageData(
        name="zeros",
        standin=False,
        batch_size=64,
        seed=0,
        images=images,
        labels=np.zeros(60000, "int64"),
    )
    next(iter(data.from_step(0)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in itertools.islice(data.from_step(900), 100):
        pass
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # kB; one float copy is 188,000
    assert data.images.dtype == np.uint8


def test_data_dir_comes_first(tiny_mnist, monkeypatch, no_network, capsys):
    monkeypatch.setenv("DATA_DIR", str(tiny_mnist.parent))
    data = datasets.mnist(10)
    assert (data.name, data.standin, data.images.shape) == ("MNIST", False, (100, 28, 28, 1))
    assert data.labels.shape == (100,)
    assert len(datasets.mnist(10, split="test").images) == 20
    assert "MNIST, 100 images" in capsys.readouterr().out


def test_download_then_cache(server, empty_cache, monkeypatch):
    url, asked = server
    monkeypatch.delenv("DATA_DIR", raising=False)
    monkeypatch.setattr(datasets, "MNIST_URLS", (f"{url}/mnist.npz",))
    assert not datasets.mnist(10).standin
    assert not datasets.mnist(10).standin
    assert asked == ["/mnist.npz"]


@pytest.mark.fault(
    "download: server error, missing file, wrong or short content, broken off, stalled",
    "named; wrong content fetched again once; then the next mirror",
    lost="nothing",
)
@pytest.mark.parametrize(
    ("bad", "times", "words"),
    [
        ("error", 1, "503"),
        ("gone", 1, "404"),
        ("short", 2, "mnist.npz has the SHA-256 [0-9a-f]{64}, expected was [0-9a-f]{64}"),
        ("rubbish", 2, "mnist.npz has the SHA-256 [0-9a-f]{64}, expected was [0-9a-f]{64}"),
        ("break", 1, "got only [0-9]+ out of [0-9]+ bytes"),
        ("stall", 1, "timed out"),
    ],
)
def test_a_mirror_steps_in(server, empty_cache, monkeypatch, tiny_mnist, check, bad, times, words):
    url, asked = server
    monkeypatch.delenv("DATA_DIR", raising=False)
    urls = [f"{url}/{bad}", f"{url}/mnist.npz"]
    with pytest.raises(OSError, match=words):
        sources.download("mnist.npz", urls[:1], check, timeout=0.5)
    assert not list(empty_cache.rglob("mnist*"))
    asked.clear()
    path = sources.download("mnist.npz", urls, check, timeout=0.5)
    assert path.read_bytes() == tiny_mnist.read_bytes()
    assert asked == [f"/{bad}"] * times + ["/mnist.npz"]


@pytest.mark.fault("download: redirect, with and without a length", "used", lost="nothing")
@pytest.mark.parametrize("way", ["whole", "redirect"])
def test_ways_to_send_a_file(server, empty_cache, monkeypatch, tiny_mnist, way):
    monkeypatch.delenv("DATA_DIR", raising=False)
    path = sources.download("mnist.npz", [f"{server[0]}/{way}"], lambda path: None)
    assert path.read_bytes() == tiny_mnist.read_bytes()


@pytest.mark.fault(
    "download: part of a file left by a killed process",
    "fetched again",
    lost="nothing",
)
def test_what_a_killed_process_left_is_not_taken_for_the_file(
    server, empty_cache, monkeypatch, tiny_mnist, check
):
    monkeypatch.delenv("DATA_DIR", raising=False)
    empty_cache.mkdir(parents=True)
    (empty_cache / "mnist.npz").write_bytes(tiny_mnist.read_bytes()[:1000])
    path = sources.download("mnist.npz", [f"{server[0]}/mnist.npz"], check)
    assert path.read_bytes() == tiny_mnist.read_bytes()


@pytest.mark.fault("download: two processes at once", "fetched once", lost="nothing")
def test_two_processes_fetch_a_file_once(server, empty_cache, monkeypatch, check):
    """This one, and another that begins as soon as it is asked to."""
    url, asked = server
    monkeypatch.delenv("DATA_DIR", raising=False)
    script = (
        "import sys\nfrom utils import sources\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        f"print(sources.download('mnist.npz', [{url + '/slow'!r}], lambda path: None))"
    )
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | {"KERAS_HOME": KERAS_HOME}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, env=environment, cwd=ROOT, **options) as other:
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        path = sources.download("mnist.npz", [f"{url}/slow"], check)
        assert other.communicate()[0].splitlines()[-1] == str(path)
    assert asked == ["/slow"]
    check(path)


@pytest.mark.fault(
    "download: no good copy anywhere",
    "the stand-in, named as such",
    lost="nothing",
)
def test_a_bad_download_is_never_taken_for_the_data(server, empty_cache, monkeypatch):
    url, _ = server
    monkeypatch.delenv("DATA_DIR", raising=False)
    monkeypatch.setattr(datasets, "MNIST_URLS", (f"{url}/short",))
    assert datasets.mnist(10).standin
    assert datasets.mnist(10).standin


def test_the_standin_is_real_digits_and_says_so(no_network, empty_cache, capsys):
    data = datasets.mnist(64)
    assert data.standin
    assert data.name == "STAND-IN for MNIST"
    assert "STAND-IN for MNIST, 1,500 images" in capsys.readouterr().out
    assert data.images.shape == (1500, 28, 28, 1)
    assert not data.images[:, :4].any()  # MNIST's empty border of four pixels
    assert data.images.max() == 255
    counts = np.bincount(data.labels)
    assert len(counts) == 10
    assert counts.min() > 100


def test_standin_never_says_which_file_to_put_where(no_network, empty_cache, monkeypatch):
    monkeypatch.setenv("STANDIN", "never")
    with pytest.raises(FileNotFoundError, match=r"Put mnist\.npz .*set DATA_DIR"):
        datasets.mnist()


def test_standin_always(tiny_mnist, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tiny_mnist.parent))
    monkeypatch.setenv("STANDIN", "always")
    assert datasets.mnist(10).standin


@pytest.mark.fault(
    "own data file that holds something else",
    "refused in a sentence",
    lost="nothing",
)
def test_a_file_that_holds_something_else_is_named(tiny_mnist, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tiny_mnist.parent))
    with np.load(tiny_mnist) as file:
        arrays = dict(file)
    arrays["x_train"][0, 0, 0] ^= 1
    np.savez(tiny_mnist, **arrays)
    with pytest.raises(ValueError, match=r"mnist\.npz does not hold MNIST: x_train"):
        datasets.mnist()
    tiny_mnist.write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"mnist\.npz cannot be read"):
        datasets.mnist()


def test_wrong_arguments_are_named(tiny_mnist, monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tiny_mnist.parent))
    with pytest.raises(ValueError, match="split='both'"):
        datasets.mnist(split="both")
    with pytest.raises(ValueError, match=r"batch_size=101: .*100 images"):
        datasets.mnist(101)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "missing"))
    with pytest.raises(ValueError, match=r"DATA_DIR=.*is not a folder"):
        datasets.mnist()


def test_images_of_your_own(tmp_path, capsys):
    shades = [(10, 20, 30), (200, 100, 0), (255, 255, 255)]
    for i, shade in enumerate(shades):
        Image.new("RGB", (20 + i, 30), shade).save(tmp_path / f"{i}.png")
    data = datasets.folder(tmp_path, 16, batch_size=2)
    assert (data.name, data.standin, data.images.shape) == (tmp_path.name, False, (3, 16, 16, 3))
    assert data.images[1, 0, 0].tolist() == [200, 100, 0]
    assert next(iter(data.from_step(0))).shape == (2, 16, 16, 3)
    grey = datasets.folder(tmp_path, 16, batch_size=3, grey=True)
    expected = [round(np.dot(shade, (0.299, 0.587, 0.114))) for shade in shades]  # BT.601
    np.testing.assert_allclose(grey.images[:, 5, 5, 0], expected, atol=1)
    assert "3 images" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"batch_size=4: .* has 3 images"):
        datasets.folder(tmp_path, 16, batch_size=4)
