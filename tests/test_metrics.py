"""The measures against closed forms, SciPy, and sets laid out by hand."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.linalg

from utils import metrics, options

RNG = np.random.default_rng


def test_no_measure_needs_tensorflow_or_keras():
    code = "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; "
    code += "import numpy as np; from utils import metrics; x = np.arange(12.0).reshape(6, 2); "
    code += "print(metrics.frechet_distance(x, x + 3), metrics.diversity(x))"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=options.ROOT, capture_output=True, text=True, check=True
    )
    frechet, diversity = map(float, found.stdout.split())
    assert frechet == pytest.approx(18)
    assert diversity == pytest.approx(np.sqrt(8))


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
