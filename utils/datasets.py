"""One function per data set; each gives full batches of float32 NHWC images in [-1, 1]."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import skimage.data
import sklearn.datasets
import tensorflow as tf
from PIL import Image, ImageOps

from utils import fetch, photographs
from utils.options import at_least, one_of, option

MNIST_URLS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "https://s3.amazonaws.com/img-datasets/mnist.npz",
)
MNIST_FILE_HASH = "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
MNIST_ARRAY_HASHES = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}

HORSE_URLS = (
    "https://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip",
    "https://people.eecs.berkeley.edu/~taesung_park/CycleGAN/datasets/horse2zebra.zip",
    "http://efrosgans.eecs.berkeley.edu/cyclegan/datasets/horse2zebra.zip",
)
HORSE_COUNTS = {"train": (1067, 1334), "test": (120, 140)}
HORSE_CONTENT_HASH = "a0588a22179a1503b62a2c195da968080513a086147765876e4f2f842d923423"


@dataclass(frozen=True)
class ImageData:
    """Images, and the batches that a training sees.

    The images are held once, as uint8; a batch becomes float32 when it is made.

    Attributes:
        name: what the images are; a stand-in's name says that it is one.
        standin: True where the images stand in for data that could not be had.
        images: uint8, (n, height, width, channels), 0 to 255.
        labels: int, (n,).
        batch_size: images a batch; every batch is full.
        seed: decides the order.
        contents: checksum of images of one's own.
    """

    name: str
    standin: bool
    images: np.ndarray
    labels: np.ndarray
    batch_size: int
    seed: int
    contents: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= len(self.images):
            raise ValueError(
                f"batch_size={self.batch_size}: {self.name} has {len(self.images)} images."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Number of full batches in one pass over the images."""
        return len(self.images) // self.batch_size

    def from_step(self, step: int = 0) -> tf.data.Dataset:
        """Return the endless batches from a global step on, float32 in [-1, 1].

        Each epoch is a permutation of its own that depends on (seed, epoch) alone, so a run
        that is resumed at a step sees what an uninterrupted one would have seen. The images
        that do not fill a last batch are left out; they are others in each epoch.
        """
        used = self.steps_per_epoch * self.batch_size
        images = tf.constant(self.images)

        def load(indices: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.gather(images, indices), tf.float32) / 127.5 - 1.0

        order = order_of(len(self.images), used, self.seed, step * self.batch_size)
        return untuned(order.batch(self.batch_size, drop_remainder=True).map(load))


@dataclass(frozen=True)
class UnpairedData:
    """Images of two kinds without pairs, and the batches that a training sees.

    An epoch shows every image of the longer kind once; the shorter one goes on in its own
    order, shuffled anew at each of its passes, so no two images meet in step.

    Attributes:
        name: what the images are; a stand-in's name says that it is one.
        standin: True where the images stand in for data that could not be had.
        a, b: uint8, (n, side, side, 3), 0 to 255; side is image_size * 286 / 256.
        image_size: height and width of what a batch holds, cut out at random.
        batch_size: images of each kind.
        seed: decides order, cuts and flips.
        contents: checksum of images of one's own.
    """

    name: str
    standin: bool
    a: np.ndarray
    b: np.ndarray
    image_size: int
    batch_size: int
    seed: int
    contents: str = ""

    def __post_init__(self) -> None:
        counts = len(self.a), len(self.b)
        if not 1 <= self.batch_size <= max(counts):
            raise ValueError(f"batch_size={self.batch_size}: {self.name} has {counts} images.")
        print(f"Data: {self.name}, {counts[0]:,} and {counts[1]:,} images")

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in which every image of the longer kind was seen."""
        return -(-max(len(self.a), len(self.b)) // self.batch_size)

    def from_step(self, step: int = 0) -> tf.data.Dataset:
        """Return the endless batches (a, b) from a global step on, float32 in [-1, 1].

        What image stands where, how it is cut and whether it is flipped depends on (seed,
        place) alone, so a resumed run sees what an uninterrupted one would have seen.
        """
        start, size = step * self.batch_size, self.image_size

        def kind(images: np.ndarray, number: int) -> tf.data.Dataset:
            def load(index: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
                image = tf.numpy_function(lambda i: images[i], [index], tf.uint8)  # no copy
                image.set_shape(images.shape[1:])
                seed = [2 * self.seed + number, place]
                image = tf.image.stateless_random_crop(image, (size, size, 3), seed)
                image = tf.image.stateless_random_flip_left_right(image, seed)
                return tf.cast(image, tf.float32) / 127.5 - 1.0

            order = order_of(len(images), len(images), 2 * self.seed + number, start)
            places = tf.data.Dataset.range(start, tf.int64.max)
            return tf.data.Dataset.zip(order, places).map(load)

        pairs = tf.data.Dataset.zip(kind(self.a, 0), kind(self.b, 1))
        return untuned(pairs.batch(self.batch_size, drop_remainder=True))


def order_of(n: int, used: int, seed: int, start: int) -> tf.data.Dataset:
    """Return the endless order of n images, from a place on; each pass shows `used` of them.

    A pass is a permutation that depends on (seed, pass) alone.
    """

    def one_pass(number: tf.Tensor) -> tf.data.Dataset:
        both = [tf.constant(seed, tf.int64), number]
        shuffled = tf.random.experimental.stateless_shuffle(tf.range(n), both)
        return tf.data.Dataset.from_tensor_slices(shuffled[:used])

    number, done = divmod(start, used)
    return tf.data.Dataset.range(number, tf.int64.max).flat_map(one_pass).skip(done)


def untuned(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Fetch ahead, without tuning.

    It has nothing to tune here, and its thread sleeps up to a minute, for which the end of a
    training would wait.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)


def mnist(batch_size: int = 64, seed: int = 0, split: str = "train") -> ImageData:
    """Load handwritten digits, 28 x 28 x 1 (LeCun, Cortes, Burges).

    Looks in DATA_DIR, then in Keras' cache, then downloads. Where nothing is to be had,
    scikit-learn's real 8 x 8 digits, enlarged, stand in and are named as a stand-in.

    Args:
        batch_size: images a batch, from 1 to the number of images.
        seed: decides the order of the batches.
        split: "train" (60,000 images) or "test" (10,000).

    Raises:
        ValueError: a wrong argument, or a file that does not hold MNIST.
        FileNotFoundError: nothing was found, and STANDIN=never.
    """
    one_of(("train", "test"), split=split)
    name, arrays, standin = find("MNIST", _mnist_file, _digits_standin)
    images, labels = arrays[f"x_{split}"][..., None], arrays[f"y_{split}"].astype("int64")
    print(f"Data: {name}, {len(images):,} images ({split})")
    return ImageData(name, standin, images, labels, batch_size, seed)


def horse2zebra(
    image_size: int, batch_size: int = 1, seed: int = 0, split: str = "train"
) -> UnpairedData:
    """Load photographs of horses (a) and zebras (b), without pairs (Zhu et al. 2017).

    Looks in DATA_DIR for a folder horse2zebra with trainA, trainB, testA and testB, or for
    horse2zebra.zip, then in Keras' cache, then downloads. Where nothing is to be had, brown and
    striped silhouettes on grass stand in and are named as a stand-in. Another number of images
    than the published one is a run of its own, as with `folder_pair`.

    Args:
        image_size: height and width of what a batch holds.
        batch_size: images of each kind.
        seed: decides order, cuts and flips.
        split: "train" (1,067 and 1,334 images) or "test" (120 and 140); `a` and `b` of the
            test set are image_size x image_size, without a margin for cutting.

    Raises:
        ValueError: a wrong argument, or an archive that does not hold these images.
        FileNotFoundError: nothing was found, and STANDIN=never.
    """
    side = _side(image_size, split)

    def real() -> dict[str, np.ndarray]:
        source = fetch.in_data_dir("horse2zebra")
        source = source or fetch.download("horse2zebra.zip", HORSE_URLS, _check_horses)
        under = "" if source.is_dir() else "horse2zebra/"
        return {k: photographs.load(source, side, f"{under}{split}{k}") for k in "AB"}

    def standin() -> dict[str, np.ndarray]:
        return {k: _horses_standin(side, 60 if split == "train" else 12, k == "B") for k in "AB"}

    name, found, is_standin = find("horse2zebra", real, standin)
    a, b = found["A"], found["B"]
    known = is_standin or (len(a), len(b)) == HORSE_COUNTS[split]
    contents = "" if known else photographs.checksum(a, b)
    return UnpairedData(name, is_standin, a, b, image_size, batch_size, seed, contents)


def folder(
    source: str | Path, image_size: int, batch_size: int = 32, seed: int = 0, grey: bool = False
) -> ImageData:
    """Load images of your own: a folder, a zip archive or a file; all labels are 0.

    Args:
        source: what `photographs.load` takes.
        image_size: height and width; the form is not kept.
        batch_size: images a batch.
        seed: decides the order of the batches.
        grey: one channel, their luma, instead of three.

    Raises:
        ValueError: a wrong argument, or no image that can be used.
    """
    images, name = photographs.load(source, image_size), Path(source).expanduser().resolve().stem
    if grey:
        images = np.stack([np.asarray(Image.fromarray(x).convert("L")) for x in images])[..., None]
    print(f"Data: {name}, {len(images):,} images")
    labels, contents = np.zeros(len(images), "int64"), photographs.checksum(images)
    return ImageData(name, False, images, labels, batch_size, seed, contents)


def folder_pair(
    dir_a: str | Path,
    dir_b: str | Path,
    image_size: int,
    batch_size: int = 1,
    seed: int = 0,
    split: str = "train",
) -> UnpairedData:
    """Load two folders of your own images; other arguments as in `horse2zebra`.

    `split` decides only whether there is a margin for cutting.

    Raises:
        ValueError: a folder does not exist, or holds no image that can be used.
    """
    folders = [Path(folder) for folder in (dir_a, dir_b)]
    side = _side(image_size, split)
    a, b = (photographs.load(folder, side) for folder in folders)
    name = f"{folders[0].name} and {folders[1].name}"
    contents = photographs.checksum(a, b)
    return UnpairedData(name, False, a, b, image_size, batch_size, seed, contents)


def _side(image_size: int, split: str) -> int:
    at_least(16, image_size=image_size)
    one_of(("train", "test"), split=split)
    return round(image_size * 286 / 256) if split == "train" else image_size


def _check_horses(path: Path) -> None:
    """Compare names and checksums of an archive's files with those of the published one."""
    with zipfile.ZipFile(path) as archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
    lines = sorted(f"{entry.filename} {entry.CRC:08x}" for entry in files)
    if fetch.sha256("\n".join(lines).encode()) != HORSE_CONTENT_HASH:
        raise ValueError("it does not hold the images of horse2zebra")


def _horses_standin(side: int, n: int, striped: bool) -> np.ndarray:
    """Put scikit-image's horse, a silhouette, on its grass at random, brown or striped."""
    rng = np.random.default_rng(n)
    shape = Image.fromarray(np.where(skimage.data.horse(), 0, 255).astype("uint8"))
    images, grass = [], skimage.data.grass()
    for _ in range(n):
        horse = shape.rotate(rng.uniform(-15, 15), expand=True).resize((side, side))
        mask = np.asarray(ImageOps.mirror(horse) if rng.random() < 0.5 else horse)[..., None] / 255
        y, x = rng.integers(0, 512 - side, 2) if side < 512 else (0, 0)
        ground = np.resize(grass[y : y + side, x : x + side], (side, side))[..., None]
        x, y = np.meshgrid(*[np.linspace(0, 60, side)] * 2)
        stripes = np.sin(x + np.sin(y / 9 + rng.uniform(0, 6)))[..., None] > 0
        coat = 30 + 200 * stripes if striped else ground / 255 * [200, 110, 50]
        images.append(mask * coat + (1 - mask) * ground * [0.6, 0.9, 0.4])
    return np.stack(images).clip(0, 255).astype("uint8")


def find(
    name: str, real: Callable[[], dict[str, np.ndarray]], standin: Callable[[], dict]
) -> tuple[str, dict, bool]:
    """Return (name, arrays, is it a stand-in) as STANDIN has it; the order of every data set."""
    wish = option("STANDIN")
    if wish != "always":
        try:
            return name, real(), False
        except OSError as error:
            if wish == "never":
                raise FileNotFoundError(
                    f"{name} was not found and STANDIN=never. {error.args[0]}"
                ) from error
            print(f"{name} could not be had, so a stand-in is used. {error.args[0]}")
    return f"STAND-IN for {name}", standin(), True


def _mnist_file() -> dict[str, np.ndarray]:
    path = fetch.download("mnist.npz", MNIST_URLS, fetch.has_hash(MNIST_FILE_HASH))
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in MNIST_ARRAY_HASHES}
    except Exception as error:  # whatever a damaged archive raises
        raise ValueError(f"{path} cannot be read as mnist.npz: {error}. Replace it.") from error
    wrong = [k for k, v in arrays.items() if fetch.sha256(v) != MNIST_ARRAY_HASHES[k]]
    if wrong:
        raise ValueError(f"{path} does not hold MNIST: {', '.join(wrong)} differ. Replace it.")
    return arrays


def _digits_standin() -> dict[str, np.ndarray]:
    """Enlarge scikit-learn's digits (1,797 of 8 x 8, UCI ML) to 20 x 20 on a 28 x 28 ground."""
    digits = sklearn.datasets.load_digits()
    large = keras.ops.image.resize(
        digits.images[..., None] * (255 / 16), (20, 20), interpolation="bicubic"
    )
    images = np.clip(np.rint(np.asarray(large)[..., 0]), 0, 255).astype("uint8")
    images = np.pad(images, ((0, 0), (4, 4), (4, 4)))
    arrays = {"x": images, "y": digits.target.astype("uint8")}
    parts = {"train": slice(1500), "test": slice(1500, None)}
    return {f"{k}_{split}": v[part] for k, v in arrays.items() for split, part in parts.items()}
