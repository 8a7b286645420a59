"""Where CelebA lies (Liu et al. 2015), and what its lists say."""

from __future__ import annotations

import functools
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from utils import photographs, sources

NAMES = """
5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair
Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair
Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face
Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair
Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
ATTRIBUTES = tuple(NAMES.split())
SPLITS = ("train", "validation", "test")  # 0, 1 and 2 in list_eval_partition.txt
PARTS = ("small", "all", "test128")
TEST128 = "celeba_test128.zip"  # cut to the square, 128 x 128, with a split of its own
COUNTS = {"train": 5393, "validation": 305, "test": 302}  # of that split
SMALL = range(1, 10_001)  # published numbers of the part "small"
# Its split is ours: in the published one, all of these train. No person is in two parts.
SMALL_SPLIT = Path(__file__).with_name("split.json")
# The square of 148 x 148 around (89, 118) of the published 178 x 218: face and hair.
SQUARE = (15 / 178, 44 / 218, 163 / 178, 192 / 218)
WHOLE = (0.0, 0.0, 1.0, 1.0)
FOLDER = "img_align_celeba"  # in which the images lie, in every packing
ZIP = "img_align_celeba.zip"
ROWS = "list_attr_celeba"
PARTITION = "list_eval_partition"
DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id={}"
PUBLISHED = {  # number on Google Drive, MD5
    ZIP: ("0B7EVK8r0v71pZjFTYXZWM3FlRnM", "00d2c5bc6d35e252742224ab0c1e8fcb"),
    f"{ROWS}.txt": ("0B7EVK8r0v71pblRyaVFSWGxPY0U", "75e246fa4810816ffd6ee81facbd244c"),
    f"{PARTITION}.txt": ("0B7EVK8r0v71pY0NSMzRuSXJEVkk", "d32c9cbf5e040fd4025c592c306e6668"),
}
TERMS = (
    "CelebA is for non-commercial research and education and must not be passed on. "
    "What is trained on it carries these terms."
)
REMEDY = (
    "Or get CelebA by hand (mmlab.ie.cuhk.edu.hk/projects/CelebA.html, or from Kaggle: "
    "jessicali9530/celeba-dataset), put its images and lists into a folder named celeba, and "
    "set DATA_DIR to the folder that holds it."
)
Faces = tuple[np.ndarray, np.ndarray, np.ndarray]  # images, published numbers, labels (n, 40)


def load(part: str, split: str, image_size: int) -> Faces:
    """Load faces and their labels, in the order of their published numbers.

    Args:
        part: one of PARTS; see `data.celeba`.
        split: one of SPLITS.
        image_size: height and width, to which the square is resized.

    Returns:
        Images, uint8 (n, image_size, image_size, 3); numbers, int64 (n,); labels, float32
        (n, 40), 0 or 1, in the order of ATTRIBUTES.

    Raises:
        UnavailableError: CelebA is not in DATA_DIR and cannot be downloaded.
        ValueError: faces are missing, or a list is another one than published.
    """
    source, read = _located(part)
    rows = _rows(read(ROWS), f"{source}, {ROWS}", ATTRIBUTES)
    if part == "small":
        numbers = _numbers_of_small(split)
    else:
        is_whole = part == "test128" and source.name != TEST128
        codes = _rows(read(PARTITION), f"{source}, {PARTITION}", ("partition",))
        wanted_code = SPLITS.index("test" if is_whole else split)
        numbers = [n for n, (code,) in codes.items() if code == wanted_code]
        numbers = numbers[_places(split)] if is_whole else numbers
    square = WHOLE if source.name == TEST128 else SQUARE
    wanted = frozenset(f"{n:06d}.jpg" for n in numbers)
    decode = _decoded if source.is_file() else _decoded.__wrapped__
    images = decode(source, source.stat().st_mtime_ns, image_size, square, wanted)
    there = [int(PurePosixPath(name).stem) for name in images.names]
    missing = sorted(set(numbers) - (set(there) & rows.keys()))
    if missing:
        raise ValueError(
            f"{source}: {len(missing):,} of {len(numbers):,} faces or their labels are missing, "
            f"such as {missing[0]:06d}.jpg. Complete it, or take it out of DATA_DIR."
        )
    labels = np.array([rows[n] for n in there]) > 0
    return images, np.array(there, "int64"), labels.astype("float32")


@functools.lru_cache(maxsize=4)  # a cell that is run again, and solutions, need not wait again
def _decoded(
    source: Path, changed: int, image_size: int, square: tuple[float, ...], wanted: frozenset[str]
) -> photographs.Decoded:
    """Decode faces of an archive once in a process, and once more where it has `changed`."""
    return photographs.load(source, image_size, [FOLDER], part=square, only=wanted)


def _check_that_there_are_test_faces() -> None:
    """Refuse that drawn faces stand in for test faces only: real ones would be compared with them.

    Raises:
        ValueError: CelebA cannot be downloaded.
    """
    try:
        _published(ZIP)
    except sources.UnavailableError as error:
        raise ValueError(
            f"DATA_DIR holds celeba_small.zip, to learn from, but no test faces: put {TEST128} "
            f"beside it, or the whole of CelebA in its place. {error}"
        ) from error


def _places(split: str) -> slice:
    """Return which faces of the published test split stand for a split of TEST128."""
    before = sum(COUNTS[name] for name in SPLITS[: SPLITS.index(split)])
    return slice(before, before + COUNTS[split])


def _located(part: str) -> tuple[Path, Callable[[str], str]]:
    """Return where the images are, and a function that reads a published list by its name."""
    archive = sources.in_data_dir(TEST128) if part == "test128" else None
    if archive is not None:
        return archive, lambda name: _listed(archive, name)
    whole = sources.in_data_dir("celeba") or sources.in_data_dir("celeba.zip")
    if whole is None and part == "small" and not sources.in_data_dir(ZIP):
        whole = sources.in_data_dir("celeba_small.zip")
    if whole is None:
        if part == "test128" and sources.in_data_dir("celeba_small.zip"):
            _check_that_there_are_test_faces()
        return _published(ZIP), lambda name: _published(f"{name}.txt").read_text(encoding="utf-8")
    return next(whole.rglob(ZIP), whole), lambda name: _listed(whole, name)


def _published(name: str) -> Path:
    """Return a file as it was published, from DATA_DIR, Keras' cache or Google Drive."""
    number, md5 = PUBLISHED[name]
    is_right = sources.has_hash(md5)

    def check(path: Path) -> None:
        with path.open("rb") as file:
            begin = file.read(15).lower()
        if begin.startswith((b"<!doctype html", b"<html")):
            raise ValueError(
                "Google Drive sent a page in place of the file, as it does when too many have "
                "fetched it on one day; tomorrow it may work"
            )
        is_right(path)

    try:
        return sources.download(name, [DRIVE.format(number)], check)
    except sources.UnavailableError as error:
        raise sources.UnavailableError(f"{error}. {REMEDY}") from error


def _listed(source: Path, name: str) -> str:
    """Read a list from a folder, however deep it lies, or a zip archive, as .txt or .csv."""
    wanted = (f"{name}.txt", f"{name}.csv")
    if source.is_dir():
        for path in source.rglob(f"{name}.*"):
            if path.name in wanted:
                return path.read_text(encoding="utf-8")
    else:
        try:
            with zipfile.ZipFile(source) as archive:
                for entry in archive.namelist():
                    if PurePosixPath(entry).name in wanted:
                        return archive.read(entry).decode()
        except zipfile.BadZipFile as error:
            raise ValueError(f"{source} cannot be opened: {error}. Replace it.") from error
    raise ValueError(f"{source} holds no {name}.txt. Put the published list beside the images.")


def _rows(text: str, where: str, names: tuple[str, ...]) -> dict[int, list[int]]:
    """Return the rows of a list by the number of the image: 1 for 000001.jpg.

    Args:
        text: a list as published, or with commas and a first line of names.
        where: what a message calls it.
        names: of its columns; the published partition has no line of names.

    Raises:
        ValueError: it holds other columns.
    """
    rows = {}
    for line in text.splitlines():
        first, *cells = re.split(r"[,\s]+", line.strip())
        if first.endswith(".jpg"):
            rows[int(PurePosixPath(first).stem)] = [int(cell) for cell in cells]
        elif cells and tuple([first, *cells][-len(names) :]) != names:
            raise ValueError(f"{where}: its columns are not the published ones.")
    if not rows or {len(row) for row in rows.values()} != {len(names)}:
        raise ValueError(f"{where}: not every row has {len(names)} numbers, as published.")
    return rows


def _numbers_of_small(split: str) -> list[int]:
    held_out = json.loads(SMALL_SPLIT.read_text(encoding="utf-8"))
    if split == "train":
        return sorted(set(SMALL) - {n for numbers in held_out.values() for n in numbers})
    return held_out[split]
