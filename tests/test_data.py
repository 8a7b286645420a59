"""sources, MNIST and images of your own: where data come from, and what passes for them."""

import contextlib
import errno
import functools
import http.server
import os
import socketserver
import subprocess
import sys
import threading
import time
import urllib.error

import numpy as np
import pytest
from PIL import Image

from tests.conftest import KERAS_HOME
from utils import datasets, options, sources

REAL = sources.in_data_dir("mnist.npz")


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


def test_data_dir_comes_first(tiny_mnist, monkeypatch, no_network, capsys):
    monkeypatch.setenv("DATA_DIR", str(tiny_mnist.parent))
    data = datasets.mnist(10)
    assert (data.name, data.standin, data.images.shape) == ("MNIST", False, (100, 28, 28, 1))
    assert data.labels.shape == (100,)
    assert data.classes == tuple("0123456789")
    images, labels = next(iter(datasets.mnist(10, labels=True).from_step()))
    assert (images.shape, labels.shape) == ((10, 28, 28, 1), (10,))
    assert len(datasets.mnist(10, split="test").images) == 20
    assert "MNIST, 100 images" in capsys.readouterr().out


@contextlib.contextmanager
def serving(folder):
    """Serve the files of a folder; give their address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.mark.parametrize("pack", [np.savez, np.savez_compressed])
def test_a_fetched_archive_is_checked_by_its_arrays(tiny_mnist, empty_cache, monkeypatch, pack):
    monkeypatch.delenv("DATA_DIR", raising=False)
    with np.load(tiny_mnist) as file:
        arrays = dict(file)
    pack(tiny_mnist, **dict(reversed(arrays.items())))
    with serving(tiny_mnist.parent) as url:
        monkeypatch.setattr(datasets, "MNIST_URLS", (f"{url}/mnist.npz",))
        fetched = datasets.mnist(10)
    assert not fetched.standin
    np.testing.assert_array_equal(fetched.images[..., 0], arrays["x_train"])


@pytest.mark.skipif(not REAL, reason="DATA_DIR holds no mnist.npz")
def test_the_real_archive_is_fetched_however_it_is_packed(empty_cache, monkeypatch):
    here = datasets.mnist()
    monkeypatch.delenv("DATA_DIR")
    with serving(REAL.parent) as url:
        monkeypatch.setattr(datasets, "MNIST_URLS", (f"{url}/mnist.npz",))
        fetched = datasets.mnist()
    assert not fetched.standin
    assert fetched.identity() == here.identity()
    assert fetched.identity() != datasets.mnist(split="test").identity()


def test_only_what_cannot_be_downloaded_has_a_standin(monkeypatch, capsys):
    def unavailable():
        raise sources.UnavailableError("It is not there.")

    def full():
        raise OSError(28, "No space left on device")

    found = sources.or_standin("numbers", unavailable, lambda: [1, 2])
    assert found == ("STAND-IN for numbers", [1, 2], True)
    said = "numbers could not be loaded, so a stand-in is used. It is not"
    assert said in capsys.readouterr().out
    assert sources.or_standin("numbers", lambda: [3], lambda: [1]) == ("numbers", [3], False)
    with pytest.raises(OSError, match="No space left"):
        sources.or_standin("numbers", full, lambda: [1, 2])
    monkeypatch.setenv("STANDIN", "never")
    with pytest.raises(FileNotFoundError, match=r"numbers was not found and STANDIN=never\. It is"):
        sources.or_standin("numbers", unavailable, lambda: [1, 2])


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
def test_a_mirror_steps_in(server, empty_cache, monkeypatch, tiny_mnist, bad, times, words):
    url, asked = server
    monkeypatch.delenv("DATA_DIR", raising=False)
    check = sources.has_hash(sources.sha256(tiny_mnist.read_bytes()))
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
    server, empty_cache, monkeypatch, tiny_mnist
):
    monkeypatch.delenv("DATA_DIR", raising=False)
    empty_cache.mkdir(parents=True)
    (empty_cache / "mnist.npz").write_bytes(tiny_mnist.read_bytes()[:1000])
    check = sources.has_hash(sources.sha256(tiny_mnist.read_bytes()))
    path = sources.download("mnist.npz", [f"{server[0]}/mnist.npz"], check)
    assert path.read_bytes() == tiny_mnist.read_bytes()


@pytest.mark.fault("download: two processes at once", "fetched once", lost="nothing")
def test_two_processes_fetch_a_file_once(server, empty_cache, monkeypatch, tiny_mnist):
    """This one, and another that begins when it is asked to."""
    url, asked = server
    monkeypatch.delenv("DATA_DIR", raising=False)
    expected = sources.sha256(tiny_mnist.read_bytes())
    script = (
        "import sys\nfrom utils import sources\nprint('ready', flush=True)\nsys.stdin.readline()\n"
        f"check = sources.has_hash({expected!r})\n"
        f"print(chr(10), sources.download('f.npz', [{url + '/slow'!r}], check), sep='')"
    )
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | {"KERAS_HOME": KERAS_HOME}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, **options) as other:
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        path = sources.download("f.npz", [f"{url}/slow"], sources.has_hash(expected))
        assert other.communicate()[0].splitlines()[-1] == str(path)
    assert asked == ["/slow"]
    assert path.read_bytes() == tiny_mnist.read_bytes()


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


def in_the_cache(error):
    def get_file(name, origin):
        raise error

    return get_file


def as_keras_tells(error):
    """What get_file makes of an error that urllib has wrapped."""

    def get_file(name, origin):
        try:
            raise urllib.error.URLError(error)
        except urllib.error.URLError as wrapped:
            raise Exception(f"URL fetch failure on {origin}: None -- {wrapped.reason}") from None

    return get_file


@pytest.mark.fault(
    "download: disk full, no permission, too many open files",
    "stops in a sentence; nothing stands in",
    lost="nothing",
)
@pytest.mark.parametrize(
    "get_file",
    [
        in_the_cache(OSError(errno.ENOSPC, "No space left on device")),
        in_the_cache(PermissionError(errno.EACCES, "Permission denied", "cache/mnist.npz")),
        in_the_cache(OSError(errno.EMFILE, "Too many open files", "cache/mnist.npz")),
        as_keras_tells(OSError(errno.EMFILE, "Too many open files")),
    ],
    ids=["full", "locked", "files", "sockets"],
)
def test_a_limit_of_this_machine_gets_no_standin(get_file, monkeypatch):
    monkeypatch.delenv("DATA_DIR", raising=False)
    monkeypatch.setattr(sources.keras.utils, "get_file", get_file)
    words = r"mnist.npz could not be kept or opened \((No space|Permission|Too many).*KERAS_HOME"
    with pytest.raises(OSError, match=words):
        datasets.mnist()


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ENETUNREACH, errno.EACCES])
def test_a_network_that_refuses_gets_one(number, monkeypatch, capsys):
    """A firewall may answer that the permission is missing."""
    monkeypatch.delenv("DATA_DIR", raising=False)
    error = OSError(number, os.strerror(number))
    monkeypatch.setattr(sources.keras.utils, "get_file", as_keras_tells(error))
    assert datasets.mnist(10).standin
    assert os.strerror(number) in capsys.readouterr().out


def test_a_file_that_cannot_be_checked_for_a_limit_is_kept(server, empty_cache, monkeypatch):
    """It was fetched whole; only this machine cannot open it now."""
    monkeypatch.delenv("DATA_DIR", raising=False)

    def check(path):
        try:
            raise OSError(errno.EMFILE, "Too many open files", str(path))
        except OSError as error:
            raise ValueError(f"{path} cannot be read") from error

    with pytest.raises(OSError, match=r"could not be kept or opened \(Too many open files"):
        sources.download("mnist.npz", [f"{server[0]}/mnist.npz"], check)
    assert list(empty_cache.glob("mnist.npz"))


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
    with pytest.raises(ValueError, match=r"mnist\.npz is not .* begins with b'not an arch"):
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
    found = dict(zip(data.images.names, data.images[:, 0, 0].tolist(), strict=True))
    assert found == {f"{i}.png": list(shade) for i, shade in enumerate(shades)}
    assert next(iter(data.from_step(0))).shape == (2, 16, 16, 3)
    grey = datasets.folder(tmp_path, 16, batch_size=3, grey=True)
    expected = [round(np.dot(shade, (0.299, 0.587, 0.114))) for shade in shades]  # BT.601
    np.testing.assert_allclose(np.sort(grey.images[:, 5, 5, 0]), expected, atol=1)
    assert "3 images" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"batch_size=4: .* has 3 images"):
        datasets.folder(tmp_path, 16, batch_size=4)


@pytest.mark.parametrize(
    "call",
    [
        lambda: sources.in_data_dir("mnist.npz"),
        options.output_dir,
        lambda: datasets.folder("~nobody-of-this-name/a", 28),
    ],
    ids=["DATA_DIR", "OUTPUT_DIR", "folder"],
)
def test_the_home_of_nobody_is_named(call, monkeypatch):
    for name in "DATA_DIR", "OUTPUT_DIR":
        monkeypatch.setenv(name, "~nobody-of-this-name/b")
    with pytest.raises(ValueError, match=r"~nobody-of-this-name/.: there is no such home"):
        call()
