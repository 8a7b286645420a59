"""Faces: where CelebA is found, what is cut out and counted, drawn faces, and the judges."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.test_data import serving
from tools import judges as training
from utils import evaluation, images, sources
from utils.topics import faces
from utils.topics.faces import drawn, files, judges

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
real_only = pytest.mark.skipif(
    not (REAL / "celeba_small.zip").is_file(), reason="needs celeba_small.zip"
)
N = 12
SPLIT = {"validation": [3, 7], "test": [5, 11, 12]}


def picture(number, scale=1):
    """A face of the published frame: red is the column, green the row, blue the number."""
    y, x = np.mgrid[0:218:scale, 0:178:scale]
    pixels = np.stack([x, y, np.full_like(x, 20 * number)], axis=-1)
    stored = io.BytesIO()
    Image.fromarray(pixels.astype("uint8")).save(stored, "PNG")  # named .jpg, but exact
    return stored.getvalue()


def signs(number):
    """Return labels of a face, -1 or 1: attribute k is the bit k % 3 of number + k."""
    return [1 if (number + k) >> (k % 3) & 1 else -1 for k in range(40)]


def lists(csv=False):
    """Return the two lists by name, as published or as Kaggle has them."""
    codes = {n: 1 if n in SPLIT["validation"] else 2 if n in SPLIT["test"] else 0 for n in ALL}
    if csv:
        rows = [f"{n:06d}.jpg,{','.join(map(str, signs(n)))}" for n in ALL]
        parts = [f"{n:06d}.jpg,{code}" for n, code in codes.items()]
        head = ",".join(["image_id", *files.ATTRIBUTES])
        return {
            "list_attr_celeba.csv": "\n".join([head, *rows]),
            "list_eval_partition.csv": "\n".join(["image_id,partition", *parts]),
        }
    rows = [f"{n:06d}.jpg {' '.join(f'{sign:2d}' for sign in signs(n))}" for n in ALL]
    parts = [f"{n:06d}.jpg {code}" for n, code in codes.items()]
    return {
        "list_attr_celeba.txt": "\r\n".join([str(N), " ".join(files.ATTRIBUTES) + " ", *rows, ""]),
        "list_eval_partition.txt": "\r\n".join([*parts, ""]),
    }


ALL = range(1, N + 1)


def packed(prefix="", scale=1, texts=()):
    """Return a zip archive of all faces, and of lists."""
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        for n in ALL:
            archive.writestr(f"{prefix}img_align_celeba/{n:06d}.jpg", picture(n, scale))
        for name, text in dict(texts).items():
            archive.writestr(prefix + name, text)
    return stored.getvalue()


def folder(target, texts, zipped=False, parts=False):
    """Lay CelebA out as a folder: images or their archive, lists beside or in Anno and Eval."""
    target.mkdir(parents=True)
    for name, text in texts.items():
        place = target / ("Anno" if "attr" in name else "Eval") if parts else target
        place.mkdir(exist_ok=True)
        (place / name).write_text(text, encoding="utf-8", newline="")
    with zipfile.ZipFile(io.BytesIO(packed())) as archive:
        if zipped:
            (target / "Img").mkdir()
            (target / "Img" / "img_align_celeba.zip").write_bytes(packed())
        else:
            archive.extractall(target)


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    """An empty DATA_DIR; the part "small" has twelve faces."""
    split = tmp_path / "split.json"
    split.write_text(json.dumps(SPLIT), encoding="utf-8")
    monkeypatch.setattr(files, "SMALL", ALL)
    monkeypatch.setattr(files, "SMALL_SPLIT", split)
    monkeypatch.setenv("STANDIN", "never")
    where = tmp_path / "data"
    where.mkdir()
    monkeypatch.setenv("DATA_DIR", str(where))
    return where


def check(data, split="train", size=37):
    """Compare with what `picture` and `signs` say, by hand."""
    expected = SPLIT.get(split) or [
        n for n in ALL if n not in {*SPLIT["validation"], *SPLIT["test"]}
    ]
    assert data.numbers.tolist() == expected
    assert (data.images[:, 0, 0, 2] // 20).tolist() == expected
    labels = np.array([signs(n) for n in expected])
    np.testing.assert_array_equal(data.labels, (labels > 0).astype("float32"))
    assert data.labels.dtype == np.float32
    assert data.images.shape == (len(expected), size, size, 3)
    # The square of 148 x 148 around (89, 118): columns 15 to 163, rows 44 to 192.
    step = 148 / size
    centres = 15 + step * (np.arange(size) + 0.5) - 0.5
    np.testing.assert_allclose(data.images[0, size // 2, :, 0], centres, atol=1)
    np.testing.assert_allclose(data.images[0, :, size // 2, 1], centres + 29, atol=1)


LAYOUTS = {
    "folder": lambda where: folder(where / "celeba", lists()),
    "Kaggle": lambda where: folder(where / "celeba", lists(csv=True)),
    "Google Drive": lambda where: folder(where / "celeba", lists(), zipped=True, parts=True),
    "archive": lambda where: (where / "celeba.zip").write_bytes(packed("celeba/", 1, lists())),
    "files": lambda where: (
        (where / "img_align_celeba.zip").write_bytes(packed()),
        [
            (where / name).write_text(text, encoding="utf-8", newline="")
            for name, text in lists().items()
        ],
    ),
}


@pytest.mark.parametrize("part", ["small", "all"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_faces(data_dir, layout, part, capsys):
    LAYOUTS[layout](data_dir)
    for split in files.SPLITS:
        check(faces.celeba(37, 2, split=split, part=part), split)
    told = capsys.readouterr().out
    assert f"CelebA, 7 faces ({part}, train)" in told
    assert "must not be passed on" in told


def test_the_small_archive_is_half_as_large_and_the_published_one_goes_before_it(data_dir):
    small = packed("celeba/", 2, lists())
    (data_dir / "celeba_small.zip").write_bytes(small)
    halved = faces.celeba(37, 2)
    check(halved)
    folder(data_dir / "celeba", lists())
    whole = faces.celeba(37, 2)
    check(whole)
    assert not np.array_equal(halved.images, whole.images)
    assert halved.identity() == whole.identity()  # so that a record opens for both


def test_an_archive_is_decoded_once_and_once_more_where_it_was_replaced(data_dir, monkeypatch):
    decoded = []
    load = files.photographs.load
    monkeypatch.setattr(
        files.photographs, "load", lambda *a, **k: decoded.append(a[0].name) or load(*a, **k)
    )
    archive = data_dir / "celeba_small.zip"
    archive.write_bytes(packed("celeba/", 2, lists()))
    first, again = (faces.celeba(37, 2, seed=seed) for seed in (0, 1))
    assert decoded == ["celeba_small.zip"]
    np.testing.assert_array_equal(first.images, again.images)
    assert not again.images.flags.writeable  # so nobody changes those of the other
    archive.write_bytes(packed("celeba/", 1, lists()))
    os.utime(archive, ns=(1, 1))
    assert not np.array_equal(faces.celeba(37, 2).images, first.images)
    folder(data_dir / "celeba", lists())
    decoded.clear()
    for _ in range(2):  # a folder's images may change, and nothing would tell
        faces.celeba(37, 2)
    assert decoded == ["celeba", "celeba"]


def test_what_counts_in_the_identity(data_dir):
    folder(data_dir / "celeba", lists())
    one = faces.celeba(37, 2).identity()
    others = {
        "size": faces.celeba(38, 2),
        "split": faces.celeba(37, 2, split="test"),
        "part": faces.celeba(37, 2, part="all"),
        "attributes": faces.celeba(37, 2, attributes=("Male", "Young")),
        "order": faces.celeba(37, 2, seed=1),
        "flip": faces.celeba(37, 2, flip=False),
        "labels": faces.celeba(37, 2, labels=True),
    }
    for what, other in others.items():
        assert other.identity() != one, what


def test_a_stand_in_counts_by_its_pixels(monkeypatch):
    monkeypatch.setenv("STANDIN", "always")
    one, other = faces.celeba(32, 4), faces.celeba(32, 4)
    assert one.identity() == other.identity()
    assert "values" in one.identity()["images"]


def test_attributes_are_taken_by_name(data_dir):
    folder(data_dir / "celeba", lists())
    data = faces.celeba(16, 2, attributes=("Young", "Bald"), labels=True)
    assert data.classes == ("Young", "Bald")
    bald = files.ATTRIBUTES.index("Bald")
    assert data.has("Bald").tolist() == [signs(n)[bald] == 1 for n in data.numbers]
    assert next(iter(data.from_step()))[1].shape == (2, 2)
    with pytest.raises(ValueError, match="attribute='Smile'"):
        faces.celeba(16, 2, attributes=("Smile",))
    with pytest.raises(ValueError, match="attribute='Male'"):
        data.has("Male")


DAMAGED = {
    "a face is missing": (lambda d: (d / "img_align_celeba/000004.jpg").unlink(), "000004.jpg"),
    "a label is missing": (
        lambda d: edit(d / "list_attr_celeba.txt", lambda lines: lines[:-2]),
        "1 of 7 faces or their labels",
    ),
    "another list": (
        lambda d: edit(d / "list_attr_celeba.txt", lambda lines: ["2", "Hat Hair", *lines[2:]]),
        "columns are not the published",
    ),
    "a short row": (
        lambda d: edit(d / "list_attr_celeba.txt", lambda x: [*x[:2], x[2][:-3], *x[3:]]),
        "not every row has 40",
    ),
    "no list": (lambda d: (d / "list_attr_celeba.txt").unlink(), "holds no list_attr_celeba.txt"),
}


def edit(path, change):
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(change([*lines, ""])), encoding="utf-8")


@pytest.mark.parametrize("what", DAMAGED)
def test_an_incomplete_folder_is_refused_in_a_sentence(data_dir, what, monkeypatch):
    monkeypatch.setenv("STANDIN", "auto")  # nothing stands in for what is there
    folder(data_dir / "celeba", lists())
    damage, message = DAMAGED[what]
    # The last row trains.
    files.SMALL_SPLIT.write_text(
        json.dumps({"validation": [3, 7, 11], "test": [5, 10]}), encoding="utf-8"
    )
    damage(data_dir / "celeba")
    with pytest.raises(ValueError, match=message):
        faces.celeba(16, 2)


def test_a_damaged_archive_is_named(data_dir):
    (data_dir / "celeba.zip").write_bytes(b"PK no archive")
    with pytest.raises(ValueError, match=r"celeba.zip cannot be opened"):
        faces.celeba(16, 2)


def test_faces_of_128_pixels_are_not_cut(data_dir):
    stored = packed("celeba128/", 1, lists())
    (data_dir / "celeba_test128.zip").write_bytes(stored)
    data = faces.celeba(37, 2, split="test", part="test128")
    assert data.numbers.tolist() == SPLIT["test"]
    assert data.images[0, 18, 0, 0] < 8  # the whole width
    assert data.images[0, 18, -1, 0] > 170


def test_without_their_archive_they_are_the_first_of_the_published_test_split(
    data_dir, monkeypatch
):
    """So that who has downloaded CelebA, and nothing else, can measure."""
    monkeypatch.setattr(files, "COUNTS", {"train": 2, "validation": 0, "test": 1})
    folder(data_dir / "celeba", lists())
    found = faces.celeba(37, 2, part="test128")
    assert found.numbers.tolist() == SPLIT["test"][:2]
    rest = files.load("test128", "test", 37)
    assert rest[1].tolist() == SPLIT["test"][2:]
    whole = faces.celeba(37, 2, part="all", split="test")
    np.testing.assert_array_equal(found.images, whole.images[:2])  # the same square
    np.testing.assert_array_equal(found.labels, whole.labels[:2])


def test_drawn_faces_do_not_stand_in_for_test_faces_alone(data_dir, monkeypatch, empty_cache):
    monkeypatch.setenv("STANDIN", "auto")
    monkeypatch.setattr(files, "DRIVE", "http://127.0.0.1:9/{}")  # nobody answers
    (data_dir / "celeba_small.zip").write_bytes(packed("celeba/", 2, lists()))
    assert not faces.celeba(16, 2).standin
    with pytest.raises(
        ValueError, match=r"holds celeba_small.zip.*: put celeba_test128.zip beside"
    ):
        faces.celeba(16, 2, part="test128")


@pytest.fixture
def drive(data_dir, tmp_path, monkeypatch, empty_cache):
    """Serve the published files on 127.0.0.1."""
    served = tmp_path / "served"
    served.mkdir()
    published = {"img_align_celeba.zip": packed()}
    published |= {name: text.encode() for name, text in lists().items()}
    numbers = {}
    for name, content in published.items():
        (served / name).write_bytes(content)
        numbers[name] = (name, hashlib.md5(content).hexdigest())
    monkeypatch.setattr(files, "PUBLISHED", numbers)
    with serving(served) as address:
        monkeypatch.setattr(files, "DRIVE", f"{address}/{{}}")
        yield served


def test_the_published_files_are_downloaded_and_checked(drive, capsys):
    check(faces.celeba(37, 2))


def test_a_page_of_google_drive_is_named_and_not_kept(drive, monkeypatch):
    (drive / "img_align_celeba.zip").write_bytes(b"<!DOCTYPE html><title>Quota exceeded</title>")
    with pytest.raises(FileNotFoundError, match=r"Google Drive sent a page.*by hand.*celeba"):
        faces.celeba(37, 2)
    monkeypatch.setenv("STANDIN", "auto")
    assert faces.celeba(37, 2).standin


def test_another_file_is_refused(drive):
    (drive / "list_attr_celeba.txt").write_text("other", encoding="utf-8")
    with pytest.raises(FileNotFoundError, match="MD5"):
        faces.celeba(37, 2)


def batches(data, start, n):
    return [x.numpy() for x, _ in data.from_step(start).take(n)]


def test_batches_are_mirrored_by_place_and_go_on_where_a_run_stopped(monkeypatch):
    monkeypatch.setenv("STANDIN", "always")
    data = faces.celeba(16, 8, seed=3, labels=True)
    plain = faces.celeba(16, 8, seed=3, labels=True, flip=False)
    whole = batches(data, 0, 60)
    straight = batches(plain, 0, 60)
    for x, y in zip(whole[40:], batches(data, 40, 20), strict=True):
        np.testing.assert_array_equal(x, y)
    mirrored = 0
    for x, y in zip(np.concatenate(whole), np.concatenate(straight), strict=True):
        is_mirrored = np.array_equal(x, y[:, ::-1]) and not np.array_equal(x, y)
        assert is_mirrored or np.array_equal(x, y)
        mirrored += is_mirrored
    assert abs(mirrored - 240) < 4 * np.sqrt(480 / 4)
    assert whole[0].dtype == np.float32
    assert -1 <= whole[0].min() < whole[0].max() <= 1


def test_labels_stay_with_their_faces(monkeypatch):
    monkeypatch.setenv("STANDIN", "always")
    data = faces.celeba(16, 8, labels=True, flip=False)
    known = {
        image.tobytes(): tuple(row) for image, row in zip(data.images, data.labels, strict=True)
    }
    for x, y in data.from_step().take(30):
        for image, row in zip(images.to_uint8(x.numpy()), y.numpy(), strict=True):
            assert known[image.tobytes()] == tuple(row)


def test_drawn_faces_show_their_labels(monkeypatch, capsys):
    monkeypatch.setenv("STANDIN", "always")
    data = faces.celeba(64, 4, split="test")
    assert data.name == "STAND-IN for CelebA"
    assert "must not be passed on" not in capsys.readouterr().out
    hair = np.stack([data.has(colour) for colour in drawn.HAIR])
    np.testing.assert_array_equal(hair.sum(axis=0), 1)
    for name in set(files.ATTRIBUTES) - set(drawn.DRAWN):
        assert not data.has(name).any()
    # Over the brow, the hair has its colour; a smile has white teeth; glasses are black.
    for colour, (shade, _) in drawn.HAIR.items():
        brow = data.images[data.has(colour)][:, 14:16, 30:34].mean(axis=(0, 1, 2))
        assert np.abs(brow - shade).max() < 25
    teeth = data.images[:, 38:48, 26:38].min(axis=3).max(axis=(1, 2)) > 230
    np.testing.assert_array_equal(teeth, data.has("Smiling"))
    twice = drawn.load("test", 64)
    np.testing.assert_array_equal(data.images, twice[0])
    assert not np.array_equal(drawn.load("train", 64)[0][:50], twice[0][:50])


def test_no_drawn_face_is_in_two_parts(monkeypatch):
    """Else a score of lessons 08 and 11 would compare faces with themselves."""
    monkeypatch.setenv("STANDIN", "always")
    parts = [faces.celeba(64, part=part).images for part in files.PARTS]
    parts.append(faces.celeba(64, split="test").images)
    every = [image.tobytes() for images in parts for image in images]
    assert len(set(every)) == len(every)


@real_only
def test_the_small_set_is_split_as_its_own_list_says():
    with zipfile.ZipFile(REAL / "celeba_small.zip") as archive:
        rows = archive.read("celeba/list_eval_partition.txt").decode().split()
    for code, split in enumerate(files.SPLITS):
        expected = [
            int(n[:6]) for n, c in zip(rows[::2], rows[1::2], strict=True) if c == str(code)
        ]
        assert files._numbers_of_small(split) == expected


# Judges


def test_balanced_accuracy_by_hand():
    labels = np.array([True] * 2 + [False] * 8)
    assert judges.balanced_accuracy(labels, np.zeros(10, bool)) == 0.5  # always no
    answers = np.array([True, False] + [False] * 6 + [True] * 2)
    assert judges.balanced_accuracy(labels, answers) == pytest.approx((1 / 2 + 6 / 8) / 2)


def by_pixels(batch, training):
    """A judge whose logit of attribute k is the red value of pixel k in the first row."""
    pixels = batch[:, 0, :40, 0]
    return [np.zeros((len(batch), 128)), pixels]


def test_what_was_changed_and_what_was_kept_by_hand():
    places = {name: files.ATTRIBUTES.index(name) for name in judges.JUDGED}

    def drawn_with(*rows):
        pictures = np.full((len(rows), 64, 64, 3), -1, "float32")
        for picture, names in zip(pictures, rows, strict=True):
            picture[0, [places[name] for name in names], 0] = 1
        return pictures

    before = drawn_with(["Black_Hair", "Male"], ["Black_Hair"], ["Blond_Hair", "Male"], [])
    after = drawn_with(["Blond_Hair", "Male"], ["Black_Hair", "Blond_Hair"], ["Blond_Hair"], [])
    wanted = {"Black_Hair": False, "Blond_Hair": True}
    result = judges.changed(by_pixels, before, after, wanted, kept=("Male", "Smiling"))
    assert result == {"untouched": 0.25, "turned": 0.5, "Male kept": 0.75, "Smiling kept": 1.0}


def test_rare_answers_weigh_as_much_as_frequent_ones():
    labels = np.zeros((100, 40), "float32")
    labels[:10, 0] = 1
    labels[:1, 1] = 1
    yes, no = training.weights_of(labels)
    assert yes[0] * 10 == pytest.approx(no[0] * 90)
    assert yes[1] == training.HEAVIEST  # not 50


@pytest.mark.parametrize("name", judges.NAMES)
def test_a_judge_is_whole_and_reliable(name):
    model = judges.judge(name)
    features, logits = evaluation.in_batches(model, np.zeros((2, 64, 64, 3), "float32"))
    assert (features.shape, logits.shape) == ((2, 128), (2, 40))
    values = judges.reliability(name)
    assert list(values) == list(judges.JUDGED)
    for attribute in "Eyeglasses", "Male", "Blond_Hair":
        assert values[attribute] >= 0.9


@pytest.mark.parametrize("name", judges.NAMES)
def test_a_judge_of_larger_faces_sees_them_at_64(name):
    small = np.random.default_rng(1).uniform(-1, 1, (2, 64, 64, 3)).astype("float32")
    large = small.repeat(2, 1).repeat(2, 2)
    expected = judges.judge(name).predict(small, verbose=0)
    for a, b in zip(judges.judge(name, 128).predict(large, verbose=0), expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_the_judges_are_two():
    assert judges.network("first").count_params() != judges.network("second").count_params()
    assert training.SEEDS["first"] != training.SEEDS["second"]
    with pytest.raises(ValueError, match="name='third'"):
        judges.judge("third")
    with pytest.raises(ValueError, match="size=96: judges see faces of 64 pixels"):
        judges.judge("first", 96)


def test_damaged_weights_are_refused(tmp_path, monkeypatch):
    copy = tmp_path / "judges"
    shutil.copytree(judges.FOLDER, copy)
    (copy / "first.npz").write_bytes(b"other")
    monkeypatch.setattr(judges, "FOLDER", copy)
    with pytest.raises(ValueError, match="damaged"):
        judges.judge("first")


@real_only
@pytest.mark.parametrize("name", judges.NAMES)
def test_what_is_said_of_a_judge_is_measured(name, monkeypatch):
    """On the 500 test faces, whose share of 6,500 is small, within what so few can tell."""
    monkeypatch.setenv("DATA_DIR", str(REAL))
    test = faces.celeba(64, split="test")
    answers = judges.found(judges.judge(name), test.images)
    for attribute, said in judges.reliability(name).items():
        value = judges.balanced_accuracy(test.has(attribute), answers[attribute])
        n = min(test.has(attribute).sum(), 500 - test.has(attribute).sum())
        assert abs(value - said) < 3 * np.sqrt(said * (1 - said) / n / 2) + 0.02, attribute


def test_sums_are_of_these_files():
    sources.check_sums(judges.FOLDER)


def test_faces_with_an_attribute_and_without(data_dir):
    folder(data_dir / "celeba", lists())
    data = faces.celeba(16, 2, attributes=("Young", "Bangs"))
    some, others = data.only("Bangs"), data.only("Bangs", has=False)
    assert some.has("Bangs").all()
    assert not others.has("Bangs").any()
    assert sorted([*some.numbers, *others.numbers]) == data.numbers.tolist()
    assert some.name == "CelebA, Bangs"
    assert others.name == "CelebA, not Bangs"
    assert some.identity() != others.identity()


# Faces of your own


def own(tmp_path, lines, names=("1.png", "b/2.png", "c/2.png")):
    """Write images of which each has its number as its blue, and a table."""
    for number, name in enumerate(names):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8, 3), (9, 9, 20 * number + 100), "uint8")
        Image.fromarray(pixels).save(tmp_path / "mine" / name)
    (tmp_path / "table.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    return faces.labelled(tmp_path / "mine", tmp_path / "table.csv", 4, 2, flip=False)


def test_own_faces_get_the_labels_of_their_line(tmp_path, capsys):
    lines = ["file, Hat, Beard", "c\\2.png, 1, 1", "1.png, -1, 1", "", "b/2.png,1,0", "9.png,0,0"]
    found = own(tmp_path, lines)
    assert found.classes == ("Hat", "Beard")
    pairs = zip(found.images, found.labels, strict=True)
    by_blue = {image[0, 0, 2]: label.tolist() for image, label in pairs}
    assert by_blue == {100: [0, 1], 120: [1, 0], 140: [1, 1]}
    assert "3 faces (Hat, Beard); lines of the table without an image: 1" in capsys.readouterr().out
    images_, labels = next(iter(found.from_step(0).take(1)))
    assert images_.shape == (2, 4, 4, 3)
    assert labels.shape == (2, 2)


def test_own_faces_are_known_by_pixels_and_labels(tmp_path):
    lines = ["file,Hat", "1.png,1", "b/2.png,1", "c/2.png,0"]
    one = own(tmp_path / "a", lines).identity()
    assert own(tmp_path / "a", lines).identity() == one
    assert own(tmp_path / "a", [*lines[:-1], "c/2.png,1"]).identity() != one
    assert own(tmp_path / "b", lines, ("b/2.png", "1.png", "c/2.png")).identity() != one


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["file"], "line 1: file. It must name the columns"),
        ([], "line 1: nothing. It must name the columns"),
        (["file,Hat,Hat"], "line 1: file, Hat, Hat. It must name"),
        (["file,Hat,"], "line 1: file, Hat, . It must name"),
        (["file;Hat", "1.png;1"], "line 1: file;Hat. It must name"),
        (["file,Hat", "1.png,yes"], "line 2: 1.png, yes. It must have .* 0 or 1 for each of Hat"),
        (["file,Hat", "1.png,1,0"], "line 2: 1.png, 1, 0. It must have"),
        (["file,Hat", "1.png,1", "1.png,0"], "line 3: 1.png, 0. It must have .* once in the table"),
        (["file,Hat", "1.png,1"], r"no line for 2 of 3 images, such as b/2.png"),
        (["file,Hat", "1.png,1", "2.png,1"], "several images named 2.png. .* write their folders"),
    ],
)
def test_a_wrong_table_is_refused_in_one_sentence(tmp_path, lines, said):
    with pytest.raises(ValueError, match=said):
        own(tmp_path, lines)


def test_a_table_that_is_no_text_or_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"table.csv cannot be read: No such file"):
        faces.labelled(tmp_path, tmp_path / "table.csv", 4)
    (tmp_path / "table.csv").write_bytes("file,모자".encode("cp949"))
    with pytest.raises(ValueError, match=r"table.csv is no text in UTF-8"):
        faces.labelled(tmp_path, tmp_path / "table.csv", 4)
