"""Mutated archives, images, checkpoints and options: used, or refused in a sentence of ours."""

import collections
import io
import os
import random
import signal
import string
import traceback
import zipfile

import numpy as np
import pytest
from PIL import Image

from utils import datasets, photographs, run, sources
from utils.options import OPTIONS, ROOT, option, output_dir

pytestmark = pytest.mark.filterwarnings("ignore")
SECONDS = 20  # that a case may take
NAMES = ("../out.png", "/out.png", "a/../../out.png", "..\\out.png", "C:\\out.png", "con.png")
MUTATED = pytest.mark.fault(
    "mutated image, archive, checkpoint, record, data file or option",
    "used correctly, or refused in a sentence",
    lost="what was mutated",
)


def mutated(data, rng):
    """Flip bits, cut, repeat, or put noise into bytes."""
    data, how = bytearray(data), rng.choice(("flip", "cut", "repeat", "noise"))
    at = rng.randrange(len(data))
    if how == "flip":
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del data[at:]
    elif how == "repeat":
        data[at:at] = data[at : at + rng.randint(1, 999)]
    else:
        data[at : at + 20] = rng.randbytes(20)
    return bytes(data)


def picture(rng):
    """Return an image file of a random kind."""
    kind = rng.choice(("png", "jpeg", "gif", "tiff", "bmp", "webp"))
    mode = rng.choice(("RGB", "L") if kind in ("jpeg", "webp") else ("RGB", "L", "1"))
    size, file = (rng.randint(1, 40), rng.randint(1, 40)), io.BytesIO()
    Image.effect_noise(size, 50).convert(mode).save(file, kind)
    return file.getvalue()


def an_image(rng, folder):
    image, *_ = photographs.decode(mutated(picture(rng), rng))
    assert image.mode == "RGB"


def an_archive(rng, folder):
    """With names that lead out of it, and links."""
    path = folder / "all.zip"
    with zipfile.ZipFile(path, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as file:
        for i in range(3):
            entry = zipfile.ZipInfo(rng.choice(NAMES) if rng.random() < 0.3 else f"{i}.png")
            entry.external_attr = (0o120777 if rng.random() < 0.2 else 0o644) << 16
            file.writestr(entry, picture(rng))
    if rng.random() < 0.8:
        path.write_bytes(mutated(path.read_bytes(), rng))
    images = photographs.load(path, 8)
    assert 1 <= len(images) <= 3
    assert images.shape[1:] == (8, 8, 3)


def a_round(rng, folder):
    """Either it is whole, or the one before is used."""
    states = [{"x": np.arange(100.0) + i, "y": np.zeros((3, 4))} for i in range(2)]
    folder = output_dir() / folder.name
    (folder / "rounds").mkdir(parents=True)
    for i, state in enumerate(states):
        run.save_round(folder, i, state, np.zeros((2, 3), "uint8"))
    newest = folder / "rounds" / "round-00001.npz"
    newest.write_bytes(mutated(newest.read_bytes(), rng))
    found = run.load_round(folder)
    assert any(
        found.keys() == state.keys() and all(np.array_equal(found[k], state[k]) for k in state)
        for state in states
    )


def a_metrics_file(rng, folder):
    folder = output_dir() / folder.name
    folder.mkdir(parents=True)
    run.write_metrics(folder, {"data": "noise", "seconds": 1.5, "rounds_done": 3})
    path = folder / "metrics.json"
    path.write_bytes(mutated(path.read_bytes(), rng))
    assert isinstance(run.read_metrics(folder), dict)


def a_record(rng, folder):
    whole = rng.randbytes(500)
    (folder / "state.npz").write_bytes(whole)
    (folder / "SHA256SUMS").write_text(f"{sources.sha256(whole)}  state.npz\n", encoding="utf-8")
    changed = folder / rng.choice(("state.npz", "SHA256SUMS"))
    changed.write_bytes(mutated(changed.read_bytes(), rng))
    sources.check_sums(folder)
    assert (folder / "state.npz").read_bytes() == whole


def a_data_file(rng, folder):
    """It is laid out as mnist.npz, and holds something else."""
    arrays = {k: np.zeros((5, 28, 28), "uint8") for k in datasets.MNIST_HASHES}
    np.savez(folder / "mnist.npz", **arrays)
    (folder / "mnist.npz").write_bytes(mutated((folder / "mnist.npz").read_bytes(), rng))
    os.environ["DATA_DIR"] = str(folder)
    datasets.mnist(1)


def an_option(rng, folder):
    name = rng.choice((*OPTIONS, "DATA_DIR"))
    os.environ[name] = "".join(rng.choices(string.printable[:94] + "äß한", k=rng.randint(1, 12)))
    found = sources.in_data_dir("mnist.npz") if name == "DATA_DIR" else option(name)
    assert found in (*OPTIONS.get(name, ()), None)


KINDS = (an_image, an_archive, a_round, a_metrics_file, a_record, a_data_file, an_option)


def attempt(kind, seed, folder, monkeypatch):
    """Run a case; return "used" or "refused", and fail on anything else."""

    def too_long(*_):
        raise AssertionError(f"{kind.__name__} {seed} hangs")

    folder.mkdir()
    with monkeypatch.context() as patch:
        for name in (*OPTIONS, "DATA_DIR"):
            patch.setenv(name, "")
        before = signal.signal(signal.SIGALRM, too_long)
        signal.alarm(SECONDS)
        try:
            kind(random.Random(f"{kind.__name__} {seed}"), folder)
        except (ValueError, OSError) as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            ours = frame.filename.startswith(str(ROOT / "utils")) and "raise" in frame.line
            if not ours:
                raise AssertionError(f"{kind.__name__} {seed}") from error
            return "refused"
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)
    return "used"


def check(cases, tmp_path, monkeypatch):
    def around():
        return sorted(ROOT.iterdir()), sorted(tmp_path.iterdir())

    tally = collections.Counter()
    (tmp_path / "inside").mkdir()
    output_dir().mkdir()
    before = around()
    for number in range(cases):
        kind = KINDS[number % len(KINDS)]
        folder = tmp_path / "inside" / f"{number}"
        tally[kind, attempt(kind, number, folder, monkeypatch)] += 1
        assert {path.name for path in folder.iterdir()} <= {
            "all.zip",
            "mnist.npz",
            "state.npz",
            "SHA256SUMS",
        }
    assert around() == before
    assert not any(folder.joinpath("out.png").exists() for folder in (ROOT, *ROOT.parents))
    return tally


@MUTATED
def test_fifty_cases(tmp_path, monkeypatch, record_property):
    tally = check(50, tmp_path, monkeypatch)
    record_property("tried", 50)
    assert sum(tally.values()) == 50


@MUTATED
@pytest.mark.slow
def test_cases(tmp_path, monkeypatch, capsys, record_property):
    tally = check(1001, tmp_path, monkeypatch)
    record_property("tried", 1001)
    with capsys.disabled():
        print("\n| mutated | tried | used, correctly | refused in a sentence |\n|---|---|---|---|")
        for kind in KINDS:
            used, refused = (tally[kind, how] for how in ("used", "refused"))
            name = kind.__name__.replace("_", " ")
            print(f"| {name} | {used + refused} | {used} | {refused} |")
