"""Faces of your own, and a table of what they have."""

from __future__ import annotations

import csv
from pathlib import Path, PurePosixPath

import numpy as np

from utils import photographs
from utils.options import expanded
from utils.topics.faces.data import OWN, FaceData

VALUES = {"0": 0.0, "1": 1.0, "-1": 0.0}  # -1 as in CelebA's list

Table = tuple[tuple[str, ...], dict[str, list[float]]]


def labelled(
    source: str | Path,
    table: str | Path,
    image_size: int,
    batch_size: int = 16,
    seed: int = 0,
    flip: bool = True,
) -> FaceData:
    """Load images of your own with attributes of your own; a batch is (images, labels).

    Args:
        source: a folder or an archive of images, square and with the faces at the same place.
        table: a CSV file. Its first line names the columns: the file, then the attributes. The
            others hold the name of an image, and 1 where it has the attribute, else 0 (or -1).
        image_size: height and width; images are resized to it.
        batch_size: images a batch.
        seed: decides order and flips.
        flip: mirror half of the images of a batch.

    Raises:
        ValueError: the table is wrong, an image is not in it, or no image can be used.
        OSError: an image cannot be read, or the temporary folder is full.
    """
    source, table = expanded(source).resolve(), expanded(table).resolve()
    attributes, rows = read_table(table)
    images = photographs.load(source, image_size)
    places = [name if name in rows else PurePosixPath(name).name for name in images.names]
    missing = [name for name, place in zip(images.names, places, strict=True) if place not in rows]
    if missing:
        raise ValueError(
            f"{table} has no line for {len(missing):,} of {len(places):,} images, such as "
            f"{missing[0]}. Add them, or take the images out of {source}."
        )
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise ValueError(
            f"{source} has several images named {twice}. In {table}, write their folders, too."
        )
    unused = len(rows) - len(places)
    without = f"; lines of the table without an image: {unused:,}" if unused else ""
    print(f"Data: {source.stem}, {len(images):,} faces ({', '.join(attributes)}){without}")
    return FaceData(
        name=source.stem,
        standin=False,
        batch_size=batch_size,
        seed=seed,
        images=images,
        numbers=np.arange(len(images)),
        labels=np.array([rows[place] for place in places], "float32"),
        classes=attributes,
        part=OWN,
        flip=flip,
        with_labels=True,
    )


def read_table(path: Path) -> Table:
    """Return the attributes of a table, and its values by the name of the image.

    Raises:
        ValueError: it is no such table; the line is named.
    """
    try:
        lines = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8. Save the table as a CSV file.") from None
    except OSError as error:
        why = f"{path} cannot be read: {error.strerror}. Give the path of your table."
        raise ValueError(why) from None
    head, *others = [[cell.strip() for cell in line] for line in lines] or [[]]
    attributes = tuple(head[1:])
    if not all(attributes) or len({*attributes}) < max(1, len(attributes)):
        raise ValueError(
            f"{path}, line 1: {', '.join(head) or 'nothing'}. It must name the columns: the file, "
            "then the attributes, each once, with commas between them."
        )
    rows = {}
    for number, line in enumerate(others, start=2):
        if not any(line):
            continue
        name, *values = line
        name = name.replace("\\", "/")
        if len(values) != len(attributes) or not {*values} <= VALUES.keys() or name in rows:
            raise ValueError(
                f"{path}, line {number}: {', '.join(line)}. It must have the name of an image, "
                f"once in the table, and 0 or 1 for each of {', '.join(attributes)}."
            )
        rows[name] = [VALUES[value] for value in values]
    return attributes, rows
