"""Distances between sets of features, and what else tells how good samples are.

Images become features of a network (evaluation.py); the measures here compare sets of features.
All of it is computed by NumPy in float32 or better, without TensorFlow and Keras.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from scipy import special, stats
from sklearn.metrics import pairwise_distances_argmin_min, pairwise_distances_chunked
from sklearn.metrics.pairwise import polynomial_kernel  # (x.y / features + 1)^3
from sklearn.neighbors import NearestNeighbors


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Compute the Fréchet distance between Gaussians fitted to two sets of features.

    |m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^1/2) (Heusel et al. 2017, eq. 6). With A'A = C_a
    and B'B = C_b the trace of the root is the sum of the singular values of AB'. Few samples
    have an A of few rows, so they take little time.

    Args:
        a, b: (n, features), any float; with fewer samples than features it warns.
    """
    a = np.asarray(a, "float64")
    b = np.asarray(b, "float64")
    fewest = min(len(a), len(b))
    if fewest < a.shape[1]:
        warnings.warn(
            f"{fewest} samples for {a.shape[1]} features: a Fréchet distance says little then. "
            "Take more samples, or kernel_distance, which has no such bias.",
            stacklevel=2,
        )
    root_a = _covariance_root(a)
    root_b = _covariance_root(b)
    trace_of_root = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    variances = np.sum(root_a**2) + np.sum(root_b**2)
    distance = np.sum((a.mean(0) - b.mean(0)) ** 2) + variances - 2 * trace_of_root
    return float(max(distance, 0.0))


def _covariance_root(samples: np.ndarray) -> np.ndarray:
    """Return A, with no more rows than columns, such that A'A is the samples' covariance."""
    x = (samples - samples.mean(0)) / math.sqrt(len(samples) - 1)  # X'X is the covariance
    return np.linalg.qr(x, mode="r")  # X = QR and Q'Q = 1


def kernel_distance(
    a: np.ndarray, b: np.ndarray, subsets: int = 50, size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Compute the kernel distance: MMD^2, averaged over subsets (Bińkowski et al. 2018).

    Unbiased: its mean does not depend on the number of samples; it can be a little negative.

    Args:
        a, b: (n, features).
        subsets: how many to draw at random.
        size: samples a subset, at most half of those there are.
        seed: of the draw.

    Returns:
        (mean, standard deviation) over the subsets.

    Raises:
        ValueError: there are fewer than 4 samples of a kind.
    """
    size = min(size, len(a) // 2, len(b) // 2)
    if size < 2:
        raise ValueError(f"kernel_distance needs 4 samples of each, not {len(a)} and {len(b)}.")
    a = np.asarray(a, "float64")
    b = np.asarray(b, "float64")
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(subsets):
        some_a = a[rng.choice(len(a), size, replace=False)]
        some_b = b[rng.choice(len(b), size, replace=False)]
        found.append(squared_mmd(some_a, some_b))
    return float(np.mean(found)), float(np.std(found))


def squared_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Estimate MMD^2 without bias, with the kernel (x.y / features + 1)^3 (Gretton et al. 2012).

    Args:
        x, y: (n, features), as many of each.
    """
    pairs = len(x) * (len(x) - 1)
    within = 0.0
    for kernel in polynomial_kernel(x), polynomial_kernel(y):
        # No point is compared with itself: that is what makes it unbiased.
        within += (kernel.sum() - np.trace(kernel)) / pairs
    return float(within - 2 * polynomial_kernel(x, y).mean())


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Compute precision and recall by nearest neighbours (Kynkäänniemi et al. 2019, eq. 1-3).

    A set's manifold is the union of balls around its points, each as large as the distance
    to the k-th neighbour. Precision is the share of fakes on the real manifold (are they
    good?), recall the share of reals on the fake one (is everything there?).

    Args:
        real, fake: (n, features), as many of each.
        k: which neighbour.

    Returns:
        (precision, recall), from 0 to 1.
    """
    precision = _share_on_manifold(fake, real, k)
    recall = _share_on_manifold(real, fake, k)
    return precision, recall


def _share_on_manifold(points: np.ndarray, manifold: np.ndarray, k: int) -> float:
    neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(manifold)
    distances_to_neighbours, _ = neighbours.kneighbors()  # a point is not its own neighbour
    radii = distances_to_neighbours[:, -1]

    def inside(distances: np.ndarray, start: int) -> np.ndarray:
        return (distances <= radii).any(axis=1)

    chunks = pairwise_distances_chunked(points, manifold, reduce_func=inside)
    return float(np.concatenate(list(chunks)).mean())


def nearest(samples: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the nearest reference of each sample.

    Args:
        samples, references: (n, ...) and (m, ...), pixels or features.

    Returns:
        (indices into the references, Euclidean distances), both (n,).
    """
    return pairwise_distances_argmin_min(_flat(samples), _flat(references))


def diversity(images: np.ndarray) -> float:
    """Compute the median distance from an image to the one most like it, in pixels.

    Args:
        images: (n, ...), two or more. Where they all look alike it is near 0.
    """
    distances, _ = NearestNeighbors(n_neighbors=1).fit(_flat(images)).kneighbors()
    return float(np.median(distances))


def _flat(images: np.ndarray) -> np.ndarray:
    return np.asarray(images, "float32").reshape(len(images), -1)


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
