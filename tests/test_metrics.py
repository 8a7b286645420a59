"""The measures against closed forms, SciPy, and sets laid out by hand."""

import json
import math
import os

import keras
import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf

from tests import toy
from utils import datasets, metrics, runtime, sources

RNG = np.random.default_rng


def gaussian(n, mean, covariance, seed=0):
    """n points whose sample mean and covariance are exactly these."""
    points = RNG(seed).normal(size=(n, len(mean)))
    points -= points.mean(0)
    points = np.linalg.solve(np.linalg.cholesky(np.cov(points, rowvar=False)), points.T).T
    return points @ np.linalg.cholesky(covariance).T + mean


def test_frechet_distance_of_gaussians_with_known_distance():
    """Diagonal covariances: |m|^2 + sum (s_a - s_b)^2."""
    a = gaussian(200, [0.0, 0.0, 0.0], np.diag([1.0, 4.0, 9.0]))
    b = gaussian(300, [1.0, 2.0, 2.0], np.diag([4.0, 4.0, 1.0]), seed=1)
    assert metrics.frechet_distance(a, b) == pytest.approx(9 + 1 + 0 + 4)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


@pytest.mark.filterwarnings("ignore:[0-9] samples for")
@pytest.mark.parametrize("samples", [500, 6])  # more than features, and fewer
def test_frechet_distance_against_scipy(samples):
    a, b = RNG(0).normal(size=(2, samples, 8)) @ RNG(1).normal(size=(2, 8, 8)) + 1
    c_a, c_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.sqrt(np.maximum(scipy.linalg.eigvals(c_a @ c_b).real, 0)).sum()
    if samples > 8:
        assert root == pytest.approx(np.trace(scipy.linalg.sqrtm(c_a @ c_b)).real)
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(c_a + c_b) - 2 * root
    assert metrics.frechet_distance(a, b) == pytest.approx(expected)
    assert metrics.frechet_distance(b, a) == pytest.approx(expected)


def test_frechet_distance_with_dead_features():
    """Features that never fire give eigenvalues of zero, rounded to either side of it."""
    a = np.zeros((100, 40), "float32")
    a[:, :3] = RNG(0).normal(size=(100, 3))
    a[:, 5] = a[:, 0] * 1e-8
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert metrics.frechet_distance(a, a + 1) == pytest.approx(40, rel=1e-6)


def test_frechet_distance_warns_of_fewer_samples_than_features():
    a = RNG(0).normal(size=(10, 20))
    with pytest.warns(UserWarning, match="10 samples for 20 features.*kernel_distance"):
        metrics.frechet_distance(a, a)


def test_kernel_distance_by_hand():
    """Two points each, on a line: every term of the unbiased MMD^2 is written out."""
    a, b = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    # k(0, 1) = 1, k(2, 3) = 7^3; k(0, 2) = k(0, 3) = 1, k(1, 2) = 3^3, k(1, 3) = 4^3
    expected = 1 + 343 - 2 * (1 + 1 + 27 + 64) / 4
    assert metrics.squared_mmd(a, b) == pytest.approx(expected)


def test_kernel_distance_is_unbiased():
    """One distribution: zero on average, however few the samples."""
    found = [
        metrics.kernel_distance(*RNG(seed).normal(size=(2, 40, 5)), subsets=4)[0]
        for seed in range(200)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error
    shifted = metrics.kernel_distance(RNG(0).normal(size=(400, 5)), RNG(1).normal(1, size=(400, 5)))
    assert shifted[0] > 10 * shifted[1]


def test_precision_and_recall_in_the_plane():
    """Real: two clusters. Fake: one of them, and as many points far from both."""
    square = np.array([[0, 0], [0, 1], [1, 0], [1, 1], [0.5, 0.5]])
    real = np.concatenate([square, square + 100])
    fake = np.concatenate([square + 0.1, square - 1000])
    assert metrics.precision_recall(real, fake) == (0.5, 0.5)
    assert metrics.precision_recall(real, real) == (1, 1)
    assert metrics.precision_recall(real, np.tile(square, (2, 1)) - 1000) == (0, 0)
    # Collapse to one good spot: all fakes are good, half of the reals are not there.
    assert metrics.precision_recall(real, np.concatenate([square, square * 0.9])) == (1, 0.5)


def test_precision_and_recall_against_the_definition():
    real, fake = RNG(0).normal(size=(60, 4)), RNG(1).normal(0.5, 1, size=(50, 4))

    def share(points, manifold, k=3):
        inside = 0
        for p in points:
            for m in manifold:
                radius = sorted(np.linalg.norm(manifold - m, axis=1))[k]  # [0] is itself
                if np.linalg.norm(p - m) <= radius:
                    inside += 1
                    break
        return inside / len(points)

    assert metrics.precision_recall(real, fake) == (share(fake, real), share(real, fake))


def test_class_shares():
    logits = np.full((8, 4), -1000.0)
    logits[np.arange(8), [0, 0, 0, 0, 1, 1, 2, 2]] = 1000.0
    found = metrics.class_shares(logits)
    assert found["shares"] == [0.5, 0.25, 0.25, 0]
    assert found["smallest share"] == 0
    assert found["entropy"] == pytest.approx((0.5 * np.log(2) + 0.5 * np.log(4)) / np.log(4))
    assert found["confidence"] == 1
    even = metrics.class_shares(np.log([[0.6, 0.4], [0.4, 0.6]]))
    assert (even["entropy"], even["confidence"]) == (pytest.approx(1), pytest.approx(0.6))


def test_nearest():
    references = RNG(0).integers(0, 256, (30, 4, 4, 1)).astype("uint8")
    samples = references[[7, 3]] / np.float32(1)
    samples[0, 0, 0] += 3
    found, distances = metrics.nearest(samples, references)
    assert found.tolist() == [7, 3]
    np.testing.assert_allclose(distances, [3, 0], atol=1e-3)


def test_diversity():
    images = RNG(0).normal(size=(16, 8, 8, 1))
    assert metrics.diversity(np.repeat(images[:2], 8, 0)) == pytest.approx(0, abs=1e-5)
    distances = np.linalg.norm((images[:, None] - images[None]).reshape(16, 16, -1), axis=2)
    expected = np.median(np.sort(distances, axis=1)[:, 1])
    assert metrics.diversity(images) == pytest.approx(expected, rel=1e-5)


def flat(images, training=False):
    """A feature network of the simplest kind."""
    return tf.reshape(images, (len(images), -1))[:, :6]


@pytest.fixture
def digits():
    rng = RNG(0)
    return [rng.integers(0, 256, (n, 4, 4, 1)).astype("uint8") for n in (100, 40)]


def test_evaluation_measures_beside_the_floor(digits, capsys):
    evaluation = metrics.Evaluation(flat, *digits, samples=1000)
    assert evaluation.n == 40
    floor = evaluation.floor()
    assert evaluation.frechet(digits[0][:40]) == pytest.approx(1)
    copies = evaluation(digits[0][40:80])
    assert copies["nearer train, pixels"] == copies["nearer train, features"] == 1
    assert 0.2 < floor["nearer train, pixels"] < 0.8
    inverted = evaluation(digits[0][:40] // 2)
    assert inverted["Fréchet distance"] > 2 * floor["Fréchet distance"]
    assert "smallest share" not in floor  # a network without logits
    metrics.table(floor, copies=copies, other=inverted)
    printed = capsys.readouterr().out
    assert f"{inverted['Fréchet distance'] / floor['Fréchet distance']:.1f} x" in printed


def test_a_distance_whose_floor_is_lost_in_noise_has_no_multiple(digits, capsys):
    found = metrics.Evaluation(flat, *digits).floor()
    found |= {"kernel distance": -0.01, "kernel distance ±": 0.02}
    metrics.table(found, samples=found | {"kernel distance": 1.0})
    line = next(row for row in capsys.readouterr().out.splitlines() if row.startswith("kernel"))
    assert line.split()[-1] == "1.0000"


def test_a_result_beside_the_seeds_of_the_unchanged_lesson(monkeypatch, tmp_path, capsys):
    """Three seeds: the interval is the mean ± 4.303 s √(4/3), 4.303 from a table of t."""
    file = tmp_path / "seeds.json"
    file.write_text('{"floor": 0.5, "lesson": {"quick": {"best": [9.0, 10.0, 11.0]}}}')
    monkeypatch.setattr(metrics, "SEEDS_FILE", file)
    monkeypatch.setenv("PRESET", "quick")
    edge = 10 + 4.303 * math.sqrt(4 / 3)
    for value, word in ((edge - 0.01, "within noise"), (edge + 0.01, "more than noise")):
        metrics.beside_seeds("lesson", 0.5, best=value, last=99.0)
        expected = f"best: {value:.1f} x against 10.0 ± 1.0 of the unchanged lesson, 3 seeds at"
        assert capsys.readouterr().out == f"{expected} `quick`: {word}\n"
    metrics.beside_seeds("lesson", 0.6, best=1.0)  # other images
    metrics.beside_seeds("another", 0.5, best=1.0)
    monkeypatch.setenv("PRESET", "long")
    metrics.beside_seeds("lesson", 0.5, best=1.0)
    assert capsys.readouterr().out == ""


def test_the_shipped_seeds_are_read(monkeypatch, capsys):
    monkeypatch.setenv("PRESET", "quick")
    floor = json.loads(metrics.SEEDS_FILE.read_text())["floor"]
    for lesson in "01_gan", "02_dcgan", "04_lsgan":
        metrics.beside_seeds(lesson, floor, best=1.0)
        assert "best: 1.0 x against" in capsys.readouterr().out


def test_images_that_cannot_be_measured(digits):
    evaluation = metrics.Evaluation(flat, *digits)
    broken = digits[0][:40] / np.float32(255)
    broken[3, 0, 0] = np.nan
    for measure in evaluation, evaluation.frechet:
        with pytest.raises(ValueError, match="NaN"):
            measure(broken)
    with pytest.raises(ValueError, match=r"39 images.*compares 40"):
        evaluation(digits[0][:39])


def test_measured_in_float32_whatever_training_runs_in():
    """bfloat16 rounds a product of numbers like 1 + 1/1000; measures must not."""
    dense = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, use_bias=False)])
    x = (1 + RNG(0).random((512, 64)) / 100).astype("float32")
    with runtime.precision("bfloat16"):
        found = metrics.in_batches(dense, x)
    np.testing.assert_allclose(found, x @ np.asarray(dense.layers[0].kernel), atol=1e-4)


def test_in_batches_keeps_order_and_structure():
    x = np.arange(1100, dtype="float32")[:, None]  # three batches
    both = metrics.in_batches(lambda batch, training: [batch, batch * 2], x)
    np.testing.assert_array_equal(both[0], x)
    np.testing.assert_array_equal(both[1], 2 * x)
    grey = np.array([[0], [255]], "uint8")
    found = metrics.in_batches(lambda batch, training: batch, grey)
    np.testing.assert_array_equal(found, [[-1], [1]])


def test_the_published_classifier():
    """Under 1 MB, of the shape it says, and right about what no training set holds: a stroke."""
    assert (metrics.DIGITS_FOLDER / "weights.npz").stat().st_size < 1_000_000
    network = metrics.digit_classifier()
    features, logits = metrics.in_batches(network, toy.data().images[:4])
    assert (features.shape, logits.shape) == ((4, 64), (4, 10))
    one = np.full((1, 28, 28, 1), -1.0, "float32")
    one[0, 5:23, 13:15] = 1
    assert metrics.in_batches(network, one)[1].argmax() == 1


@pytest.mark.skipif(not os.environ.get("DATA_DIR"), reason="needs the real MNIST in DATA_DIR")
def test_the_published_classifier_on_the_test_set():
    """At least 99.2 % right, as metrics.json beside it says; training digits get the floor."""
    train, test = datasets.mnist(), datasets.mnist(split="test")
    _, logits = metrics.in_batches(metrics.digit_classifier(), test.images)
    accuracy = np.mean(logits.argmax(1) == test.labels)
    facts = json.loads((metrics.DIGITS_FOLDER / "metrics.json").read_text())
    assert accuracy >= 0.992
    assert facts["test_accuracy"] == pytest.approx(accuracy, abs=2e-4)
    evaluation = metrics.Evaluation(metrics.digit_classifier(), train.images, test.images, 2000)
    assert evaluation.frechet(train.images[:2000]) == pytest.approx(1)
    assert 0.7 < evaluation.frechet(train.images[20000:22000]) < 1.4


def test_a_damaged_classifier_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "digit_classifier"
    folder.mkdir()
    for file in metrics.DIGITS_FOLDER.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    monkeypatch.setattr(metrics, "DIGITS_FOLDER", folder)
    sources.check_sums(folder)
    content = bytearray((folder / "weights.npz").read_bytes())
    content[-2000] ^= 1
    (folder / "weights.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"digit_classifier/weights\.npz is damaged"):
        metrics.digit_classifier()
