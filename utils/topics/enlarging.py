"""Photographs of any size through a network that enlarges, and how fine their patterns are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from utils import evaluation, images
from utils.options import at_least

SCALE = 4


def part(image: np.ndarray, height: int, width: int, top: int, left: int) -> np.ndarray:
    """Take a part of an image, as near to a place as the image is large.

    Args:
        image: (rows, columns, channels).
        height, width: of the part, less where the image is smaller: then a multiple of 4.
        top, left: where it begins, where there is room.
    """
    rows, columns = (n // SCALE * SCALE for n in image.shape[:2])
    height = min(height, rows)
    width = min(width, columns)
    top = max(0, min(top, image.shape[0] - height))
    left = max(0, min(left, image.shape[1] - width))
    return image[top : top + height, left : left + width]


def enlarge(network: Callable, small: np.ndarray, tile: int = 112, margin: int = 48) -> np.ndarray:
    """Enlarge an image of any size, in tiles that overlap.

    Where the margin is no less than what one pixel depends on, the tiles give what the whole
    image would. At the image's own border a tile has none, so zeros are padded there alike.

    Args:
        network: (1, h, w, 3) in [0, 1] -> (1, 4 h, 4 w, 3) in [-1, 1].
        small: (height, width, 1 or 3), as `images.to_uint8` takes them.
        tile: height and width of a tile, without its margin.
        margin: pixels around a tile that the network sees, too.

    Returns:
        uint8, (4 height, 4 width, 3).

    Raises:
        ValueError: the values are no grey levels, or the shape is none of an image.
    """
    at_least(1, tile=tile)
    at_least(0, margin=margin)
    if np.ndim(small) != 3 or np.shape(small)[2] not in (1, 3):
        raise ValueError(
            f"An array of shape {np.shape(small)} is no image: take (height, width, 1 or 3); "
            "photographs.originals reads files so."
        )
    small = images.to_uint8(small, clip=False)
    height, width = small.shape[:2]
    inputs = np.broadcast_to(small, (height, width, 3)).astype("float32") / 255
    large = np.empty((SCALE * height, SCALE * width, 3), "uint8")
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom = min(top + tile, height)
            right = min(left + tile, width)
            # What the network sees: the tile with its margin, as far as the image goes.
            first_row = max(0, top - margin)
            first_column = max(0, left - margin)
            seen = inputs[first_row : bottom + margin, first_column : right + margin]
            made = images.to_uint8(evaluation.in_batches(network, seen[None])[0])
            wanted = (SCALE * seen.shape[0], SCALE * seen.shape[1], 3)
            if made.shape != wanted:
                raise ValueError(
                    f"The network makes {made.shape} of {seen.shape}, not {wanted}: it must "
                    "enlarge four times, to three channels."
                )
            # What is kept of it: the tile.
            rows = _enlarged(top - first_row, bottom - first_row)
            columns = _enlarged(left - first_column, right - first_column)
            large[_enlarged(top, bottom), _enlarged(left, right)] = made[rows, columns]
    return large


def _enlarged(start: int, end: int) -> slice:
    return slice(SCALE * start, SCALE * end)


def spectrum(photos: Iterable[np.ndarray], rings: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Return how strong patterns of each width are: the power spectrum over all directions.

    Args:
        photos: uint8, (height, width, 1 or 3), of any sizes; channels are averaged.
        rings: widths that are told apart.

    Returns:
        Frequencies in cycles a pixel, the upper ends of rings up to 0.5, and the mean power in
        each ring, in squared grey levels, so that white noise of deviation s has s^2 everywhere.
    """
    edges = np.linspace(0, 0.5, rings + 1)
    found = []
    for photo in photos:
        grey = photo.mean(axis=-1)
        power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2 / grey.size
        radius = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, grey.shape), indexing="ij"))
        ring = np.digitize(radius, edges)
        found.append([power[ring == i].mean() for i in range(1, rings + 1)])
    return edges[1:], np.mean(found, axis=0)


def grid(photos: Iterable[np.ndarray]) -> float:
    """Measure how much of the finest patterns repeats every four pixels: a grid, a fault.

    What each pixel differs by from the mean of its four neighbours is averaged over all squares
    of 4 x 4 pixels. The deviation of these sixteen means, as a part of the deviation over all
    pixels, is 1 for a perfect grid. Without one it is near 0, but not 0: about 4 / sqrt(pixels),
    and more where real edges happen to lie so.

    Args:
        photos: uint8, (height, width, 1 or 3), of any sizes from 12 x 12; channels are averaged.

    Returns:
        The mean over the photographs, 0 to 1.
    """
    found = []
    for photo in photos:
        grey = photo.mean(axis=-1)
        around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
        fine = grey[1:-1, 1:-1] - around / 4
        rows, columns = (n // SCALE for n in fine.shape)
        squares = fine[: SCALE * rows, : SCALE * columns].reshape(rows, SCALE, columns, SCALE)
        found.append(squares.mean(axis=(0, 2)).std() / max(fine.std(), 1e-12))
    return float(np.mean(found))
