"""layers: what lessons build with, where no lesson's own test holds it."""

import keras
import numpy as np
import pytest
from keras import layers

from utils.layers import ReflectionPadding2D, summary


@pytest.mark.parametrize("padding", [1, 3])
def test_reflection_padding_mirrors_without_repeating_the_edge(padding):
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype("float32")
    sides = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    np.testing.assert_array_equal(ReflectionPadding2D(padding)(x), np.pad(x, sides, "reflect"))


def test_reflection_padding_is_saved_and_loaded_in_safe_mode(tmp_path):
    network = keras.Sequential([layers.Input((5, 6, 3)), ReflectionPadding2D(2)])
    network.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras", safe_mode=True)
    x = np.random.default_rng(0).normal(size=(1, 5, 6, 3)).astype("float32")
    np.testing.assert_array_equal(loaded(x), network(x))
    assert loaded.output_shape == (None, 9, 10, 3)


def test_summary_prints_a_network_inside_by_its_name(capsys):
    inner = keras.Sequential([layers.Dense(3)], name="block")
    summary(keras.Sequential([layers.Input((2,)), inner, layers.Dense(1)]))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows == [["block", "3", "9"], ["Dense", "1", "4"], ["parameters", "13"]]
