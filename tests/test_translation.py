"""Photographs of one kind that become another kind, and come back."""

import keras
import numpy as np
import pytest

from utils.evaluation import Evaluation
from utils.topics.pairs import Translation

RNG = np.random.default_rng


def test_a_translation_and_back(capsys):
    """Dark photographs become bright ones, 255 - v, as far from other bright ones as the floor."""
    dark = RNG(0).integers(0, 100, (160, 3, 4, 3)).astype("uint8")
    bright = 255 - RNG(1).integers(0, 100, (40, 3, 4, 3)).astype("uint8")
    features = keras.Sequential([keras.Input((3, 4, 3)), keras.layers.Flatten()], name="pixels")
    judge = Evaluation(features, 255 - dark[40:], bright)
    invert, keep = (
        keras.Sequential([keras.Input((3, 4, 3)), keras.layers.Rescaling(s)]) for s in (-1, 1)
    )
    way = Translation("dark to bright", dark[:40], invert, invert, judge)
    photos, made, returned = way([3, 5])
    np.testing.assert_array_equal(photos, dark[[3, 5]])
    np.testing.assert_array_equal(made, 255 - photos)
    np.testing.assert_array_equal(returned, photos)
    assert abs(way.score()) < 0.05
    found = way.report()
    assert found["cycle error"] == 0
    assert found["untouched"]["kernel distance"] > 20 * abs(found["kernel distance"])
    assert found["floor"].keys() == {"Fréchet distance", "kernel distance", "kernel distance ±"}
    assert "dark to bright, features of pixels" in capsys.readouterr().out
    nothing = Translation("dark to bright", dark[:40], keep, invert, judge)
    assert nothing.score() == pytest.approx(1)
    expected = np.abs(255 - 2.0 * dark[:40]).mean()
    assert nothing.report()["cycle error"] == pytest.approx(expected)
