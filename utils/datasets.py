"""Data sets: batches whose order depends on (seed, step) alone, and what each one is known by."""

from __future__ import annotations

import abc
import atexit
import dataclasses
import json
import math
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import keras
import numpy as np
import sklearn.datasets
import tensorflow as tf

from utils import photographs, sources
from utils.options import at_least, expanded, one_of

COPIED = 2**27  # bytes; MNIST has 47 million
MNIST_URLS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    "https://s3.amazonaws.com/img-datasets/mnist.npz",
)
MNIST_HASHES = {  # of the arrays: archives of the same arrays can differ
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
REST = 0.3  # seconds without a call, after which a thread is taken to have made its batches
_at_rest_since: dict[int, float] = {}  # seconds, by thread that has called Python; see `in_python`


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset(abc.ABC):
    """Data, and the endless batches that a training sees.

    A kind of data adds its fields, and writes `order` and `load`. Every field counts in
    `identity`. Arrays are locked, so that they stay what they were when they were identified.

    Attributes:
        name: what the data are; a stand-in's name says that it is one.
        standin: True where they stand in for data that could not be had.
        batch_size: items of a batch; every batch is full.
        seed: decides the order, and what is random in a batch.
    """

    name: str
    standin: bool
    batch_size: int
    seed: int

    def __post_init__(self) -> None:
        at_least(1, batch_size=self.batch_size)
        at_least(0, seed=self.seed)
        for field in dataclasses.fields(self):
            _lock(getattr(self, field.name))

    @abc.abstractmethod
    def order(self, start: int, size: int) -> tf.data.Dataset:
        """Return which items come, without end: `size` indices at a time, or tuples of such.

        Args:
            start: place of the first; items that were seen before.
            size: a divisor of batch_size.
        """

    @abc.abstractmethod
    def load(self, indices: Any, places: tf.Tensor) -> Any:
        """Make a batch, in graph mode.

        Args:
            indices: of the items, int (n,), or a tuple of such, as `order` gives them.
            places: where each item stands, int64 (n,), counted from the first batch of the
                training on. What is random in an item depends on (seed, place) alone.
        """

    def from_step(
        self, step: int = 0, context: tf.distribute.InputContext | None = None
    ) -> tf.data.Dataset:
        """Return the endless batches from a global step on.

        What stands where depends on (seed, step) alone, so a run that is resumed at a step sees
        what an uninterrupted one would have seen.

        Args:
            step: updates that are done.
            context: of a distributed training. A batch is cut into one part for each replica, in
                their order. This pipeline yields the parts of its own replicas, one after
                another, and loads no others.

        Raises:
            ValueError: a batch cannot be cut into so many parts.
        """
        context = context or tf.distribute.InputContext()
        replicas = context.num_replicas_in_sync
        workers = context.num_input_pipelines
        if self.batch_size % replicas or replicas % workers:
            raise ValueError(
                f"BATCH_SIZE={self.batch_size} cannot be cut into equal parts for {replicas} "
                f"devices on {workers} workers. Take a multiple of {replicas}, or set DEVICES=one."
            )
        share = self.batch_size // workers
        start = step * self.batch_size
        places = tf.data.Dataset.range(start, tf.int64.max).batch(share, drop_remainder=True)
        shares = tf.data.Dataset.zip(self.order(start, share), places)
        own = shares.shard(workers, context.input_pipeline_id)
        parts = own.rebatch(self.batch_size // replicas, drop_remainder=True)
        options = tf.data.Options()
        # Autotuning has nothing to tune here, and the end of a training would wait for its thread,
        # which sleeps up to a minute.
        options.autotune.enabled = False
        return parts.map(self.load).prefetch(2).with_options(options)

    def identity(self) -> dict[str, Any]:
        """Return what decides the batches, in JSON's values: every field, data by their content.

        Arrays are known by a hash of their values, photographs by one of their files. Data from
        another archive or folder are the same if they have the same content and name.
        """
        return dict(self._identity)

    @cached_property  # the data are hashed once
    def _identity(self) -> dict[str, Any]:
        names = [field.name for field in dataclasses.fields(self)]
        return {name: known_by(getattr(self, name)) for name in names}


def known_by(value: Any) -> Any:
    """Return what the value of a field is known by, in JSON's values.

    Raises:
        TypeError: nothing is known of such a value.
    """
    if isinstance(value, np.ndarray):
        files = getattr(value, "files", "")
        known = {"files": files} if files else {"values": sources.sha256(np.asarray(value))}
        return known | {"shape": list(value.shape), "dtype": str(value.dtype)}
    if isinstance(value, Dataset):
        return value.identity()
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, list | tuple):
        found = [known_by(item) for item in value]
        text = json.dumps(found)
        is_short = len(text) <= 1000  # of thousands of photographs the hash will do
        return found if is_short else {"items": len(found), "hash": sources.sha256(text.encode())}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"A field of a data set holds {type(value).__name__}, by which it cannot be known: take "
        "numbers, text, arrays, or lists of them."
    )


def _lock(value: Any) -> None:
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, list | tuple):
        for item in value:
            _lock(item)


def check_images(name: str, *sets: np.ndarray) -> None:
    """Check what a reader may hand over as the images of a data set.

    Raises:
        ValueError: they are not uint8, (n, height, width, channels), or nearly black.
    """
    for images in sets:
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(
                f"{name}: {images.dtype} of shape {images.shape} are no images of a data set. "
                "Take uint8, 0 to 255, of shape (n, height, width, channels)."
            )
        if images.size and images.max() < photographs.DARK:
            raise ValueError(
                f"{name}: no value of its images is above {images.max()}, of 255, so they would "
                "be black. Multiply them."
            )


def order_of(n: int, used: int, seed: int, start: int, size: int) -> tf.data.Dataset:
    """Return the endless order of n images, from a place on, `size` indices at a time.

    Each pass shows `used` of them. It is a permutation that depends on (seed, pass) alone.
    """
    first, done = divmod(start, used)

    def one_pass(number: tf.Tensor) -> tf.Tensor:
        both = [tf.constant(seed, tf.int64), number]
        shuffled = tf.random.experimental.stateless_shuffle(tf.range(n), both)
        return shuffled[tf.where(number == first, done, 0) : used]

    passes = tf.data.Dataset.range(first, tf.int64.max).map(one_pass)
    return passes.rebatch(size, drop_remainder=True)


def in_python(function: Callable, inputs: Sequence[tf.Tensor], types: Any) -> Any:
    """Call a function of NumPy arrays while a batch is made, outside TensorFlow's graph.

    Args:
        function: of arrays; gives an array, or a tuple of arrays.
        inputs: tensors that become its arrays.
        types: of what it gives.
    """

    def noted(*arrays: np.ndarray) -> Any:
        thread = threading.get_ident()
        _at_rest_since[thread] = math.inf
        try:
            return function(*arrays)
        finally:
            _at_rest_since[thread] = time.monotonic()

    return tf.numpy_function(noted, inputs, types)


@atexit.register
def _let_calls_end() -> None:
    """Let the threads of unfinished batches come to rest before Python ends.

    They make two batches ahead and then rest. One that calls Python after its end would hang, and
    the process with it.
    """
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if all(time.monotonic() - since > REST for since in list(_at_rest_since.values())):
            return
        time.sleep(0.01)


def gather(array: np.ndarray, indices: tf.Tensor) -> tf.Tensor:
    """Return items of an array; a small one is copied to a tensor, a large one stays outside."""
    array = np.asarray(array)
    if array.nbytes <= COPIED:
        with tf.init_scope():  # outside the graph, which would be slow to build with it inside
            whole = tf.constant(array)
        return tf.gather(whole, indices)
    found = in_python(lambda chosen: array[chosen], [indices], array.dtype)
    return tf.ensure_shape(found, (*indices.shape, *array.shape[1:]))


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageData(Dataset):
    """Images, and their labels; batches are float32 in [-1, 1].

    The images are held once, as uint8; a batch becomes float32 when it is made. Each epoch is a
    permutation of its own. The images that do not fill its last batch are left out; they are
    others in each epoch.

    Attributes:
        images: uint8, (n, height, width, channels), 0 to 255.
        labels: int64, (n,), numbers of `classes`; or float32, (n, classes), 1 where an image has
            an attribute and else 0, when it can have several.
        classes: names of the classes or attributes.
        split: which part of the data it is.
        with_labels: a batch is (images, labels) instead of the images alone.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...] = ()
    split: str = "train"
    with_labels: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_images(self.name, self.images)
        n = len(self.images)
        if self.batch_size > n:
            raise ValueError(f"batch_size={self.batch_size}: {self.name} has {n} images.")
        shape = (n, len(self.classes)) if self.labels.dtype.kind == "f" else (n,)
        if self.labels.shape != shape or self.labels.dtype.kind not in "iuf":
            raise ValueError(
                f"{self.name} has {self.labels.dtype} labels of shape {self.labels.shape} for {n} "
                f"images. Take whole numbers of shape ({n},), a class each."
            )

    def order(self, start: int, size: int) -> tf.data.Dataset:
        n = len(self.images)
        return order_of(n, n - n % self.batch_size, self.seed, start, size)

    def load(
        self, indices: tf.Tensor, places: tf.Tensor
    ) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        images = tf.cast(gather(self.images, indices), tf.float32) / 127.5 - 1.0
        return (images, gather(self.labels, indices)) if self.with_labels else images


def mnist(
    batch_size: int = 64, seed: int = 0, split: str = "train", labels: bool = False
) -> ImageData:
    """Load handwritten digits, 28 x 28 x 1 (LeCun, Cortes, Burges).

    Looks in DATA_DIR, then in Keras' cache, then downloads. Where nothing is to be had,
    scikit-learn's real 8 x 8 digits, enlarged, stand in and are named as a stand-in.

    Args:
        batch_size: images a batch, from 1 to the number of images.
        seed: decides the order of the batches.
        split: "train" (60,000 images) or "test" (10,000).
        labels: a batch is (images, labels) instead of the images alone.

    Raises:
        ValueError: a wrong argument, or a file that does not hold MNIST.
        FileNotFoundError: nothing was found, and STANDIN=never.
    """
    one_of(("train", "test"), split=split)

    def real() -> dict[str, np.ndarray]:
        return _mnist_arrays(sources.download("mnist.npz", MNIST_URLS, _mnist_arrays))

    name, arrays, standin = sources.or_standin("MNIST", real, _digits_standin)
    images = arrays[f"x_{split}"][..., None]
    print(f"Data: {name}, {len(images):,} images ({split})")
    return ImageData(
        name=name,
        standin=standin,
        batch_size=batch_size,
        seed=seed,
        images=images,
        labels=arrays[f"y_{split}"].astype("int64"),
        classes=tuple("0123456789"),
        split=split,
        with_labels=labels,
    )


def _mnist_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of mnist.npz, however it is packed.

    Raises:
        ValueError: it does not hold MNIST.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            begin = file.read(40)
        raise ValueError(
            f"{path} is not mnist.npz: it begins with {begin!r}, perhaps a page that was sent in "
            "its place. Replace it."
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in MNIST_HASHES}
    except Exception as error:  # whatever a damaged archive raises
        raise ValueError(f"{path} cannot be read as mnist.npz: {error}. Replace it.") from error
    wrong = [key for key, array in arrays.items() if sources.sha256(array) != MNIST_HASHES[key]]
    if wrong:
        raise ValueError(f"{path} does not hold MNIST: {', '.join(wrong)} differ. Replace it.")
    return arrays


def _digits_standin() -> dict[str, np.ndarray]:
    """Enlarge scikit-learn's digits (1,797 of 8 x 8, UCI ML) to 20 x 20 on a 28 x 28 ground."""
    digits = sklearn.datasets.load_digits()
    small = digits.images[..., None] * (255 / 16)
    large = np.asarray(keras.ops.image.resize(small, (20, 20), interpolation="bicubic"))
    images = np.clip(np.rint(large[..., 0]), 0, 255).astype("uint8")
    images = np.pad(images, ((0, 0), (4, 4), (4, 4)))
    labels = digits.target.astype("uint8")
    return {
        "x_train": images[:1500],
        "y_train": labels[:1500],
        "x_test": images[1500:],
        "y_test": labels[1500:],
    }


def folder(
    source: str | Path,
    image_size: int | tuple[int, int],
    batch_size: int = 32,
    seed: int = 0,
    grey: bool = False,
    labels: bool = False,
) -> ImageData:
    """Load images of your own: a folder, a zip archive or a file.

    The images come in an order of their own, the same each time, so that the first ones are of
    all sub-folders: measures compare as many images as there are samples, the first ones.

    Sub-folders are classes: a label is the number of the sub-folder, sorted by name, and
    `classes` has the names. Images that lie directly in the folder are of one class, ".".

    Args:
        source: what `photographs.load` takes.
        image_size: height and width, one number where they are the same; the form of an image
            is not kept.
        batch_size: images a batch.
        seed: decides the order of the batches.
        grey: one channel, their luma, instead of three.
        labels: a batch is (images, labels) instead of the images alone.

    Raises:
        ValueError: a wrong argument, or no image that can be used.
        OSError: the temporary folder is full.
    """
    source = expanded(source).resolve()
    images = photographs.load(source, image_size, grey=grey, mixed=True)
    numbers, classes = classes_of(images.names)
    of_classes = f" of {len(classes)} classes: {', '.join(classes[:10])}" * (len(classes) > 1)
    print(f"Data: {source.stem}, {len(images):,} images{of_classes}")
    return ImageData(
        name=source.stem,
        standin=False,
        batch_size=batch_size,
        seed=seed,
        images=images,
        labels=numbers,
        classes=classes,
        with_labels=labels,
    )


def classes_of(names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return which class each file is of, by the sub-folder that it lies in.

    Args:
        names: of files, from their folder or archive on. One folder that everything lies in, as
            archives have it, is passed over.

    Returns:
        Labels, int64 (n,), and the names of the classes, sorted; "." is the folder itself.
    """
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    while any(folders) and len({parts[:1] for parts in folders}) == 1:
        folders = [parts[1:] for parts in folders]
    found = [parts[0] if parts else "." for parts in folders]
    classes, labels = np.unique(found, return_inverse=True)
    return labels.astype("int64"), tuple(classes.tolist())
