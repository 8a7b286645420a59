"""What scores look like: digits of the records of lessons 01 and 02, at several scores.

    python -m benchmarks.scores_seen

The digits are the first eight of the frames that the records keep, so nothing is drawn anew, and
nothing is chosen but the rounds. The last row holds the first eight test digits of MNIST. Makes
outputs/gallery/scores.png.
"""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import numpy as np

from utils import datasets, images, record
from utils.options import ROOT

PATH = ROOT / "outputs" / "gallery" / "scores.png"
SHOWN = (("01_gan", 3), ("01_gan", 6), ("01_gan", 18), ("02_dcgan", 4), ("02_dcgan", 28))
CELL = 30  # pixels from one digit of a frame to the next


def row_of(lesson: str, number: int) -> tuple[str, np.ndarray]:
    """Return the score after a round of a record, as a text, and the first row of its frame."""
    kept = record.load_state(record.record_folder(lesson))
    rows = json.loads(str(kept["history"]))
    (score,) = (row["score"] for row in rows if row["round"] == number)
    return f"{score:.0f} ×  (lesson {lesson[:2]})", kept[f"frame/{number:05d}"][: CELL - 2]


def main() -> None:
    """Draw the rows, each with its score."""
    rows = [row_of(*which) for which in SHOWN]
    real = datasets.mnist(split="test").images[:8]
    rows.append(("real digits", images.grid(real, columns=8)[: CELL - 2]))
    figure, all_axes = plt.subplots(len(rows), figsize=(7.2, 4.1), layout="constrained")
    for axes, (name, picture) in zip(all_axes, rows, strict=True):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(name, rotation=0, horizontalalignment="right", verticalalignment="center")
    figure.savefig(PATH, dpi=100)


if __name__ == "__main__":
    main()
