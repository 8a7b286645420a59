"""Batches of faces and their labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from utils import datasets, sources
from utils.options import one_of
from utils.topics.faces import drawn, files

OWN = "own"  # the part of faces that are not CelebA's


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceData(datasets.ImageData):
    """Faces and their attributes; batches are float32 in [-1, 1], half of them mirrored.

    In `identity` CelebA counts by the published numbers, the labels and the size, not by its
    pixels, which differ between packings of the same faces. Others count by theirs.

    Attributes:
        images: uint8, (n, height, width, 3), 0 to 255.
        labels: float32, (n, classes), 1 where a face has the attribute, else 0.
        classes: names of the attributes.
        numbers: int64, (n,), the published numbers of the images.
        part: which faces of CelebA, "small", "all" or "test128"; "own" are others.
        flip: half of the images are mirrored; which ones depends on (seed, place).
    """

    numbers: np.ndarray
    part: str = "small"
    flip: bool = True

    def load(
        self, indices: tf.Tensor, places: tf.Tensor
    ) -> tf.Tensor | tuple[tf.Tensor, tf.Tensor]:
        if not self.flip:
            return super().load(indices, places)

        def draw(place: tf.Tensor) -> tf.Tensor:
            return tf.random.stateless_uniform((1, 1, 1), [self.seed, place])

        drawn_for = tf.map_fn(draw, places, fn_output_signature=tf.float32)
        images, *labels = tf.nest.flatten(super().load(indices, places))
        images = tf.where(drawn_for < 0.5, images[:, :, ::-1], images)
        return (images, *labels) if self.with_labels else images

    def has(self, attribute: str) -> np.ndarray:
        """Return which faces have an attribute, bool (n,).

        Raises:
            ValueError: the data have no labels of this name.
        """
        one_of(self.classes, attribute=attribute)
        return self.labels[:, self.classes.index(attribute)] == 1

    def only(self, attribute: str, has: bool = True) -> FaceData:
        """Return the faces that have an attribute, or those that do not.

        Raises:
            ValueError: the data have no labels of this name, or too few faces for a batch.
        """
        chosen = self.has(attribute) == has
        name = f"{self.name}, {'' if has else 'not '}{attribute}"
        parts = {part: getattr(self, part)[chosen] for part in ("images", "labels", "numbers")}
        return dataclasses.replace(self, name=name, **parts)

    @cached_property
    def _identity(self) -> dict[str, Any]:
        counted = dict(vars(self))
        if not self.standin and self.part != OWN:
            counted["images"] = self.images.shape[1:]
        return {name: datasets.known_by(value) for name, value in counted.items()}


def celeba(
    image_size: int = 64,
    batch_size: int = 16,
    seed: int = 0,
    split: str = "train",
    attributes: Sequence[str] = files.ATTRIBUTES,
    part: str = "small",
    flip: bool = True,
    labels: bool = False,
) -> FaceData:
    """Load faces, cut to a square around face and hair, and their attributes (Liu et al. 2015).

    Looks in DATA_DIR for a folder or zip archive celeba (images in a folder img_align_celeba or
    in its zip; list_attr_celeba and list_eval_partition as .txt or .csv), then for
    celeba_small.zip; then in Keras' cache; then downloads 1.4 GB. Where nothing is to be had,
    drawn faces stand in and are named as a stand-in. They have labels for `drawn.DRAWN` only; all
    other labels are 0.

    Args:
        image_size: height and width; the square has 148 pixels, 74 in celeba_small.zip.
        batch_size: images a batch.
        seed: decides order and flips.
        split: "train", "validation" or "test".
        attributes: which attributes the labels hold, in this order.
        part: "small", published numbers 1 to 10,000 (9,000 train, 500 and 500, a split of ours
            with no person in two parts); "all", 202,599 faces with the published split;
            "test128", faces of the published test split: those of celeba_test128.zip, or without
            it the first of that split, as many.
        flip: mirror half of the images of a batch.
        labels: a batch is (images, labels) instead of the images alone.

    Raises:
        ValueError: a wrong argument, faces are missing, or a list is another than published.
        FileNotFoundError: nothing was found, and STANDIN=never.
        OSError: the temporary folder is full.
    """
    one_of(files.SPLITS, split=split)
    one_of(files.PARTS, part=part)
    for attribute in attributes:
        one_of(files.ATTRIBUTES, attribute=attribute)
    name, (images, numbers, every), is_standin = sources.or_standin(
        "CelebA",
        lambda: files.load(part, split, image_size),
        lambda: drawn.load(split, image_size, part),
    )
    print(f"Data: {name}, {len(images):,} faces ({part}, {split})")
    if not is_standin:
        print(files.TERMS)
    return FaceData(
        name=name,
        standin=is_standin,
        batch_size=batch_size,
        seed=seed,
        images=images,
        numbers=numbers,
        labels=every[:, [files.ATTRIBUTES.index(attribute) for attribute in attributes]],
        classes=tuple(attributes),
        part=part,
        split=split,
        flip=flip,
        with_labels=labels,
    )
