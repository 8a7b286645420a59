"""What the benchmarks count with, held against sums by hand."""

import tensorflow as tf
from keras import Sequential, layers

from benchmarks import timing


def test_operations_of_a_step_by_hand():
    """Two a multiply-add; no gradient for the images, nor anything that no result needs."""
    network = Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(8, 3, 2, "same"),
            layers.Conv2DTranspose(4, 4, 2, "same"),
            layers.Flatten(),
            layers.Dense(5),
        ]
    )

    def step(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(images) ** 2)
        gradients = tape.gradient(loss, network.trainable_variables)
        network(images[:1])
        return {"loss": loss, "sum": tf.add_n([tf.reduce_sum(g) for g in gradients])}

    first, second, last = 8 * 8 * 9 * 3 * 8, 8 * 8 * 16 * 8 * 4, 16 * 16 * 4 * 5
    expected = 2 * 2 * (2 * first + 3 * second + 3 * last)  # two images
    assert timing.operations(step, tf.zeros((2, 16, 16, 3))) == expected


def test_turns():
    calls = []

    def step(name):
        calls.append(name)
        return {"loss": tf.constant(0.0)}

    found = timing.in_turns({n: lambda n=n: step(n) for n in "ab"}, turns=2, calls=3)
    assert "".join(calls) == "ab" + 2 * "aaabbb"
    assert [len(seconds) for seconds in found.values()] == [2, 2]
