"""Photographs of one kind that become another kind, and how good that is: lesson 07."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from utils import images
from utils.evaluation import Evaluation, in_batches, table


class Translation:
    """Photographs of one kind that become another kind, and come back.

    Args:
        name: what becomes what.
        photos: uint8, (n, height, width, 3), that no network has learned from.
        there, back: networks, from images in [-1, 1] to such images.
        evaluation: measures against the kind that the photographs should become.

    Attributes:
        untouched: what the evaluation finds for the photographs as they are.
    """

    def __init__(
        self,
        name: str,
        photos: np.ndarray,
        there: Callable,
        back: Callable,
        evaluation: Evaluation,
    ) -> None:
        self.name = name
        self.photos = photos
        self.there = there
        self.back = back
        self.evaluation = evaluation
        self.untouched = evaluation(photos)
        self.scale = self.untouched["kernel distance"]
        deviation = self.untouched["kernel distance ±"]
        if self.scale <= deviation:
            self.scale = deviation
            print(f"{name}: {len(photos)} images cannot tell the kinds apart, so scores are noise.")

    def __call__(self, which: Any = slice(None)) -> list[np.ndarray]:
        """Return photographs, their translations, and what comes back, all uint8.

        Args:
            which: numbers of the photographs, or a slice.
        """
        photos = self.photos[which]
        translated = images.to_uint8(in_batches(self.there, photos))
        returned = images.to_uint8(in_batches(self.back, translated))
        return [photos, translated, returned]

    def score(self) -> float:
        """Return the kernel distance that is left, as a part of that of the untouched ones."""
        found = self.evaluation(in_batches(self.there, self.photos))
        return found["kernel distance"] / self.scale

    def report(self) -> dict[str, Any]:
        """Print the distances beside the floor and the untouched photographs, and return them.

        "cycle error" is the mean absolute difference between a photograph and what comes back,
        in grey levels, 0 to 255.
        """
        photos, translated, returned = self()
        found = self.evaluation(translated)
        floor = self.evaluation.floor()
        floor = {name: value for name, value in floor.items() if "distance" in name}
        print(f"{self.name}, features of {self.evaluation.network.name}")
        table(floor, untouched=self.untouched, translated=found)
        error = float(np.abs(returned.astype("float32") - photos).mean())
        print(f"there and back, a pixel is off by {error:.1f} of 255 grey levels\n")
        return {"floor": floor, "untouched": self.untouched, **found, "cycle error": error}
