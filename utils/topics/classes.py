"""Samples that were asked for by class: do they fit it, and is each class whole?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from utils import evaluation, metrics
from utils.datasets import ImageData
from utils.images import to_uint8

EPOCHS = 10  # of the classifier that is trained on samples; as the published one
CLASSIFIER_BATCH = 128
CLASSIFIER_RATE = 1e-3  # of Adam; falls to 0 along half a cosine


def balanced(n: int, classes: int) -> np.ndarray:
    """Return n labels, int64, as many of each class as of the others, or one more."""
    return np.arange(n) % classes


class ClassEvaluation:
    """Measures samples class by class, beside real training images of the same classes.

    Args:
        network: images -> [features (n, d), logits (n, classes)]; a classifier of the classes.
        train: images that the generator learned from, with labels.
        test: images that it never saw.
        most: images of a class to use, at most; fewer where a class has fewer test images.

    Attributes:
        each: images that are compared, of each class.
    """

    def __init__(
        self, network: Callable, train: ImageData, test: ImageData, most: int = 1000
    ) -> None:
        self.network = network
        self.classes = len(test.classes)
        counts = [np.bincount(x.labels, minlength=self.classes).min() for x in (train, test)]
        self.each = int(min(most, *counts))
        self._test = [self._features(images) for images in self._by_class(test)]
        self._train = [self._features(images) for images in self._by_class(train)]

    def _by_class(self, data: ImageData) -> list[np.ndarray]:
        return [data.images[data.labels == k][: self.each] for k in range(self.classes)]

    def _features(self, images: np.ndarray) -> np.ndarray:
        return evaluation.in_batches(self.network, images)[0]

    def floor(self) -> dict[str, float]:
        """Return what real training images get; their labels are taken as they are."""
        return self._compared(self._train)

    def __call__(self, images: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        """Return all measures of samples.

        Args:
            images: (n, height, width, channels) in [-1, 1], `each` of each class at least.
            labels: the classes that were asked for, int (n,).

        Returns:
            "agreement": the share in which the classifier sees the class that was asked for.
            "recall by class" and "distance by class": recall (`metrics.precision_recall`) and
            Fréchet distance between samples and test images of one class, means over classes;
            "recall, floor" and "distance, floor": the same of real training images.

        Raises:
            ValueError: there are too few samples of a class.
        """
        features, logits = evaluation.in_batches(self.network, images)
        of_class = [features[labels == k][: self.each] for k in range(self.classes)]
        if min(map(len, of_class)) < self.each:
            raise ValueError(
                f"{min(map(len, of_class))} samples of a class, but {self.each} are compared: "
                "draw as many of each class."
            )
        floor = {f"{name}, floor": value for name, value in self.floor().items()}
        agreement = float(np.mean(logits.argmax(axis=1) == labels))
        return {"agreement": agreement} | self._compared(of_class) | floor

    def _compared(self, of_class: list[np.ndarray]) -> dict[str, float]:
        pairs = list(zip(self._test, of_class, strict=True))
        recalls = [metrics.precision_recall(test, some)[1] for test, some in pairs]
        distances = [metrics.frechet_distance(some, test) for test, some in pairs]
        return {
            "recall by class": float(np.mean(recalls)),
            "distance by class": float(np.mean(distances)),
        }


def train_classifier(
    images: np.ndarray, labels: np.ndarray, seed: int, epochs: int = EPOCHS, verbose: int = 0
) -> keras.Model:
    """Train a digit classifier of the published kind (`evaluation.digit_network`).

    Args:
        images: (n, 28, 28, 1), uint8 or in [-1, 1].
        labels: int (n,), 0 to 9.
        seed: decides its weights and the order of the images.
        epochs: passes over the images.
        verbose: of Keras: 0 prints nothing, 2 a line an epoch.

    Returns:
        images -> [features (n, 64), logits (n, 10)].
    """
    keras.utils.set_random_seed(seed)
    network = evaluation.digit_network()
    model = keras.Model(network.input, network.output[1])
    steps = epochs * -(-len(images) // CLASSIFIER_BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(CLASSIFIER_RATE, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    scaled = to_uint8(images) / np.float32(127.5) - 1
    model.fit(scaled, labels, batch_size=CLASSIFIER_BATCH, epochs=epochs, verbose=verbose)
    return network


def accuracy(network: Callable, data: ImageData) -> float:
    """Return the share of images that a classifier reads as they are labelled."""
    _, logits = evaluation.in_batches(network, data.images)
    return float(np.mean(logits.argmax(axis=1) == data.labels))
