"""Two kinds of photographs without pairs: horses and zebras, two folders of yours."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import tensorflow as tf
from PIL import Image, ImageOps

from utils import datasets, photographs, sources
from utils.options import one_of, sides

HORSE_URLS = (
    "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip",
    "https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets/horse2zebra.zip",
    "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip",
)
HORSE_CONTENT_HASH = "a0588a22179a1503b62a2c195da968080513a086147765876e4f2f842d923423"
BROWN = (200, 110, 50)  # the coat of the stand-in for horses
GREEN = (0.6, 0.9, 0.4)  # what grass keeps of its grey in each channel


@dataclass(frozen=True, kw_only=True, eq=False)
class UnpairedData(datasets.Dataset):
    """Images of two kinds without pairs; a batch is (a, b), float32 in [-1, 1].

    An epoch shows every image of the longer kind once; the shorter one goes on in its own
    order, shuffled anew at each of its passes, so no two images meet in step. How an image is
    cut and whether it is flipped depends on (seed, place) alone.

    Attributes:
        a, b: uint8, (n, height, width, 3), 0 to 255; larger than image_size by 286 / 256.
        image_size: height and width of what a batch holds, cut out at random; one number where
            they are the same.
        split: which part of the data it is.
    """

    a: np.ndarray
    b: np.ndarray
    image_size: int | tuple[int, int]
    split: str = "train"

    def __post_init__(self) -> None:
        super().__post_init__()
        datasets.check_images(self.name, self.a, self.b)
        counts = len(self.a), len(self.b)
        if self.batch_size > max(counts):
            raise ValueError(f"batch_size={self.batch_size}: {self.name} has {counts} images.")

    def order(self, start: int, size: int) -> tf.data.Dataset:
        n_a = len(self.a)
        n_b = len(self.b)
        order_a = datasets.order_of(n_a, n_a, 2 * self.seed, start, size)
        order_b = datasets.order_of(n_b, n_b, 2 * self.seed + 1, start, size)
        return tf.data.Dataset.zip(order_a, order_b)

    def load(
        self, indices: tuple[tf.Tensor, tf.Tensor], places: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        a = datasets.gather(self.a, indices[0])
        b = datasets.gather(self.b, indices[1])
        return self._cut(a, places, 2 * self.seed), self._cut(b, places, 2 * self.seed + 1)

    def _cut(self, photos: tf.Tensor, places: tf.Tensor, seed: int) -> tf.Tensor:
        """Cut squares out of uint8 images at random, flip half of them, and scale to [-1, 1]."""
        shape = (*sides(image_size=self.image_size), photos.shape[3])

        def cut(photo_and_place: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            photo, place = photo_and_place
            part = tf.image.stateless_random_crop(photo, shape, [seed, place])
            return tf.image.stateless_random_flip_left_right(part, [seed, place])

        parts = tf.map_fn(cut, (photos, places), fn_output_signature=tf.uint8)
        parts = tf.ensure_shape(parts, (photos.shape[0], *shape))
        return tf.cast(parts, tf.float32) / 127.5 - 1.0


def horse2zebra(
    image_size: int | tuple[int, int], batch_size: int = 1, seed: int = 0, split: str = "train"
) -> UnpairedData:
    """Load photographs of horses (a) and zebras (b), without pairs (Zhu et al. 2017).

    Looks in DATA_DIR for a folder horse2zebra with trainA, trainB, testA and testB, or for
    horse2zebra.zip, then in Keras' cache, then downloads. Where nothing is to be had, brown and
    striped silhouettes on grass stand in and are named as a stand-in.

    Args:
        image_size: height and width of what a batch holds, multiples of 4, as the networks
            halve them twice; one number where they are the same.
        batch_size: images of each kind.
        seed: decides order, cuts and flips.
        split: "train" (1,067 and 1,334 images) or "test" (120 and 140); `a` and `b` of the
            test set are image_size x image_size, without a margin for cutting.

    Raises:
        ValueError: a wrong argument, or an archive that does not hold these images.
        FileNotFoundError: nothing was found, and STANDIN=never.
        OSError: the temporary folder is full.
    """
    size = _with_margin(image_size, split)

    def real() -> tuple[np.ndarray, np.ndarray]:
        source = sources.in_data_dir("horse2zebra")
        source = source or sources.download("horse2zebra.zip", HORSE_URLS, check_horses)
        return tuple(photographs.load(source, size, [f"{split}{kind}"]) for kind in "AB")

    def standin() -> tuple[np.ndarray, np.ndarray]:
        n = 60 if split == "train" else 12
        return standin_horses(size, n, striped=False), standin_horses(size, n, striped=True)

    name, (a, b), is_standin = sources.or_standin("horse2zebra", real, standin)
    return _unpaired(
        name,
        a,
        b,
        standin=is_standin,
        batch_size=batch_size,
        seed=seed,
        image_size=image_size,
        split=split,
    )


def folder_pair(
    dir_a: str | Path,
    dir_b: str | Path,
    image_size: int | tuple[int, int],
    batch_size: int = 1,
    seed: int = 0,
    split: str = "train",
) -> UnpairedData:
    """Load two folders of your own images; other arguments as in `horse2zebra`.

    `split` decides only whether there is a margin for cutting.

    Raises:
        ValueError: a folder does not exist, or holds no image that can be used.
        OSError: the temporary folder is full.
    """
    size = _with_margin(image_size, split)
    a = photographs.load(dir_a, size)
    b = photographs.load(dir_b, size)
    name = f"{Path(dir_a).name} and {Path(dir_b).name}"
    return _unpaired(
        name,
        a,
        b,
        standin=False,
        batch_size=batch_size,
        seed=seed,
        image_size=image_size,
        split=split,
    )


def _unpaired(name: str, a: np.ndarray, b: np.ndarray, **rest: Any) -> UnpairedData:
    """Say what was loaded, and return the data; `rest` are the other fields."""
    print(f"Data: {name}, {len(a):,} and {len(b):,} images")
    return UnpairedData(name=name, a=a, b=b, **rest)


def _with_margin(image_size: int | tuple[int, int], split: str) -> tuple[int, int]:
    """Return height and width to load, with a margin for cutting in the training set."""
    one_of(("train", "test"), split=split)
    size = sides(16, image_size=image_size)
    if any(side % 4 for side in size):
        raise ValueError(f"image_size={image_size}: take multiples of 4, for instance 128.")
    margin = 286 / 256 if split == "train" else 1
    return tuple(round(side * margin) for side in size)


def check_horses(path: Path) -> None:
    """Compare names and checksums of an archive's files with those of the published one.

    Raises:
        ValueError: they differ.
    """
    with zipfile.ZipFile(path) as archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
    lines = sorted(f"{entry.filename} {entry.CRC:08x}" for entry in files)
    if sources.sha256("\n".join(lines).encode()) != HORSE_CONTENT_HASH:
        raise ValueError("it does not hold the images of horse2zebra")


def standin_horses(size: tuple[int, int], n: int, striped: bool) -> np.ndarray:
    """Put scikit-image's horse, a silhouette, on its grass at random, brown or striped.

    Returns:
        uint8, (n, height, width, 3).
    """
    height, width = size
    rng = np.random.default_rng(n)
    silhouette = Image.fromarray(np.where(skimage.data.horse(), 0, 255).astype("uint8"))
    grass = skimage.data.grass()
    found = []
    for _ in range(n):
        # The horse: 1 inside, 0 outside.
        horse = silhouette.rotate(rng.uniform(-15, 15), expand=True).resize((width, height))
        if rng.random() < 0.5:
            horse = ImageOps.mirror(horse)
        mask = np.asarray(horse)[..., None] / 255
        # The ground: a part of the grass, or all of it, repeated.
        side = max(size)
        top, left = rng.integers(0, 512 - side, 2) if side < 512 else (0, 0)
        part = grass[top : top + height, left : left + width]
        ground = np.resize(part, size)[..., None]
        # The coat.
        phase = rng.uniform(0, 6)
        coat = _stripes(size, phase) if striped else ground / 255 * BROWN
        found.append(mask * coat + (1 - mask) * ground * GREEN)
    return np.stack(found).clip(0, 255).astype("uint8")


def _stripes(size: tuple[int, int], phase: float) -> np.ndarray:
    """Return stripes that wind a little: 30 or 230, (height, width, 1)."""
    y, x = np.meshgrid(*(np.linspace(0, 60, side) for side in size), indexing="ij")
    is_light = np.sin(x + np.sin(y / 9 + phase)) > 0
    return 30 + 200 * is_light[..., None]
