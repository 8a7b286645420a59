"""Sheets for a blind look at lesson 08, made once, with a fixed seed: what was changed?

    python -m benchmarks.blind_changes FOLDER

Writes 24 test faces, each beside one translation, as numbered pairs on two sheets, with their key
beside them. Somebody who has not seen the page says of each number which of the five attributes
was changed.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL import Image

from tools import pages
from utils import images
from utils.evaluation import in_batches

PAIRS = 24
PLACES = range(1000, 1400)  # of the test faces that are taken; the page shows others
COLUMNS = 3
SCALE = 3  # of a face of 64 pixels
SEED = 8


def write(folder: Path) -> None:
    """Write the sheets and their key; the page opens its record and trains nothing."""
    page = pages.Page("08_stargan").execute({}, until=("history = trainer.fit(",), show=())
    attributes, test = page["ATTRIBUTES"], page["test"]
    free, tiles, key = [*PLACES], [], []
    for i in np.random.default_rng(SEED).permutation(np.arange(PAIRS) % len(attributes)):
        is_hair = attributes[i] in page["HAIR"]
        place = next(n for n in free if not (is_hair and test.labels[n, i]))
        free.remove(place)
        face, label = test.images[place : place + 1], test.labels[place : place + 1]
        wanted = page["target"](label, attributes[i])
        made = images.to_uint8(in_batches(page["averaged"], page["scaled"](face), wanted))
        tiles.append(_pair(face[0], made[0], str(len(key) + 1)))
        key.append(attributes[i])
    folder.mkdir(parents=True, exist_ok=True)
    half = PAIRS // 2
    for sheet in range(2):
        picture = images.grid(np.stack(tiles[sheet * half :][:half]), columns=COLUMNS)
        iio.imwrite(folder / f"sheet-{sheet + 1}.png", picture)
    (folder / "key.json").write_text(json.dumps(key), encoding="utf-8")


def _pair(face: np.ndarray, made: np.ndarray, caption: str) -> np.ndarray:
    pair = Image.fromarray(np.concatenate([face, made], axis=1))
    large = pair.resize((SCALE * pair.width, SCALE * pair.height), Image.Resampling.BICUBIC)
    return images.frame(np.asarray(large), caption=caption)


if __name__ == "__main__":
    os.environ |= {"PRESET": "long", "STANDIN": "never"}
    write(Path(sys.argv[1]))
