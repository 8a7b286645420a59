"""Unpaired data: every image of the longer kind in an epoch, new partners, cuts and flips."""

import zipfile
from collections import Counter

import keras
import numpy as np
import pytest
from PIL import Image

from utils import evaluation
from utils.topics import pairs, translations


def numbered(n, side=18):
    """Images of one grey each, 200 and their number, so that a batch tells which they are."""
    greys = np.arange(200, 200 + n, dtype="uint8")
    return np.broadcast_to(greys[:, None, None, None], (n, side, side, 3))


def seen(data, start, n):
    """Return the numbers of the images in n batches: two arrays (n, batch)."""
    batches = data.from_step(start).take(n)
    pairs = [[np.rint((x.numpy()[:, 0, 0, 0] + 1) * 127.5) for x in batch] for batch in batches]
    return np.array(pairs).transpose(1, 0, 2).astype(int) - 200


def data(n_a=7, n_b=12, batch=1, seed=5):
    return pairs.UnpairedData(
        name="numbers",
        standin=False,
        batch_size=batch,
        seed=seed,
        a=numbered(n_a),
        b=numbered(n_b),
        image_size=16,
    )


def test_an_epoch_shows_each_image_of_the_longer_kind_once():
    for epoch in range(3):
        a, b = seen(data(), 12 * epoch, 12)
        assert sorted(b.ravel()) == list(range(12))
        assert set(Counter(a.ravel()).values()) <= {1, 2, 3}
    a, _ = seen(data(), 0, 7 * 12)
    assert set(Counter(a.ravel()).values()) == {12}


def test_pairs_do_not_repeat_in_step():
    for n_a, n_b in (7, 12), (9, 9):
        epochs = [seen(data(n_a, n_b), n_b * e, n_b) for e in range(3)]
        pairs = [set(zip(a.ravel(), b.ravel(), strict=True)) for a, b in epochs]
        assert len(pairs[0] & pairs[1]) < 5
        orders = [tuple(b.ravel()) for _, b in epochs]
        assert len(set(orders)) == 3
        assert not np.array_equal(*epochs[0])


def test_batches_go_on_where_a_run_stopped():
    whole, rest = data(batch=4).from_step(0).take(9), data(batch=4).from_step(5)
    for expected, found in zip(list(whole)[5:], rest, strict=False):
        for x, y in zip(expected, found, strict=True):
            np.testing.assert_array_equal(x, y)


def test_images_are_cut_and_flipped_anew_in_each_epoch():
    ramp = np.arange(18, dtype="uint8") * 10
    image = np.broadcast_to((ramp[:, None] + ramp)[None, ..., None], (1, 18, 18, 3))
    source = pairs.UnpairedData(
        name="ramp", standin=False, batch_size=1, seed=0, a=image, b=image, image_size=16
    )
    pictures = [a.numpy()[0] for a, _ in source.from_step(0).take(40)]
    assert pictures[0].shape == (16, 16, 3)
    assert pictures[0].dtype == np.float32
    possible = [
        image[0, y : y + 16, x : x + 16][:, ::s]
        for y in range(3)
        for x in range(3)
        for s in (1, -1)
    ]
    kinds = {p.tobytes() for p in pictures}
    assert kinds <= {(p / np.float32(127.5) - 1).tobytes() for p in possible}
    assert len(kinds) > 6


def write_archive(path, counts, grey_of=lambda i: 200 + i):
    with zipfile.ZipFile(path, "w") as archive:
        for folder, n in counts.items():
            for i in range(n):
                file = path.parent / "one.png"
                Image.new("L", (20, 20), grey_of(i)).save(file)
                archive.write(file, f"horse2zebra/{folder}/{i}.png")


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("STANDIN", "never")
    return tmp_path


COUNTS = {"trainA": 3, "trainB": 4, "testA": 2, "testB": 1}


def test_archive_and_folder_give_the_same(data_dir, capsys):
    path = data_dir / "horse2zebra.zip"
    write_archive(path, COUNTS)
    zipped = pairs.horse2zebra(32), pairs.horse2zebra(32, split="test")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(data_dir)
    path.unlink()
    unpacked = pairs.horse2zebra(32), pairs.horse2zebra(32, split="test")
    for x, y in zip(zipped, unpacked, strict=True):
        np.testing.assert_array_equal(x.a, y.a)
        np.testing.assert_array_equal(x.b, y.b)
    train, test = zipped
    assert (train.a.shape, train.b.shape) == ((3, 36, 36, 3), (4, 36, 36, 3))  # 286 / 256
    assert (test.a.shape, test.b.shape) == ((2, 32, 32, 3), (1, 32, 32, 3))
    assert "horse2zebra, 3 and 4 images" in capsys.readouterr().out


def test_own_folders(data_dir):
    write_archive(data_dir / "horse2zebra.zip", COUNTS)
    with zipfile.ZipFile(data_dir / "horse2zebra.zip") as archive:
        archive.extractall(data_dir)
    folder = data_dir / "horse2zebra"
    found = pairs.folder_pair(folder / "trainA", str(folder / "trainB"), 64, batch_size=2)
    assert (found.name, found.standin) == ("trainA and trainB", False)
    assert next(iter(found.from_step(0)))[1].shape == (2, 64, 64, 3)
    assert found.a.shape[1] == 72
    found = pairs.folder_pair(folder / "testA", folder / "testB", 64, split="test")
    assert found.a.shape[1:] == (64, 64, 3)
    wide = pairs.folder_pair(folder / "trainA", folder / "trainB", (32, 64), batch_size=2)
    assert wide.a.shape[1:] == (36, 72, 3)
    assert next(iter(wide.from_step(0)))[1].shape == (2, 32, 64, 3)
    with pytest.raises(ValueError, match="nowhere"):
        pairs.folder_pair(folder / "nowhere", folder / "trainB", 64)


def test_only_the_published_content_passes_as_a_download(data_dir):
    path = data_dir / "other.zip"
    write_archive(path, COUNTS)
    with pytest.raises(ValueError, match="does not hold"):
        pairs.check_horses(path)


def test_standin_is_named_and_keeps_the_task(monkeypatch):
    monkeypatch.setenv("STANDIN", "always")
    found = pairs.horse2zebra(64)
    assert found.standin
    assert found.name.startswith("STAND-IN")
    assert found.a.shape == found.b.shape == (60, 72, 72, 3)
    a, b = found.a.astype(float), found.b.astype(float)
    assert (a[..., 0] - a[..., 2]).mean() > (b[..., 0] - b[..., 2]).mean()  # brown is red
    assert b.std() > 1.3 * a.std()  # stripes
    assert pairs.horse2zebra((32, 64)).a.shape == (60, 36, 72, 3)
    again = pairs.horse2zebra(64)
    np.testing.assert_array_equal(found.b, again.b)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"image_size": 4}, "image_size=4"),
        ({"image_size": 130}, "image_size=130: take multiples of 4"),
        ({"image_size": (128, 98)}, "take multiples of 4"),
        ({"image_size": 64.0}, "image_size=64.0: take a whole number"),
        ({"image_size": 32, "split": "both"}, "split='both'"),
        ({"image_size": 32, "batch_size": 0}, "batch_size=0"),
        ({"image_size": 32, "batch_size": 61}, "batch_size=61"),
    ],
)
def test_wrong_arguments_are_named(monkeypatch, arguments, words):
    monkeypatch.setenv("STANDIN", "always")
    with pytest.raises(ValueError, match=words):
        pairs.horse2zebra(**arguments)


def test_a_translation_and_back(capsys):
    """Dark photographs become bright ones, 255 - v, as far from other bright ones as the floor."""
    dark = np.random.default_rng(0).integers(0, 100, (160, 3, 4, 3)).astype("uint8")
    bright = 255 - np.random.default_rng(1).integers(0, 100, (40, 3, 4, 3)).astype("uint8")
    features = keras.Sequential([keras.Input((3, 4, 3)), keras.layers.Flatten()], name="pixels")
    judge = evaluation.Evaluation(features, 255 - dark[40:], bright)
    invert, keep = (
        keras.Sequential([keras.Input((3, 4, 3)), keras.layers.Rescaling(s)]) for s in (-1, 1)
    )
    way = translations.Translation("dark to bright", dark[:40], invert, invert, judge)
    photos, made, returned = way([3, 5])
    np.testing.assert_array_equal(photos, dark[[3, 5]])
    np.testing.assert_array_equal(made, 255 - photos)
    np.testing.assert_array_equal(returned, photos)
    assert abs(way.score()) < 0.05
    found = way.report()
    assert found["cycle error"] == 0
    assert found["untouched"]["kernel distance"] > 20 * abs(found["kernel distance"])
    assert found["floor"].keys() == {"Fréchet distance", "kernel distance", "kernel distance ±"}
    assert "dark to bright, features of pixels" in capsys.readouterr().out
    nothing = translations.Translation("dark to bright", dark[:40], keep, invert, judge)
    assert nothing.score() == pytest.approx(1)
    expected = np.abs(255 - 2.0 * dark[:40]).mean()
    assert nothing.report()["cycle error"] == pytest.approx(expected)
