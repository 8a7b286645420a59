"""One function per data set; each gives full batches of float32 NHWC images in [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import sklearn.datasets
import tensorflow as tf

from utils import fetch
from utils.options import option

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
    """

    name: str
    standin: bool
    images: np.ndarray
    labels: np.ndarray
    batch_size: int
    seed: int

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
        epoch, done = divmod(step, self.steps_per_epoch)
        used = self.steps_per_epoch * self.batch_size
        images = tf.constant(self.images)

        def order(e: tf.Tensor) -> tf.data.Dataset:
            everything = tf.range(len(self.images))
            seed = [tf.constant(self.seed, tf.int64), e]
            shuffled = tf.random.experimental.stateless_shuffle(everything, seed)
            return tf.data.Dataset.from_tensor_slices(shuffled[:used])

        def load(indices: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.gather(images, indices), tf.float32) / 127.5 - 1.0

        endless = tf.data.Dataset.range(epoch, tf.int64.max).flat_map(order)
        endless = endless.skip(done * self.batch_size)
        batches = endless.batch(self.batch_size, drop_remainder=True).map(load).prefetch(2)
        # Tuning has nothing to tune here, and its thread sleeps up to a minute, for which the
        # end of a training would wait.
        options = tf.data.Options()
        options.autotune.enabled = False
        return batches.with_options(options)


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
    if split not in ("train", "test"):
        raise ValueError(f"split={split!r}: use 'train' or 'test'.")
    name, arrays, standin = _find("MNIST", _mnist_file, _digits_standin)
    images, labels = arrays[f"x_{split}"][..., None], arrays[f"y_{split}"].astype("int64")
    if not 1 <= batch_size <= len(images):
        raise ValueError(f"batch_size={batch_size}: {name} ({split}) has {len(images)} images.")
    print(f"Data: {name}, {len(images):,} images ({split})")
    return ImageData(name, standin, images, labels, batch_size, seed)


def _find(
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
    path = fetch.in_data_dir("mnist.npz")
    if path is None:
        try:
            path = fetch.download("mnist.npz", MNIST_URLS, MNIST_FILE_HASH)
        except OSError as error:
            raise OSError(
                "Put mnist.npz (from keras.datasets.mnist) in a folder and set DATA_DIR to "
                f"that folder. The download failed: {error}"
            ) from error
    return _checked_arrays(path)


def _checked_arrays(path: Path) -> dict[str, np.ndarray]:
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
    labels, cut = digits.target.astype("uint8"), 1500
    return {
        "x_train": images[:cut],
        "y_train": labels[:cut],
        "x_test": images[cut:],
        "y_test": labels[cut:],
    }
