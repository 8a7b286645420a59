"""Train the digit classifier on whose features the lessons on MNIST are measured.

    python -m tools.classifier

Writes outputs/pretrained/digit_classifier/. Seeded: on one machine and one version of
TensorFlow it gives the same weights every time.
"""

from __future__ import annotations

import json
import time

import keras
import numpy as np
import tensorflow as tf

from tools import records
from utils import datasets, evaluation, runtime

SEED = 1
BATCH_SIZE = 128
EPOCHS = 10
LEARNING_RATE = 1e-3  # of Adam; falls to 0 along half a cosine


def main() -> None:
    """Train, test, save."""
    runtime.start(SEED)
    tf.config.experimental.enable_op_determinism()
    train, test = datasets.mnist(seed=SEED), datasets.mnist(split="test")
    if train.standin:
        raise SystemExit("The classifier needs the real MNIST: set DATA_DIR.")
    network = evaluation.digit_network()
    model = keras.Model(network.input, network.output[1])
    steps = EPOCHS * -(-len(train.images) // BATCH_SIZE)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    began = time.perf_counter()
    images = train.images / np.float32(127.5) - 1
    model.fit(images, train.labels, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=2)
    seconds = time.perf_counter() - began
    logits = network.predict(test.images / np.float32(127.5) - 1, verbose=0)[1]
    accuracy = np.mean(logits.argmax(1) == test.labels)
    folder = evaluation.DIGITS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "weights.npz", *network.get_weights())
    facts = {"test_accuracy": round(float(accuracy), 4), "seconds": round(seconds)}
    facts |= {k: v for k, v in runtime.facts().items() if k in ("device", "versions", "date")}
    text = json.dumps(facts, indent=1)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    records.write_sums(folder, ("weights.npz", "metrics.json"))
    print(text)


if __name__ == "__main__":
    main()
