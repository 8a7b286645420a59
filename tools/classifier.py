"""Train the digit classifier on whose features the lessons on MNIST are measured.

    python -m tools.classifier

Writes outputs/pretrained/digit_classifier/. Seeded: on one machine and one version of
TensorFlow it gives the same weights every time.
"""

from __future__ import annotations

import json
import time

import numpy as np
import tensorflow as tf

from tools import records
from utils import datasets, evaluation, runtime
from utils.topics import classes

SEED = 1


def main() -> None:
    """Train, test, save."""
    runtime.start(SEED)
    tf.config.experimental.enable_op_determinism()
    train, test = datasets.mnist(seed=SEED), datasets.mnist(split="test")
    if train.standin:
        raise SystemExit("The classifier needs the real MNIST: set DATA_DIR.")
    began = time.perf_counter()
    network = classes.train_classifier(train.images, train.labels, SEED, verbose=2)
    seconds = time.perf_counter() - began
    accuracy = classes.accuracy(network, test)
    folder = evaluation.DIGITS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "weights.npz", *network.get_weights())
    facts = {"test_accuracy": round(accuracy, 4), "seconds": round(seconds)}
    facts |= {k: v for k, v in runtime.facts().items() if k in ("device", "versions", "date")}
    text = json.dumps(facts, indent=1)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    records.write_sums(folder, ("weights.npz", "metrics.json"))
    print(text)


if __name__ == "__main__":
    main()
