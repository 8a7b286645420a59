"""Judges: two networks of the project that say which attributes a face of 64 x 64 has.

They differ in form and seed. The first may choose: a network, a moment, a z; scores are in its
features. The second only counts attributes in the results of pages, so that these counts do not
praise what the first preferred.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import layers
from sklearn import metrics

from utils import evaluation, sources, tables
from utils.options import ROOT, one_of
from utils.topics.faces import files

FOLDER = ROOT / "outputs" / "pretrained" / "face_judges"
SIDE = 64  # of the faces that they know, in pixels
NAMES = ("first", "second")
JUDGED = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Eyeglasses", "Male", "Smiling", "Young")


def network(name: str, size: int = SIDE) -> keras.Model:
    """Build a judge: (n, size, size, 3) in [-1, 1] -> features (n, 128), logits (n, 40).

    Args:
        name: "first", plain convolutions and max pooling; "second", residual blocks with
            strides (He et al. 2016).
        size: pixels a side of the faces, a multiple of 64; larger ones become 64 by means.

    Raises:
        ValueError: another name, or no multiple of 64.
    """
    one_of(NAMES, name=name)
    if size % SIDE or size < SIDE:
        raise ValueError(f"size={size}: judges see faces of {SIDE} pixels a side or a multiple.")
    inputs = layers.Input((size, size, 3))
    x = inputs if size == SIDE else layers.AveragePooling2D(size // SIDE)(inputs)
    x = layers.Conv2D(32, 4, 2, padding="same", use_bias=False)(x)  # (n, 32, 32, 32)
    for channels in (64, 128, 192, 256) if name == "first" else (48, 96, 192):
        x = _plain(x, channels) if name == "first" else _residual(x, channels)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    features = layers.Dense(128, activation="relu")(layers.Dropout(0.1)(x))
    logits = layers.Dense(len(files.ATTRIBUTES))(layers.Dropout(0.1)(features))
    return keras.Model(inputs, [features, logits], name=f"{name}_judge")


def _plain(x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    """Add a convolution, and halve the maps before it but for the first time."""
    x = layers.ReLU()(layers.BatchNormalization()(x))
    if channels > 64:
        x = layers.MaxPooling2D()(x)
    return layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)


def _residual(x: keras.KerasTensor, channels: int) -> keras.KerasTensor:
    """Add a residual block that halves the maps, activation first."""
    y = layers.ReLU()(layers.BatchNormalization()(x))
    shortcut = layers.Conv2D(channels, 1, 2, use_bias=False)(y)
    y = layers.Conv2D(channels, 3, 2, padding="same", use_bias=False)(y)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.Conv2D(channels, 3, padding="same", use_bias=False)(y)
    return layers.Add()([shortcut, y])


def judge(name: str, size: int = SIDE) -> keras.Model:
    """Return a judge as tools/judges.py trained it; its weights carry CelebA's terms.

    Args:
        name, size: of `network`.

    Raises:
        ValueError: another name, or the file of its weights is damaged.
    """
    sources.check_sums(FOLDER)
    model = network(name, size)
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        model.set_weights([file[key].astype("float32") for key in file.files])
    return model


def found(model: keras.Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Return which of JUDGED a judge finds.

    Args:
        model: from `judge`.
        images: faces of the model's size, (n, size, size, 3), float32 in [-1, 1] or uint8.

    Returns:
        {attribute: bool (n,)}. The loss in training gave both answers equal weight, however rare
        an attribute is, so a judge answers yes where its logit is above 0.
    """
    _, logits = evaluation.in_batches(model, images)
    return {name: logits[:, files.ATTRIBUTES.index(name)] > 0 for name in JUDGED}


def changed(
    model: keras.Model,
    before: np.ndarray,
    after: np.ndarray,
    wanted: Mapping[str, bool],
    kept: Sequence[str] = (),
) -> dict[str, float]:
    """Return how many faces were given what was wanted, and kept the rest, by a judge.

    Args:
        model: from `judge`.
        before, after: faces, (n, 64, 64, 3), float32 in [-1, 1] or uint8, and what became of them.
        wanted: the answers that they should get, {"Black_Hair": False, "Blond_Hair": True}.
        kept: attributes whose answers should stay.

    Returns:
        Shares from 0 to 1: "untouched", of `before` with all wanted answers, "turned", of `after`
        with them, and "NAME kept", of faces whose answer is the same before and after.
    """
    first, second = found(model, before), found(model, after)

    def share(answers: dict[str, np.ndarray]) -> float:
        return float(np.mean(np.all([answers[k] == v for k, v in wanted.items()], axis=0)))

    same = {f"{name} kept": float(np.mean(first[name] == second[name])) for name in kept}
    return {"untouched": share(first), "turned": share(second), **same}


def balanced_accuracy(labels: np.ndarray, answers: np.ndarray) -> float:
    """Return the mean of the shares of right answers among faces with and without an attribute.

    Always answering no is right on 93 % of faces where 7 % have glasses, and has .5 here.

    Args:
        labels, answers: bool (n,).
    """
    return float(metrics.balanced_accuracy_score(labels, answers))


def reliability(name: str) -> dict[str, float]:
    """Return a judge's balanced accuracy on faces that it never saw, for each of JUDGED."""
    text = (FOLDER / "metrics.json").read_text(encoding="utf-8")
    return json.loads(text)[name]["balanced accuracy"]


def table(name: str) -> None:
    """Show how reliable a judge is, beside what it judges."""
    rows = [[attribute, f"{value:.3f}"] for attribute, value in reliability(name).items()]
    tables.show([f"{name} judge", "balanced accuracy"], rows)
