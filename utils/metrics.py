"""How good samples are: distances between sets of images, each beside its floor.

Images become features of a network; the measures compare sets of features. A distance alone
has no scale, so each stands beside its floor: the same number between real training and real
test images, as many of each. All of it is computed in float32 or better.
"""

from __future__ import annotations

import functools
import json
import math
import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from scipy import special, stats
from sklearn.metrics import pairwise_distances_argmin_min, pairwise_distances_chunked
from sklearn.metrics.pairwise import polynomial_kernel  # (x.y / features + 1)^3
from sklearn.neighbors import NearestNeighbors

from utils import runtime, sources
from utils.options import ROOT

DIGITS_FOLDER = ROOT / "outputs" / "pretrained" / "digit_classifier"
SEEDS_FILE = ROOT / "outputs" / "pretrained" / "seeds.json"  # benchmarks/seeds.py


def digit_network() -> keras.Model:
    """Build the digit classifier: (n, 28, 28, 1) in [-1, 1] -> features (n, 64), logits (n, 10)."""
    x = inputs = layers.Input((28, 28, 1))
    for filters, strides in (32, 1), (32, 2), (64, 1), (64, 2):
        x = layers.Conv2D(filters, 3, strides, activation="relu")(x)
    x = layers.Dropout(0.4)(layers.Flatten()(x))
    features = layers.Dense(64, activation="relu")(x)
    return keras.Model(inputs, [features, layers.Dense(10)(layers.Dropout(0.3)(features))])


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


def in_batches(function: Callable, inputs: Any) -> Any:
    """Apply a network to many inputs, in inference mode and float32.

    Args:
        function: a network, or what is called like one: `function(batch, training=False)`.
        inputs: (n, ...), for instance z, or images in [-1, 1] or uint8; 200 of them at a time,
            8 photographs of 128 x 128, fewer where they are larger.

    Returns:
        The outputs: an array (n, ...), or a list of arrays where the network has several.
    """
    parts, size = [], max(1, min(200, 400_000 // np.prod(np.shape(inputs)[1:])))
    with runtime.precision("float32"):
        for i in range(0, len(inputs), size):
            batch = _floats(inputs[i : i + size])
            parts.append(tf.nest.map_structure(np.asarray, function(batch, training=False)))
    return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def draw(generator: Callable, n: int, latent_dim: int, seed: tuple[int, int]) -> np.ndarray:
    """Return n samples of a generator, (n, height, width, channels), from z ~ N(0, 1)."""
    z = tf.random.stateless_normal((n, latent_dim), seed)
    return in_batches(_compiled(generator, latent_dim) if n >= 1000 else generator, z)


@functools.lru_cache(maxsize=8)  # compiled once, though drawn from again and again
def _compiled(generator: Callable, latent_dim: int) -> Callable:
    function = functools.partial(generator, training=False)
    xla = runtime.xla_pays(function, tf.zeros((200, latent_dim)))
    return tf.function(generator, jit_compile=xla)


def _floats(images: Any) -> np.ndarray:
    """Return uint8 grey levels as float32 in [-1, 1]; floats stay as they are."""
    images = np.asarray(images)
    return images / np.float32(127.5) - 1 if images.dtype == np.uint8 else images


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the Fréchet distance between Gaussians fitted to two sets of features.

    |m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^1/2) (Heusel et al. 2017, eq. 6). With A'A = C_a
    and B'B = C_b the trace of the root is the sum of the singular values of AB'. Samples less
    their mean are such an A, so few samples take little time.

    Args:
        a, b: (n, features), any float; with fewer samples than features it warns.
    """
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    fewest = min(len(a), len(b))
    if fewest < a.shape[1]:
        warnings.warn(
            f"{fewest} samples for {a.shape[1]} features: a Fréchet distance says little then. "
            "Take more samples, or kernel_distance, which has no such bias.",
            stacklevel=2,
        )
    roots = [_root((x - x.mean(0)) / math.sqrt(len(x) - 1)) for x in (a, b)]
    cross = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    variances = sum(np.sum(root**2) for root in roots)
    distance = np.sum((a.mean(0) - b.mean(0)) ** 2) + variances - 2 * cross
    return float(max(distance, 0.0))


def _root(x: np.ndarray) -> np.ndarray:
    """Return A with A'A = x'x and no more rows than columns."""
    if len(x) <= x.shape[1]:
        return x
    values, vectors = np.linalg.eigh(x.T @ x)  # rounding can make a zero negative
    return np.sqrt(np.maximum(values, 0))[:, None] * vectors.T


def kernel_distance(
    a: np.ndarray, b: np.ndarray, subsets: int = 50, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Compute the kernel distance: MMD^2, averaged over subsets (Bińkowski et al. 2018).

    Unbiased: its mean does not depend on the number of samples; it can be a little negative.

    Args:
        a, b: (n, features).
        subsets: drawn at random; the result is their mean and standard deviation.
        size: samples a subset, at most half of those there are.
        seed: of the draw.
    """
    rng, size = np.random.default_rng(seed), min(size, len(a) // 2, len(b) // 2)
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    if size < 2:
        raise ValueError(f"kernel_distance needs 4 samples of each, not {len(a)} and {len(b)}.")

    found = []
    for _ in range(subsets):
        x, y = (s[rng.choice(len(s), size, replace=False)] for s in (a, b))
        found.append(squared_mmd(x, y))
    return float(np.mean(found)), float(np.std(found))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Estimate MMD^2 without bias, with the kernel (x.y / features + 1)^3 (Gretton et al. 2012).

    Args:
        x, y: (n, features), as many of each.
    """
    pairs, kernels = len(x) * (len(x) - 1), [polynomial_kernel(s) for s in (x, y)]
    # No point is compared with itself: that is what makes it unbiased.
    within = sum((k.sum() - np.trace(k)) / pairs for k in kernels)
    return float(within - 2 * polynomial_kernel(x, y).mean())


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Compute precision and recall by nearest neighbours (Kynkäänniemi et al. 2019, eq. 1-3).

    A set's manifold is the union of balls around its points, each as large as the distance
    to the k-th neighbour. Precision is the share of fakes on the real manifold (are they
    good?), recall the share of reals on the fake one (is everything there?).

    Args:
        real, fake: (n, features), as many of each.
    """

    def share(points: np.ndarray, manifold: np.ndarray) -> float:
        radii = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(manifold)
        radii = radii.kneighbors()[0][:, -1]  # a point is not its own neighbour

        def inside(distances: np.ndarray, start: int) -> np.ndarray:
            return (distances <= radii).any(axis=1)

        chunks = pairwise_distances_chunked(points, manifold, reduce_func=inside)
        return float(np.concatenate(list(chunks)).mean())

    return share(fake, real), share(real, fake)


def nearest(samples: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest reference of each sample.

    Args:
        samples, references: (n, ...) and (m, ...), pixels or features.

    Returns:
        (indices into the references, Euclidean distances), both (n,).
    """
    flat = [np.asarray(x, "float32").reshape(len(x), -1) for x in (samples, references)]
    return pairwise_distances_argmin_min(*flat)


def diversity(images: np.ndarray) -> float:
    """Compute the median distance from an image to the one most like it, in pixels.

    Args:
        images: (n, ...), two or more. Where they all look alike it is near 0.
    """
    flat = np.asarray(images, "float32").reshape(len(images), -1)
    return float(np.median(NearestNeighbors(n_neighbors=1).fit(flat).kneighbors()[0]))


def class_shares(logits: np.ndarray) -> dict[str, Any]:
    """Compute which classes a classifier sees.

    Args:
        logits: (n, classes).

    Returns:
        "shares": of each class; "smallest share"; "entropy" of the shares as a part of the
        largest possible, 1 for equal shares; "confidence": the mean probability of the class
        that is seen.
    """
    probabilities = special.softmax(np.asarray(logits, "float64"), axis=1)
    n, classes = probabilities.shape
    shares = np.bincount(probabilities.argmax(1), minlength=classes) / n
    return {
        "shares": [round(float(share), 4) for share in shares],
        "smallest share": float(shares.min()),
        "entropy": float(stats.entropy(shares, base=classes)),
        "confidence": float(probabilities.max(1).mean()),
    }


class Evaluation:
    """Measures samples against real test images.

    Args:
        network: images -> features (n, d), or [features, logits].
        train: images that the generator learned from, at least twice as many as are used.
        test: images that it never saw.
        samples: how many of each kind to use; fewer where there are fewer.

    Attributes:
        n: images that are used of each kind.
        frechet_floor: the Fréchet distance of n training images.
    """

    def __init__(
        self, network: Callable, train: np.ndarray, test: np.ndarray, samples: int = 10_000
    ) -> None:
        self.n = min(samples, len(test), len(train) // 2)
        self.network, self.floor_images = network, train[: self.n]
        self._compiled = tf.function(network)
        # The other half of the training images, so that none is its own nearest neighbour.
        self.references = [train[self.n : 2 * self.n], test[: self.n]]
        self.train, self.test = (self._embed(images)[0] for images in self.references)
        self.frechet_floor = frechet_distance(self._embed(self.floor_images)[0], self.test)

    def frechet(self, images: np.ndarray) -> float:
        """Return the Fréchet distance of images as a multiple of its floor."""
        return frechet_distance(self._embed(images)[0], self.test) / self.frechet_floor

    def floor(self) -> dict[str, Any]:
        """Return what real training images get."""
        return self(self.floor_images)

    def __call__(self, images: np.ndarray) -> dict[str, Any]:
        """Return all measures of images, (n, height, width, channels).

        Fréchet distance (and as a multiple of its floor), kernel distance (and its standard
        deviation), precision, recall, and for a classifier what `class_shares` gives. "nearer
        train" is the share of images whose nearest neighbour among training images is nearer
        than that among as many test images, in pixels and in features: at the floor nothing
        was memorised, a copy gets 1.

        Raises:
            ValueError: there are fewer than n images, or they hold NaN.
        """
        if len(images) < self.n:
            raise ValueError(f"{len(images)} images, but this Evaluation compares {self.n}.")
        images = images[: self.n]
        features, *logits = self._embed(images)
        kernel, deviation = kernel_distance(features, self.test)
        precision, recall = precision_recall(self.test, features)
        distance = frechet_distance(features, self.test)
        found = {
            "Fréchet distance": distance,
            "times floor": distance / self.frechet_floor,
            "kernel distance": kernel,
            "kernel distance ±": deviation,
            "precision": precision,
            "recall": recall,
        }
        found |= class_shares(logits[0]) if logits else {}
        in_pixels = [nearest(_floats(images), _floats(r))[1] for r in self.references]
        in_features = [nearest(features, r)[1] for r in (self.train, self.test)]
        found["nearer train, pixels"] = float(np.mean(in_pixels[0] < in_pixels[1]))
        found["nearer train, features"] = float(np.mean(in_features[0] < in_features[1]))
        return found

    def _embed(self, images: np.ndarray) -> list[np.ndarray]:
        if not np.isfinite(images).all():
            raise ValueError("The images hold NaN or infinite values: the training has diverged.")
        found = in_batches(self._compiled, images)
        return found if isinstance(found, list) else [found]


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
    found = known.get(lesson, {}).get(runtime.preset(), {})
    for name, seeds in found.items() if np.isclose(floor, known["floor"], rtol=0.01) else ():
        n, mean, deviation = len(seeds), np.mean(seeds), np.std(seeds, ddof=1)
        within = deviation * stats.t.ppf(0.975, n - 1) * np.sqrt(1 + 1 / n)
        word = "within noise" if abs(multiples[name] - mean) <= within else "more than noise"
        print(
            f"{name}: {multiples[name]:.1f} x against {mean:.1f} ± {deviation:.1f} of the ", end=""
        )
        print(f"unchanged lesson, {n} seeds at `{runtime.preset()}`: {word}")


def table(floor: dict[str, Any], lesson: str = "", **columns: dict[str, Any]) -> None:
    """Print what `Evaluation` found, a column each, distances also as a multiple of the floor.

    A floor that is within its own standard deviation of 0 gives no multiple.

    Args:
        floor: `evaluation.floor()`.
        lesson: whose seeds to set beside, with `beside_seeds`.
        **columns: what an Evaluation returned, by name.
    """
    print(f"{'':24}{'real images':>12}" + "".join(f"{name:>18}" for name in columns))
    for name, lowest in floor.items():
        if name in ("shares", "times floor") or name.endswith("±"):
            continue
        row = f"{name:24}{lowest:12.4f}"
        for found in columns.values():
            lost = lowest <= floor.get(f"{name} ±", 0)  # a floor that cannot be told from 0
            times = f"{found[name] / lowest:.1f} x" if "distance" in name and not lost else ""
            row += f"{found[name]:10.4f}{times:>8}"
        print(row.rstrip())
    if lesson:
        multiples = {name: found["times floor"] for name, found in columns.items()}
        beside_seeds(lesson, floor["Fréchet distance"], **multiples)
