"""Train the two judges of faces: `utils.topics.faces.judges`.

    python -m tools.judges

Writes outputs/pretrained/face_judges/. Needs celeba_small.zip, or CelebA, and celeba_test128.zip
in DATA_DIR. Trained on the training split of the part "small", at 64 x 64, to the end of the last
epoch. Tested on its test split and on all faces of "test128", none of whom is in the training set.
"""

from __future__ import annotations

import json
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from tools import records
from utils import run, runtime
from utils.topics import faces
from utils.topics.faces import files, judges

SEEDS = {"first": 1, "second": 2}
BATCH_SIZE = 64
EPOCHS = 30
LEARNING_RATE = 2e-3  # of AdamW; falls to 0 along half a cosine
WEIGHT_DECAY = 0.01
AVERAGE = 0.995  # decay of the averaged weights, which are kept
HEAVIEST = 8.0  # weight that a rare answer can have
JUDGED_WEIGHT = 3.0  # of the attributes that are judged, beside 1 for the mean over all 40


def weights_of(labels: np.ndarray) -> np.ndarray:
    """Return the weights of yes and no for each attribute, (2, 40): both count the same.

    Args:
        labels: float32 (n, 40), 0 or 1.
    """
    share = labels.mean(axis=0)
    return np.minimum(0.5 / np.stack([share, 1 - share]), HEAVIEST).astype("float32")


def batches(data: faces.FaceData, seed: int) -> tf.data.Dataset:
    """Return the endless batches of an augmented training set: images, labels."""
    change = keras.Sequential(
        [
            layers.RandomTranslation(0.04, 0.04, fill_mode="nearest", seed=seed),
            layers.RandomRotation(0.02, fill_mode="nearest", seed=seed + 1),
            layers.RandomZoom(0.05, fill_mode="nearest", seed=seed + 2),
            layers.RandomBrightness(0.1, value_range=(-1.0, 1.0), seed=seed + 3),
        ]
    )
    changed = data.from_step(0).map(lambda x, y: (change(x, training=True), y))
    return changed.prefetch(2)


def train(name: str, data: faces.FaceData) -> keras.Model:
    """Train a judge; its averaged weights remain."""
    keras.utils.set_random_seed(SEEDS[name])
    network = judges.network(name)
    yes, no = weights_of(data.labels)
    judged = [files.ATTRIBUTES.index(name) for name in judges.JUDGED]

    def loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        each = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
        each *= labels * yes + (1 - labels) * no
        of_judged = tf.gather(each, judged, axis=1)
        return tf.reduce_mean(each) + JUDGED_WEIGHT * tf.reduce_mean(of_judged)

    steps = len(data.images) // BATCH_SIZE
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, EPOCHS * steps)
    optimizer = keras.optimizers.AdamW(
        rate, WEIGHT_DECAY, use_ema=True, ema_momentum=AVERAGE, ema_overwrite_frequency=None
    )
    model = keras.Model(network.input, network.output[1])
    model.compile(optimizer, loss)
    # At its end `fit` puts the averages in the place of the weights.
    model.fit(batches(data, SEEDS[name]), epochs=EPOCHS, steps_per_epoch=steps, verbose=2)
    # The statistics of batch normalisation belong to other weights: estimated anew.
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.98
    for x, _ in batches(data, SEEDS[name]).take(200):
        model(x, training=True)
    return network


def main() -> None:
    """Train both, test, save."""
    runtime.start(0)
    data = faces.celeba(judges.SIDE, BATCH_SIZE, seed=1, labels=True)
    if data.standin:
        raise SystemExit("The judges need CelebA: set DATA_DIR.")
    tests = [faces.celeba(judges.SIDE, split="test")]
    tests += [faces.celeba(judges.SIDE, part="test128", split=split) for split in files.SPLITS]
    folder = judges.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"terms": files.TERMS, "test faces": [len(test.images) for test in tests]}
    for name in judges.NAMES:
        began = time.perf_counter()
        network = train(name, data)
        seconds = round(time.perf_counter() - began)
        half = [run.half(weight) for weight in network.get_weights()]
        np.savez_compressed(folder / f"{name}.npz", *half)
        network.set_weights([weight.astype("float32") for weight in half])
        facts[name] = measured(network, tests) | {"seconds": seconds}
        print(name, json.dumps(facts[name], indent=1), flush=True)
    facts |= {k: v for k, v in runtime.facts().items() if k in ("device", "versions", "date")}
    text = json.dumps(facts, indent=1)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    records.write_sums(folder, ("metrics.json", *(f"{name}.npz" for name in judges.NAMES)))


def measured(network: keras.Model, tests: list[faces.FaceData]) -> dict[str, dict[str, float]]:
    """Return balanced and plain accuracy by attribute, over all test faces together."""
    answers = [judges.found(network, test.images) for test in tests]
    result = {"balanced accuracy": {}, "accuracy": {}}
    for attribute in judges.JUDGED:
        said = np.concatenate([answer[attribute] for answer in answers])
        true = np.concatenate([test.has(attribute) for test in tests])
        result["balanced accuracy"][attribute] = round(judges.balanced_accuracy(true, said), 4)
        result["accuracy"][attribute] = round(float(np.mean(said == true)), 4)
    return result


if __name__ == "__main__":
    main()
