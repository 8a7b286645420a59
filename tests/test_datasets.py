"""datasets: order by seed and step, a replica's part, labels, and what data are known by."""

import dataclasses
import itertools
import json
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from utils import datasets, sources
from utils.options import ROOT
from utils.topics import pairs, superresolution

RNG = np.random.default_rng
IMAGES = RNG(0).integers(0, 256, (50, 8, 8, 1)).astype("uint8")
LABELS = RNG(1).integers(0, 3, 50)
PHOTOS = RNG(2).integers(0, 256, (13, 18, 18, 3)).astype("uint8")
SIZES = ((20, 24), (16, 30), (40, 17), (16, 16), (33, 20))


def noise(**changes):
    """Six full batches of images, and two images over."""
    facts = {"name": "noise", "standin": False, "batch_size": 8, "seed": 3}
    return datasets.ImageData(**facts | {"images": IMAGES, "labels": LABELS} | changes)


def unpaired(**changes):
    facts = {"name": "two kinds", "standin": False, "batch_size": 6, "seed": 3}
    facts |= {"a": PHOTOS[:5], "b": PHOTOS[5:], "image_size": 16}
    return pairs.UnpairedData(**facts | changes)


def crops(**changes):
    photos = [RNG(i).integers(0, 256, (*size, 3)).astype("uint8") for i, size in enumerate(SIZES)]
    facts = {"name": "photographs", "standin": False, "batch_size": 6, "seed": 3}
    return superresolution.Crops(**facts | {"photographs": photos, "size": 16} | changes)


def labelled(**changes):
    return noise(with_labels=True, **changes)


KINDS = (noise, labelled, unpaired, crops)


def batches(data, step, n, context=None):
    """Return n batches from a step on, each a tuple of arrays."""
    found = []
    for batch in data.from_step(step, context).take(n):
        found.append(tuple(x.numpy() for x in tf.nest.flatten(batch)))
    return found


def assert_same(found, expected):
    assert len(found) == len(expected)
    for x, y in zip(found, expected, strict=True):
        for a, b in zip(x, y, strict=True):
            np.testing.assert_array_equal(a, b)


# Batches


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_full_float32_and_in_range(kind):
    data = kind()
    for batch in batches(data, 0, 12):
        for x in batch:
            assert len(x) == data.batch_size
            if x.ndim == 4:
                assert x.dtype == np.float32
                assert x.min() >= -1
                assert x.max() <= 1
    shapes = [x.shape for x in tf.nest.flatten(data.from_step(0).element_spec)]
    assert all(shape.is_fully_defined() for shape in shapes)


def test_values_are_the_images_and_labels_come_with_them():
    label_of = {image.tobytes(): label for image, label in zip(IMAGES, LABELS, strict=True)}
    for images, labels in batches(labelled(), 0, 9):
        assert labels.dtype == np.int64
        for image, label in zip(np.rint((images + 1) * 127.5).astype("uint8"), labels, strict=True):
            assert label_of[image.tobytes()] == label
    plain = [images for (images,) in batches(noise(), 0, 9)]
    for expected, (images, _) in zip(plain, batches(labelled(), 0, 9), strict=True):
        np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_order_depends_on_seed_and_step_alone(kind):
    straight = batches(kind(), 0, 20)
    for step in (1, 5, 6, 7, 13):  # of images: within an epoch of six batches, at its end, after it
        assert_same(batches(kind(), step, 20 - step), straight[step:])
    assert not np.array_equal(straight[0][0], batches(kind(seed=4), 0, 1)[0][0])


def test_an_epoch_shows_no_image_twice_and_epochs_differ():
    epochs = [np.concatenate([x for (x,) in batches(noise(), 6 * e, 6)]) for e in range(2)]
    seen = [[image.tobytes() for image in epoch] for epoch in epochs]
    assert [len(set(images)) for images in seen] == [48, 48]
    assert seen[0] != seen[1]


def test_no_tuning_thread_delays_the_end_of_a_training():
    """The iterator's destructor waited for that thread: 58 seconds after 205 of training."""
    assert noise().from_step(0).options().autotune.enabled is False


def test_many_images_are_not_copied():
    """In a process of its own: memory that an earlier test needed would hide a copy."""
    script = (
        "import itertools, pathlib\nimport numpy as np\n"
        "from tests.test_datasets import datasets, noise\n"
        "images = np.full((180_000, 28, 28, 1), 99, 'uint8')\n"
        "assert images.nbytes > datasets.COPIED\n"
        "data = noise(images=images, labels=np.zeros(180_000, 'int64'), batch_size=64)\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "own = lambda: int(status.read_text().split('RssAnon:')[1].split()[0])\n"
        "next(iter(data.from_step(0)))\nbefore = own()\n"
        "batches = iter(data.from_step(900))\n"
        "list(itertools.islice(batches, 3))\n"
        "print((own() - before) // 1000, data.images is images)"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    grown, is_same = done.stdout.split()
    assert int(grown) < 50  # MB; one copy is 141
    assert is_same == "True"


def test_batch_sizes_that_cannot_be():
    for kind in KINDS:
        with pytest.raises(ValueError, match="batch_size=0: take a whole number, 1 or more"):
            kind(batch_size=0)
    with pytest.raises(ValueError, match="batch_size=51: noise has 50 images"):
        noise(batch_size=51)
    with pytest.raises(ValueError, match=r"batch_size=9: two kinds has \(5, 8\) images"):
        unpaired(batch_size=9)
    assert len(batches(crops(batch_size=9), 0, 1)[0][0]) == 9  # of five photographs


def test_python_ends_when_no_batch_is_being_made():
    """A thread that is in Python, or comes back to it, after its end hangs, and all with it."""
    begun, ended = [], []

    class Slow(datasets.ImageData):
        def load(self, indices, places):
            def slowly(indices):
                begun.append(1)
                time.sleep(0.2)
                ended.append(1)
                return indices

            return datasets.in_python(slowly, [indices], indices.dtype)

    facts = {field.name: getattr(noise(), field.name) for field in dataclasses.fields(noise())}
    iterator = iter(Slow(**facts).from_step())
    next(iterator)
    datasets._let_calls_end()  # is called when Python ends
    assert len(begun) == len(ended) == 3  # one taken, and two ahead
    time.sleep(0.3)
    assert len(begun) == 3


# Replicas


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("workers", "replicas", "step"), [(1, 2, 0), (1, 6, 3), (2, 2, 3), (2, 6, 0), (3, 6, 3)]
)
def test_the_parts_of_all_replicas_are_the_batch(kind, workers, replicas, step):
    data = kind(batch_size=6)
    whole = batches(data, step, 5)
    each = replicas // workers
    own = []
    for worker in range(workers):
        context = tf.distribute.InputContext(workers, worker, replicas)
        own.append(batches(data, step, 5 * each, context))
    together = []
    for i in range(5):
        parts = [part for found in own for part in found[i * each : (i + 1) * each]]
        assert {len(part[0]) for part in parts} == {6 // replicas}
        together.append(tuple(np.concatenate(kinds) for kinds in zip(*parts, strict=True)))
    assert_same(together, whole)


def test_a_worker_loads_no_image_of_another(monkeypatch):
    loaded = []
    data = crops()
    crop = superresolution.Crops.crop

    def noted(self, index, place):
        loaded.append(int(place))
        return crop(self, index, place)

    monkeypatch.setattr(superresolution.Crops, "crop", noted)
    batches(data, 0, 4, tf.distribute.InputContext(2, 1, 2))
    assert {place % 6 for place in loaded} == {3, 4, 5}


def test_a_strategy_hands_out_the_parts():
    strategy = tf.distribute.MirroredStrategy(["cpu:0"])
    distributed = strategy.distribute_datasets_from_function(
        lambda context: noise().from_step(2, context)
    )
    found = [(x.numpy(),) for x in itertools.islice(distributed, 3)]
    assert_same(found, batches(noise(), 2, 3))


@pytest.mark.parametrize(("workers", "replicas"), [(1, 3), (3, 4)])
def test_a_batch_that_cannot_be_cut_is_named(workers, replicas):
    with pytest.raises(ValueError, match=f"BATCH_SIZE=8 cannot be cut .* {replicas} devices"):
        noise().from_step(0, tf.distribute.InputContext(workers, 0, replicas))


# What data are known by

OTHERS = {
    datasets.ImageData: {
        "images": IMAGES + 1,
        "labels": LABELS + 1,
        "classes": ("a", "b", "c", "d"),
        "split": "test",
        "with_labels": True,
    },
    pairs.UnpairedData: {
        "a": PHOTOS[:4],
        "b": PHOTOS[6:],
        "image_size": 12,
        "split": "test",
    },
    superresolution.Crops: {"photographs": [PHOTOS[0]], "size": 12},
}
OF_ALL = {"name": "other", "standin": True, "batch_size": 4, "seed": 4}


@pytest.mark.parametrize("data", [noise(), unpaired(), crops()], ids=lambda x: type(x).__name__)
def test_every_field_counts(data):
    """A new field of a data set needs another value here."""
    others = OF_ALL | OTHERS[type(data)]
    assert others.keys() == {field.name for field in dataclasses.fields(data)}
    known = [data.identity()]
    for name, value in others.items():
        known.append(dataclasses.replace(data, **{name: value}).identity())
        different = [key for key in known[0] if known[-1][key] != known[0][key]]
        assert different == [name]
    assert json.loads(json.dumps(known)) == known


def test_a_field_that_a_reader_adds_counts_by_itself():
    @dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
    class Darker(datasets.ImageData):
        by: float

    facts = {field.name: getattr(noise(), field.name) for field in dataclasses.fields(noise())}
    half, third = (Darker(**facts, by=by).identity() for by in (1 / 2, 1 / 3))
    assert half != third
    assert half != noise().identity()
    assert Darker(**facts, by=np.float32(0.5)).identity() == half
    with pytest.raises(TypeError, match="holds function, by which it cannot be known"):
        Darker(**facts, by=lambda x: x / 2).identity()


@pytest.mark.parametrize(
    "images",
    [IMAGES[::-1], np.roll(IMAGES, 1, axis=2), IMAGES.reshape(50, 4, 16, 1), IMAGES[:49]],
    ids=["other order", "one pixel on", "other shape", "one less"],
)
def test_other_images_are_other_data(images):
    other = noise(images=images, labels=noise().labels[: len(images)])
    assert other.identity()["images"] != noise().identity()["images"]
    assert noise(images=IMAGES.copy()).identity() == noise().identity()


@pytest.mark.fault(
    "own arrays as data: floats, 0 to 1 in uint8, one channel too few, too few labels",
    "refused in a sentence",
    lost="nothing",
)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": IMAGES / 255.0}, "float64 of shape .* are no images.*Take uint8"),
        ({"images": IMAGES.astype("int64")}, "int64 of shape"),
        ({"images": IMAGES[..., 0]}, r"uint8 of shape \(50, 8, 8\)"),
        ({"images": IMAGES // 16}, "above 15, of 255, so they would be black"),
        ({"labels": np.zeros(49, "int64")}, r"labels of shape \(49,\) for 50 images"),
        (
            {"labels": np.zeros((50, 1), "int64")},
            r"\(50, 1\).*whole numbers of shape \(50,\)",
        ),
        ({"labels": np.zeros(50)}, "float64 labels"),
    ],
)
def test_arrays_that_are_no_images_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        noise(**change)


def test_data_are_hashed_once_and_cannot_be_changed_afterwards(monkeypatch):
    calls = []
    sha256 = sources.sha256
    monkeypatch.setattr(sources, "sha256", lambda data: calls.append(1) or sha256(data))
    data = noise(images=IMAGES.copy())
    first = data.identity()
    first["name"] = "changed"
    assert data.identity()["name"] == "noise"
    assert len(calls) == 2  # images and labels
    for array in (data.images, crops().photographs[0], unpaired().a):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0, 0] = 1


# Images of your own


@pytest.fixture
def photos(tmp_path):
    """Two classes, and the same in an archive."""
    folder = tmp_path / "pets"
    for i, name in enumerate(("dogs/a.png", "cats/b.png", "cats/deep/c.png", "dogs/d.png")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((20 + i, 30), 50).convert("RGB").save(path)
    zipped(folder, tmp_path / "again" / "pets.zip", folder)
    zipped(folder, tmp_path / "wrapped" / "pets.zip", tmp_path)
    return folder


def zipped(folder, path, root):
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.png"):
            archive.write(file, file.relative_to(root))


def test_sub_folders_are_classes(photos, capsys):
    (photos / "dogs" / "broken.png").write_bytes(b"")
    data = datasets.folder(photos, 16, batch_size=4, labels=True)
    assert data.classes == ("cats", "dogs")
    names = data.images.names
    assert sorted(names) == ["cats/b.png", "cats/deep/c.png", "dogs/a.png", "dogs/d.png"]
    assert data.labels.tolist() == [int(name.startswith("dogs")) for name in names]
    images, labels = next(iter(data.from_step()))
    assert images.shape == (4, 16, 16, 3)
    assert sorted(labels.numpy()) == [0, 0, 1, 1]
    assert "1 of 5 images skipped: dogs/broken.png" in capsys.readouterr().out


def test_images_directly_in_the_folder_are_one_class(photos):
    cats = datasets.folder(photos / "dogs", 16, batch_size=2)
    assert (cats.classes, cats.labels.tolist()) == ((".",), [0, 0])
    assert next(iter(cats.from_step())).shape == (2, 16, 16, 3)
    single = datasets.folder(photos / "dogs" / "a.png", 16, batch_size=1)
    assert single.classes == (".",)
    Image.new("RGB", (9, 9)).save(photos / "z.png")
    mixed = datasets.folder(photos, 16, batch_size=2)
    assert mixed.classes == (".", "cats", "dogs")
    assert sorted(mixed.labels.tolist()) == [0, 1, 1, 2, 2]


def test_the_first_images_of_a_folder_are_of_all_classes(tmp_path):
    """An Evaluation takes the first n: all of one class would be no measure of the others."""
    for i in range(60):
        path = tmp_path / f"{i // 20}" / f"{i % 20:02d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4), 4 * i).save(path)
    data = datasets.folder(tmp_path, 4, batch_size=2, grey=True)
    assert np.bincount(data.labels[:30], minlength=3).min() >= 5
    np.testing.assert_array_equal(data.images[:, 0, 0, 0] // 80, data.labels)
    assert data.images.names == datasets.folder(tmp_path, 4, 2).images.names


def test_the_same_photographs_from_elsewhere_are_the_same_data(photos, tmp_path):
    others = [tmp_path / name / "pets.zip" for name in ("again", "wrapped")]
    for load in (
        lambda source: datasets.folder(source, 16, 2),
        lambda source: pairs.folder_pair(source, source, 16).identity()["a"],
        lambda source: superresolution.crops(16, 2, source=source)[0].identity()["photographs"],
    ):
        known = [load(source) for source in (photos, *others)]
        known = [x.identity() if isinstance(x, datasets.Dataset) else x for x in known]
        assert known[0] == known[1] == known[2]


def test_other_photographs_in_a_folder_of_the_same_name_are_other_data(photos):
    def known():
        return (
            datasets.folder(photos, 16, 2).identity(),
            pairs.folder_pair(photos, photos, 16).identity(),
            superresolution.crops(16, 2, source=photos)[0].identity(),
        )

    found = [known()]
    assert known() == found[0]
    assert datasets.folder(photos, 12, 2).identity() != found[0][0]
    assert datasets.folder(photos, 16, 2, grey=True).identity() != found[0][0]
    a, d = photos / "dogs" / "a.png", photos / "dogs" / "d.png"
    a_bytes, d_bytes = a.read_bytes(), d.read_bytes()
    a.write_bytes(d_bytes)  # the other order
    d.write_bytes(a_bytes)
    found.append(known())
    Image.new("RGB", (20, 30)).save(d)  # another image
    found.append(known())
    d.unlink()  # one less
    found.append(known())
    for one, two in itertools.combinations(found, 2):
        assert all(x != y for x, y in zip(one, two, strict=True))


def test_a_part_of_photographs_is_known_by_its_values(photos):
    data = datasets.folder(photos, 16, 2)
    inverted = dataclasses.replace(data, images=255 - data.images)
    part = dataclasses.replace(data, images=data.images[:3], labels=data.labels[:3])
    known = [x.identity()["images"] for x in (data, inverted, part)]
    assert [sorted(x) for x in known] == [
        ["dtype", "files", "shape"],
        ["dtype", "shape", "values"],
        ["dtype", "shape", "values"],
    ]


def test_images_are_no_part_of_the_graph_of_batches():
    """Digits within it took five seconds at each start."""
    images = np.full((1000, 64, 64, 3), 99, "uint8")
    data = datasets.ImageData(
        name="large",
        standin=False,
        batch_size=8,
        seed=1,
        images=images,
        labels=np.zeros(1000, "int64"),
    )
    places = tf.TensorSpec((8,), tf.int64)
    load = tf.function(data.load).get_concrete_function(tf.TensorSpec((8,), tf.int32), places)
    assert load.graph.as_graph_def().ByteSize() < 10_000
