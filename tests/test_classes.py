"""Samples of classes that were asked for, measured against sums by hand."""

import numpy as np
import pytest

from utils import datasets, evaluation, metrics
from utils.topics import classes


def network(images, training=False):
    """Features are the first two pixels; the class is told by the third."""
    flat = np.asarray(images).reshape(len(images), -1)
    third = np.rint((flat[:, 2] + 1) * 127.5).astype(int)
    return [flat[:, :2], np.eye(3, dtype="float32")[third]]


def data(seed, counts, split):
    """Images of 2 x 2, whose first two pixels are features and whose third is the class."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), counts)
    images = rng.integers(0, 256, (len(labels), 2, 2, 1)).astype("uint8")
    images[:, 1, 0, 0] = labels
    return datasets.ImageData(
        name="three",
        standin=False,
        batch_size=1,
        seed=1,
        images=images,
        labels=labels.astype("int64"),
        classes=("a", "b", "c"),
        split=split,
    )


def scaled(images):
    return images.astype("float32") / 127.5 - 1


@pytest.fixture
def made():
    train, test = data(1, (30, 40, 50), "train"), data(2, (25, 20, 60), "test")
    return classes.ClassEvaluation(network, train, test), train, test


def test_each_class_has_as_many_as_the_smallest_has(made):
    evaluation_of, train, test = made
    assert evaluation_of.each == 20
    assert classes.ClassEvaluation(network, train, test, most=7).each == 7


def test_measures_are_means_over_classes(made):
    found, train, test = made
    samples = data(3, (22, 22, 22), "samples")
    labels = samples.labels.copy()
    labels[:11] = 1  # asked for b, and got a
    labels[22:33] = 0
    measured = found(scaled(samples.images), labels)
    assert measured["agreement"] == pytest.approx(44 / 66)
    recalls, distances, floors = [], [], []
    for k in range(3):
        real = scaled(test.images[test.labels == k][:20]).reshape(20, -1)[:, :2]
        fake = scaled(samples.images[labels == k][:20]).reshape(20, -1)[:, :2]
        other = scaled(train.images[train.labels == k][:20]).reshape(20, -1)[:, :2]
        recalls.append(metrics.precision_recall(real, fake)[1])
        distances.append(metrics.frechet_distance(fake, real))
        floors.append(metrics.frechet_distance(other, real))
    assert measured["recall by class"] == pytest.approx(np.mean(recalls))
    assert measured["distance by class"] == pytest.approx(np.mean(distances))
    assert measured["distance by class, floor"] == pytest.approx(np.mean(floors))
    assert found.floor()["distance by class"] == pytest.approx(np.mean(floors))


def test_images_that_are_all_alike_agree_but_have_no_recall(made):
    """So agreement counts only beside recall."""
    found, train, _ = made
    one_of_each = np.stack([train.images[train.labels == k][0] for k in range(3)])
    copies = scaled(np.repeat(one_of_each, 20, axis=0))
    measured = found(copies, np.repeat(np.arange(3), 20))
    assert measured["agreement"] == 1
    assert measured["recall by class"] < 0.2 < measured["recall by class, floor"]


def test_too_few_samples_of_a_class_are_named(made):
    found, train, _ = made
    with pytest.raises(ValueError, match="10 samples of a class, but 20 are compared"):
        found(scaled(train.images[:110]), np.repeat([0, 1, 2], (50, 50, 10)))


def test_balanced_labels():
    assert classes.balanced(23, 10).tolist() == [*range(10), *range(10), 0, 1, 2]


def test_a_classifier_learns_what_it_is_shown():
    """Dark and bright images; the same seed gives the same weights."""
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    images = (rng.integers(0, 100, (400, 28, 28, 1)) + 150 * labels[:, None, None, None]).astype(
        "uint8"
    )
    network, again = (classes.train_classifier(images, labels, seed=1, epochs=2) for _ in range(2))
    for a, b in zip(network.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    held = datasets.ImageData(
        name="two",
        standin=False,
        batch_size=1,
        seed=1,
        images=images,
        labels=labels,
        classes=("dark", "bright"),
    )
    assert classes.accuracy(network, held) == 1
    other = evaluation.digit_network()
    assert [w.shape for w in network.weights] == [w.shape for w in other.weights]
