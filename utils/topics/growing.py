"""Images and networks of growing size, and how to measure such images: lesson 10.

sizes         of the stages, checked
resized       images of another size
in_groups     neighbours in a batch, for the minibatch deviation
copy_weights  from a network to a larger one
joined        the histories of stages
enlarged      frames, to see single pixels
swd           sliced Wasserstein distance, by level of a Laplacian pyramid
ms_ssim       structural similarity of pairs, which is high where all images look alike
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import imageio.v3 as iio
import keras
import numpy as np
import tensorflow as tf
from scipy import ndimage

from utils import device, panel
from utils.images import to_uint8

SMALLEST = 16  # pixels of the last level of a pyramid
PATCH = 7  # pixels of a side
PATCHES = 128  # of each image and level
DIRECTIONS = 512
AT_ONCE = 32  # directions that are sorted together: more need more memory
KERNEL = np.array([1.0, 4.0, 6.0, 4.0, 1.0], "float32") / 16  # Burt and Adelson 1983
# Of the scales of MS-SSIM, from fine to coarse (Wang, Simoncelli and Bovik 2003).
POWERS = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333
WINDOW = 11  # pixels of the window in which SSIM compares

# Stages


def sizes(rounds: dict[int, int], channels: dict[int, int]) -> tuple[int, ...]:
    """Return the sizes of the stages, each twice the one before.

    Args:
        rounds: of each stage, by the size of its images.
        channels: of the maps of each size, from 4 to the last.

    Raises:
        ValueError: another size comes next, the last one is too small to be measured, or one has
            no channels.
    """
    found = tuple(rounds)
    powers = {4 * 2**i for i in range(10)}
    if not found or found[0] not in powers or any(b != 2 * a for a, b in pairwise(found)):
        raise ValueError(
            f"ROUNDS has the sizes {found}: take 4, 8, 16, ... from any of them on, each twice the "
            "one before."
        )
    if found[-1] < SMALLEST:
        raise ValueError(f"ROUNDS ends at {found[-1]}: go on to {SMALLEST} at least, to measure.")
    if lacking := sorted(size for size in powers if size <= found[-1] and size not in channels):
        raise ValueError(f"CHANNELS lacks the sizes {lacking}: say how many channels they have.")
    return found


def resized(images: tf.Tensor, size: int) -> tf.Tensor:
    """Make images smaller by averaging squares of pixels, or larger by repeating pixels.

    Args:
        images: float (n, height, height, channels); size and height divide one another.
        size: height and width of the result.
    """
    height = images.shape[1]
    if max(size, height) % min(size, height) or images.shape[2] != height:
        raise ValueError(
            f"Images of {height} x {images.shape[2]} pixels cannot become {size} x {size}: they "
            "must be square, and one size a multiple of the other."
        )
    if height >= size:
        side = height // size
        return tf.nn.avg_pool2d(images, side, side, "VALID") if side > 1 else images
    rows = tf.repeat(images, size // height, axis=1)
    return tf.repeat(rows, size // height, axis=2)


def in_groups(x: tf.Tensor, size: int) -> tf.Tensor:
    """Cut a batch into groups of neighbours: (n, ...) -> (n / size, size, ...).

    Raises:
        ValueError: the batch, or the part of it that a device gets, is no multiple of the size.
    """
    n = x.shape[0]
    if n is not None and n % size:
        raise ValueError(
            f"A batch of {n} images on a device cannot be cut into groups of {size}: take a "
            f"BATCH_SIZE that is {size} times the number of devices, or a multiple of it."
        )
    return tf.reshape(x, (-1, size, *x.shape[1:]))


def copy_weights(old: keras.Model, new: keras.Model) -> None:
    """Give a network the weights of all layers of another that it has, too, by their names.

    Raises:
        ValueError: a layer has other weights in the new network.
    """
    names = {layer.name for layer in new.layers if layer.weights}
    for layer in old.layers:
        if layer.name in names:
            to = new.get_layer(layer.name)
            shapes = [[tuple(v.shape) for v in x.variables] for x in (layer, to)]
            if shapes[0] != shapes[1]:
                raise ValueError(
                    f"{layer.name} has weights of {shapes[0]} in the old network and of "
                    f"{shapes[1]} in the new one."
                )
            for before, after in zip(layer.variables, to.variables, strict=True):
                after.assign(device.host(before))


def joined(histories: Sequence[panel.History]) -> panel.History:
    """Return the histories of stages as one, whose steps and seconds go on."""
    rows: panel.History = []
    for history in histories:
        last = rows[-1] if rows else {"step": 0, "seconds": 0.0}
        counted = ({k: row[k] + last[k] for k in ("step", "seconds")} for row in history)
        rows += [row | sums for row, sums in zip(history, counted, strict=True)]
    return rows


def enlarged(frames: Sequence[Path], width: int = 520) -> list[np.ndarray]:
    """Return frames in which each pixel is drawn as a square, as large as the width allows.

    Args:
        frames: image files, all equally wide.
        width: of the result, at most, in pixels; wider frames stay as they are.
    """
    pictures = [iio.imread(frame) for frame in frames]
    factors = [max(1, width // picture.shape[1]) for picture in pictures]
    return [x.repeat(k, axis=0).repeat(k, axis=1) for x, k in zip(pictures, factors, strict=True)]


# Measures


def swd(a: np.ndarray, b: np.ndarray, seed: int = 0) -> dict[int, float]:
    """Compute the sliced Wasserstein distance of two sets of images, times 1,000.

    Karras et al. 2018, section 5. Each image becomes a Laplacian pyramid: its finest level holds
    what is lost when the image is made half as large, and so on; the last level, of 16 x 16, is
    the small image itself. From each level come patches of 7 x 7 pixels, whose channels get mean
    0 and deviation 1 over the set. A distance is the mean over random directions of the
    Wasserstein-1 distance between what both sets have in this direction.

    Args:
        a, b: (n, size, size, channels), as many of each, floats in [-1, 1] or uint8; the size is
            16 times a power of two.
        seed: of patches and directions, the same for both sets.

    Returns:
        {size of the level: distance}, from the finest level on. It has no unit, and two sets of
        real images do not get 0: say their distance beside it.

    Raises:
        ValueError: the sets differ in shape, or the size is another.
    """
    if np.shape(a) != np.shape(b) or np.ndim(a) != 4:
        raise ValueError(
            f"swd compares sets of one shape, (n, size, size, channels), not {np.shape(a)} and "
            f"{np.shape(b)}."
        )
    size = np.shape(a)[1]
    factor, rest = divmod(size, SMALLEST)
    if np.shape(a)[2] != size or rest or not factor or factor & (factor - 1):
        raise ValueError(
            f"swd takes square images of 16, 32, 64, ... pixels, not {np.shape(a)[1:3]}."
        )
    levels = zip(pyramid(a), pyramid(b), strict=True)
    return {x.shape[1]: 1000 * _distance(x, y, seed) for x, y in levels}


def pyramid(images: np.ndarray) -> Iterator[np.ndarray]:
    """Make the levels of a Laplacian pyramid, from the finest to 16 x 16 (Burt, Adelson 1983).

    Args:
        images: (n, size, size, channels), floats in [-1, 1] or uint8.

    Yields:
        float32 (n, size of the level, size of the level, channels), in grey levels.
    """
    images = to_uint8(images).astype("float32")
    while images.shape[1] > SMALLEST:
        smaller = _blurred(images)[:, ::2, ::2]
        yield images - _enlarged(smaller)
        images = smaller
    yield images


def _blurred(images: np.ndarray) -> np.ndarray:
    for axis in 1, 2:
        images = ndimage.correlate1d(images, KERNEL, axis=axis, mode="mirror")
    return images


def _enlarged(images: np.ndarray) -> np.ndarray:
    n, height, width, channels = images.shape
    spread = np.zeros((n, 2 * height, 2 * width, channels), "float32")
    spread[:, ::2, ::2] = 4 * images  # three of four pixels are new
    return _blurred(spread)


def patches(level: np.ndarray, seed: int) -> np.ndarray:
    """Cut patches at random places, and give each channel mean 0 and deviation 1.

    Returns:
        float32 (128 n, 7 * 7 * channels).
    """
    n, size, _, channels = level.shape
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, size - PATCH + 1, (2, n, PATCHES, 1, 1))
    steps = np.arange(PATCH)
    rows = corners[0] + steps[:, None]
    columns = corners[1] + steps
    cut = level[np.arange(n)[:, None, None, None], rows, columns]
    cut -= cut.mean(axis=(0, 1, 2, 3))
    cut /= cut.std(axis=(0, 1, 2, 3))
    return cut.reshape(n * PATCHES, PATCH * PATCH * channels)


def _distance(a: np.ndarray, b: np.ndarray, seed: int) -> float:
    """Return the mean over directions of the Wasserstein-1 distance between patches."""
    sets = patches(a, seed), patches(b, seed)
    rng = np.random.default_rng(seed + 1)
    found = []
    for _ in range(0, DIRECTIONS, AT_ONCE):
        directions = rng.normal(size=(sets[0].shape[1], AT_ONCE)).astype("float32")
        directions /= np.linalg.norm(directions, axis=0)
        x, y = (np.sort((directions.T @ one.T), axis=1) for one in sets)
        found.append(np.abs(x - y).mean())
    return float(np.mean(found))


def ms_ssim(images: np.ndarray, pairs: int = 500, seed: int = 0) -> float:
    """Compute the mean structural similarity, at several scales, of pairs of different images.

    Wang et al. 2003; as a measure of variety: Odena et al. 2017, Karras et al. 2018. Where all
    images look alike, it is near 1. Five scales need 176 pixels, so smaller images have as many
    as the window of 11 pixels allows, and the powers of these are divided by their sum: numbers
    of different sizes cannot be compared with each other or with those of papers.

    Args:
        images: (n, size, size, channels), two or more, floats in [-1, 1] or uint8.
        pairs: how many to draw at random.
        seed: of the draw.

    Raises:
        ValueError: there are fewer than two images, or they have fewer than 11 pixels.
    """
    n, size = np.shape(images)[:2]
    scales = int(np.log2(size / WINDOW)) + 1 if size >= WINDOW else 0
    if n < 2 or not scales:
        raise ValueError(f"ms_ssim takes two images of {WINDOW} pixels or more, not {n} of {size}.")
    powers = np.array(POWERS[:scales])
    powers /= powers.sum()
    images = to_uint8(images)
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n, pairs)
    second = (first + rng.integers(1, n, pairs)) % n  # another one
    found = []
    for i in range(0, pairs, 100):
        x = images[first[i : i + 100]]
        y = images[second[i : i + 100]]
        found.append(tf.image.ssim_multiscale(x, y, 255, tuple(powers), filter_size=WINDOW))
    return float(np.mean(np.concatenate(found)))


def compared(made: np.ndarray, real: np.ndarray) -> dict[str, tuple[float, float]]:
    """Measure samples, and beside them real images, as many of each.

    Args:
        made: (n, size, size, channels), floats in [-1, 1] or uint8.
        real: as `made`, 2 n of them or more: the first n are compared with the samples, and with
            the next n, which gives the floor.

    Returns:
        {name of a measure: (of the samples, of real images)}.

    Raises:
        ValueError: there are fewer than 2 n real images, or as `swd` and `ms_ssim`.
    """
    n = len(made)
    if len(real) < 2 * n:
        raise ValueError(f"{n} samples are compared with {2 * n} real images, not {len(real)}.")
    floor = swd(real[n : 2 * n], real[:n])
    found = {f"SWD, level of {x} x {x}": (y, floor[x]) for x, y in swd(made, real[:n]).items()}
    return found | {"MS-SSIM of pairs": (ms_ssim(made), ms_ssim(real))}
