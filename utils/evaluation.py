"""How good samples are: networks make features of images, and each measure has its floor.

A distance alone has no scale, so each stands beside its floor: the same number between real
training and real test images, as many of each. All of it is computed in float32.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from scipy import stats

from utils import device, metrics, runtime, sources, tables
from utils.images import check_floats, to_uint8
from utils.options import ROOT, at_least

DIGITS_FOLDER = ROOT / "outputs" / "pretrained" / "digit_classifier"
SEEDS_FILE = ROOT / "outputs" / "pretrained" / "seeds.json"  # benchmarks/seeds.py
LEAST = 4  # samples, without which there is no kernel distance
WORTH_COMPILING = 1000  # samples, below which compiling takes longer than it saves


def digit_network() -> keras.Model:
    """Build the digit classifier: (n, 28, 28, 1) in [-1, 1] -> features (n, 64), logits (n, 10)."""
    x = inputs = layers.Input((28, 28, 1))
    for filters, strides in (32, 1), (32, 2), (64, 1), (64, 2):
        x = layers.Conv2D(filters, 3, strides, activation="relu")(x)
    x = layers.Dropout(0.4)(layers.Flatten()(x))
    features = layers.Dense(64, activation="relu")(x)
    logits = layers.Dense(10)(layers.Dropout(0.3)(features))
    return keras.Model(inputs, [features, logits])


def digit_classifier() -> keras.Model:
    """Return the published classifier: `digit_network` as tools/classifier.py trained it.

    Raises:
        ValueError: the file of its weights is damaged.
    """
    sources.check_sums(DIGITS_FOLDER)
    network = digit_network()
    with np.load(DIGITS_FOLDER / "weights.npz", allow_pickle=False) as file:
        network.set_weights([file[name] for name in file.files])
    return network


def in_batches(function: Callable, *inputs: Any) -> Any:
    """Apply a network to many inputs, in inference mode and float32.

    Args:
        function: a network, or what is called like one: `function(batch, training=False)`. With
            several inputs `batch` is a list, as networks with several inputs take it.
        *inputs: arrays (n, ...), for instance z, labels, or images, (n, height, width, channels)
            in [-1, 1] or uint8. 200 of them at a time, 8 photographs of 128 x 128, fewer where
            they are larger.

    Returns:
        The outputs: an array (n, ...), or a list of arrays where the network has several.

    Raises:
        ValueError: there are no inputs, or more of one than of another.
    """
    lengths = {len(x) for x in inputs}
    if len(lengths) != 1 or lengths == {0}:
        counts = " and ".join(str(len(x)) for x in inputs) or "none"
        raise ValueError(f"in_batches takes as many of each input, one at least, not {counts}.")
    (n,) = lengths
    numbers_an_example = sum(int(np.prod(np.shape(x)[1:])) for x in inputs)
    size = max(1, min(200, 400_000 // max(1, numbers_an_example)))
    parts = []
    with device.precision("float32"):
        for i in range(0, n, size):
            batch = [_floats(x[i : i + size]) for x in inputs]
            outputs = function(batch if len(batch) > 1 else batch[0], training=False)
            parts.append(tf.nest.map_structure(np.asarray, outputs))
    return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def _floats(x: Any) -> np.ndarray:
    """Return images of whole numbers as float32 in [-1, 1]; floats, and labels, stay."""
    x = np.asarray(x)
    is_images = x.dtype.kind in "bui" and x.ndim > 2
    return to_uint8(x) / np.float32(127.5) - 1 if is_images else x


def draw(generator: Callable, n: int, latent_dim: int, seed: tuple[int, int]) -> np.ndarray:
    """Return n samples of a generator, (n, height, width, channels), from z ~ N(0, 1)."""
    z = tf.random.stateless_normal((n, latent_dim), seed)
    return in_batches(_compiled(generator) if n >= WORTH_COMPILING else generator, z)


@functools.lru_cache(maxsize=8)  # compiled once, though drawn from again and again
def _compiled(generator: Callable) -> Callable:
    # Without XLA: beside oneDNN it gains nothing here, and kernels of 5 x 5 take 17 times as long.
    return tf.function(generator, jit_compile=False)


# Features (n, d) of images, and logits (n, classes), None where the network is no classifier.
Embedded = tuple[np.ndarray, np.ndarray | None]


class Evaluation:
    """Measures samples against real test images.

    Real images are embedded when a measure first needs them, so it is made at once.

    Args:
        network: images -> features (n, d), or [features, logits].
        train: images that the generator learned from, at least twice as many as are used.
        test: images that it never saw.
        samples: how many of each kind to use, fewer where there are fewer.

    Raises:
        ValueError: there are fewer than 4 test or 8 training images.

    Attributes:
        n: images that are used of each kind.
        frechet_floor: the Fréchet distance of n training images.
    """

    def __init__(
        self, network: Callable, train: np.ndarray, test: np.ndarray, samples: int = 10_000
    ) -> None:
        self.network = network
        at_least(LEAST, samples=samples)
        for images in train, test:
            if np.asarray(images).dtype.kind == "f":
                check_floats(images, clip=False)
        if np.shape(train)[1:] != np.shape(test)[1:] or np.ndim(test) != 4:
            raise ValueError(
                f"The training images are {np.shape(train)[1:]}, the test images "
                f"{np.shape(test)[1:]}: they must be of one shape, (height, width, channels)."
            )
        self.n = min(samples, len(test), len(train) // 2)
        if self.n < LEAST:
            raise ValueError(
                f"{len(test)} test and {len(train)} training images ({samples} samples) are too "
                f"few to measure with: {LEAST} test and {2 * LEAST} training images are needed."
            )
        self._network = tf.function(network)
        self._test = test[: self.n]
        self._floor = train[: self.n]
        # The other half of the training images, so that none is its own nearest neighbour.
        self._train = train[self.n : 2 * self.n]

    @functools.cached_property
    def _test_features(self) -> np.ndarray:
        return self._embed(self._test)[0]

    @functools.cached_property
    def _train_features(self) -> np.ndarray:
        return self._embed(self._train)[0]

    @functools.cached_property
    def _floor_embedded(self) -> Embedded:
        return self._embed(self._floor)

    @functools.cached_property
    def frechet_floor(self) -> float:  # described with the class
        floor = metrics.frechet_distance(self._floor_embedded[0], self._test_features)
        if floor <= 0:
            raise ValueError(
                "Training and test images have the same features, so there is no floor to measure "
                "by. Take test images that are no training images."
            )
        return floor

    def frechet(self, images: np.ndarray) -> float:
        """Return the Fréchet distance of images as a multiple of its floor.

        Raises:
            ValueError: there are fewer than n images, or their values are none of images.
        """
        features, _ = self._embed(images)
        return metrics.frechet_distance(features, self._test_features) / self.frechet_floor

    def floor(self) -> dict[str, Any]:
        """Return what real training images get."""
        return self._measures(self._floor, self._floor_embedded)

    def __call__(self, images: np.ndarray) -> dict[str, Any]:
        """Return all measures of images, (n, height, width, channels).

        Fréchet distance (and as a multiple of its floor), kernel distance (and its standard
        deviation), precision, recall, and for a classifier what `metrics.class_shares` gives.
        "nearer train" is the share of images whose nearest neighbour among training images is
        nearer than that among as many test images, in pixels and in features: about .5 where
        nothing was memorised. A copy of one of these n training images counts 1, one of any other
        about .5, so copies of all N training images get about .5 + .5 n / N.

        Raises:
            ValueError: there are fewer than n images, or their values are none of images.
        """
        return self._measures(images[: self.n], self._embed(images))

    def _embed(self, images: np.ndarray) -> Embedded:
        if len(images) < self.n:
            raise ValueError(f"{len(images)} images, but this Evaluation compares {self.n}.")
        if np.shape(images)[1:] != np.shape(self._test)[1:]:
            raise ValueError(
                f"Images of {np.shape(images)[1:]} are compared with some of "
                f"{np.shape(self._test)[1:]}: they must be of one shape."
            )
        if np.asarray(images).dtype.kind == "f":
            check_floats(images)
        found = in_batches(self._network, images[: self.n])
        return tuple(found) if isinstance(found, list) else (found, None)

    def _measures(self, images: np.ndarray, embedded: Embedded) -> dict[str, Any]:
        features, logits = embedded
        test = self._test_features
        distance = metrics.frechet_distance(features, test)
        kernel, deviation = metrics.kernel_distance(features, test)
        precision, recall = metrics.precision_recall(test, features)
        found = {
            "Fréchet distance": distance,
            "times floor": distance / self.frechet_floor,
            "kernel distance": kernel,
            "kernel distance ±": deviation,
            "precision": precision,
            "recall": recall,
        }
        if logits is not None:
            found |= metrics.class_shares(logits)
        pixels = [_floats(x) for x in (images, self._train, self._test)]
        found["nearer train, pixels"] = _share_nearer(*pixels)
        found["nearer train, features"] = _share_nearer(features, self._train_features, test)
        return found


def _share_nearer(images: np.ndarray, train: np.ndarray, test: np.ndarray) -> float:
    """Return the share of images that are nearer to the training than to the test images."""
    _, to_train = metrics.nearest(images, train)
    _, to_test = metrics.nearest(images, test)
    return float(np.mean(to_train < to_test))


def table(
    floor: dict[str, Any], lesson: str = "", measures: Sequence[str] = (), **columns: dict[str, Any]
) -> None:
    """Show what `Evaluation` found, a column each, distances also as a multiple of the floor.

    A floor that is within its own standard deviation of 0 gives no multiple.

    Args:
        floor: `evaluation.floor()`.
        lesson: whose seeds to set beside, with `beside_seeds`.
        measures: the rows; all by default.
        **columns: what an Evaluation returned, by name.
    """
    every = [m for m in floor if m not in ("shares", "times floor") and not m.endswith("±")]
    rows = [_row(measure, floor, columns.values()) for measure in measures or every]
    tables.show(["", "real images", *columns], rows)
    if lesson:
        multiples = {name: found["times floor"] for name, found in columns.items()}
        beside_seeds(lesson, floor["Fréchet distance"], **multiples)


def _row(measure: str, floor: dict[str, Any], columns: Iterable[dict[str, Any]]) -> list[str]:
    """Write a row of the table: the floor, and for each column its value and its multiple."""
    lowest = floor[measure]
    is_known = lowest > floor.get(f"{measure} ±", 0)  # else the floor cannot be told from 0
    cells = [measure, f"{lowest:.3f}"]
    for found in columns:
        value = found[measure]
        multiple = f" ({value / lowest:.1f} ×)" if "distance" in measure and is_known else ""
        cells.append(f"{value:.3f}{multiple}")
    return cells


def beside_seeds(lesson: str, floor: float, **multiples: float) -> None:
    """Print distances beside those of the unchanged lesson at this preset, with several seeds.

    A difference is called noise inside the 95 % prediction interval of Student's t: mean ±
    t(n - 1) s √(1 + 1/n), for n seeds with the standard deviation s. Nothing is printed where
    no seeds were trained, or where the floor is that of other images.

    Args:
        lesson: its name.
        floor: the distance between real images.
        **multiples: distances as multiples of the floor, by the name of their weights.
    """
    known = json.loads(SEEDS_FILE.read_text(encoding="utf-8"))
    if not np.isclose(floor, known["floor"], rtol=0.01):
        return
    of_preset = known.get(lesson, {}).get(runtime.preset(), {})
    for name, seeds in of_preset.items():
        print(_comparison(name, multiples[name], seeds))


def _comparison(name: str, multiple: float, seeds: list[float]) -> str:
    n = len(seeds)
    mean = np.mean(seeds)
    deviation = np.std(seeds, ddof=1)
    noise = deviation * stats.t.ppf(0.975, n - 1) * np.sqrt(1 + 1 / n)
    verdict = "within noise" if abs(multiple - mean) <= noise else "more than noise"
    found = f"{name}: {multiple:.1f} × against {mean:.1f} ± {deviation:.1f}"
    return f"{found} of the unchanged lesson, {n} seeds at `{runtime.preset()}`: {verdict}"
