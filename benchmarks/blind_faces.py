"""Sheets for a blind look at generated faces, made once, with a fixed seed.

    python -m benchmarks.blind_faces 11_faces ROUND FOLDER
    python -m benchmarks.blind_faces 10_pggan SIZE FOLDER
    python -m benchmarks.blind_faces count FOLDER ANSWERS

Mixes the 64 samples of a lesson's page, 32 real test faces and 16 earlier samples, all at fixed z
or places and at the same size, and writes them as numbered sheets, with their key beside them. The
earlier ones are of a round whose snapshot the record keeps, or of the stage of a size. Somebody who
has not seen the page says of each number whether it passes, that is, is taken at first sight for a
photograph of a face. ANSWERS is a file with the numbers that pass. Then `count` says how many of
each kind did.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
from PIL import Image

from tools import pages
from utils import images, record
from utils.evaluation import in_batches

KINDS = {"samples": 64, "real": 32, "early": 16}
COLUMNS, ROWS = 7, 4
SCALE = 2  # of a face of 64 pixels
SEED = 11


def faces(lesson: str, early: int) -> dict[str, np.ndarray]:
    """Return uint8 faces by kind; the page opens its record and trains nothing."""
    names, samples, before = (_grown if lesson == "10_pggan" else _best)(lesson, early)
    real = names["test"].images[1000 : 1000 + KINDS["real"]]
    return {"samples": images.to_uint8(samples), "real": real, "early": images.to_uint8(before)}


def _grown(lesson: str, size: int) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Return the page's names, its samples, and samples of an earlier stage."""
    names = pages.Page(lesson).execute({}, until=("samples = stages[-1].drawn(shown_z",), show=())
    stages = {stage.size: stage for stage in names["stages"]}
    if size not in stages:
        raise ValueError(f"No stage has the size {size}. Take one of {list(stages)}.")
    return names, names["samples"], stages[size].drawn(names["shown_z"][: KINDS["early"]])


def _best(lesson: str, early: int) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Return the page's names, its samples, and samples of an early round."""
    names = pages.Page(lesson).execute({}, until=("samples = best(z",), show=())
    z = names["z"]
    network = names["best"]
    samples = in_batches(network, z)
    file = record.record_folder(lesson) / f"snapshot-{early:05d}.npz"
    with np.load(file, allow_pickle=False) as kept:
        keys = sorted(key for key in kept.files if key.startswith("averaged_generator"))
        network.set_weights([kept[key].astype("float32") for key in keys])
    return names, samples, in_batches(network, z[: KINDS["early"]])


def write(lesson: str, early: int, folder: Path) -> None:
    """Write the sheets and their key."""
    found = faces(lesson, early)
    key = [(kind, i) for kind, n in KINDS.items() for i in range(n)]
    key = [key[i] for i in np.random.default_rng(SEED).permutation(len(key))]
    folder.mkdir(parents=True, exist_ok=True)
    each = COLUMNS * ROWS
    for sheet in range(len(key) // each):
        tiles = []
        for number, (kind, i) in enumerate(key[sheet * each :][:each], start=sheet * each):
            face = Image.fromarray(found[kind][i])
            large = face.resize((SCALE * face.width, SCALE * face.height), Image.Resampling.BICUBIC)
            tiles.append(images.frame(np.asarray(large), caption=str(number)))
        picture = images.grid(np.stack(tiles), columns=COLUMNS)
        iio.imwrite(folder / f"sheet-{sheet + 1}.png", picture)
    (folder / "key.json").write_text(json.dumps(key), encoding="utf-8")


def count(folder: Path, answers: Path) -> None:
    """Print how many of each kind passed."""
    key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
    passed = {int(word) for word in answers.read_text(encoding="utf-8").replace(",", " ").split()}
    for kind, n in KINDS.items():
        hits = sum(key[number][0] == kind for number in passed)
        print(f"{kind}: {hits} of {n}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "long", "STANDIN": "never"}
    if sys.argv[1] == "count":
        count(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        write(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
