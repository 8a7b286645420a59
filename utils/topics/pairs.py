"""Two kinds of photographs without pairs, and how well one becomes the other."""

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
        self, name: str, photos: np.ndarray, there: Callable, back: Callable, evaluation: Evaluation
    ) -> None:
        self.name, self.photos, self.networks = name, photos, (there, back)
        self.evaluation, self.untouched = evaluation, evaluation(photos)

    def __call__(self, which: Any = slice(None)) -> list[np.ndarray]:
        """Return photographs, their translations, and what comes back, all uint8.

        Args:
            which: numbers of the photographs, or a slice.
        """
        found = [self.photos[which]]
        for network in self.networks:
            found.append(images.to_uint8(in_batches(network, found[-1])))
        return found

    def score(self) -> float:
        """Return the kernel distance that is left, as a part of that of the untouched ones."""
        found = self.evaluation(in_batches(self.networks[0], self.photos))
        return found["kernel distance"] / self.untouched["kernel distance"]

    def report(self) -> dict[str, Any]:
        """Print the distances beside the floor and the untouched photographs, and return them.

        "cycle error" is the mean absolute difference between a photograph and what comes back,
        in grey levels, 0 to 255.
        """
        photos, made, returned = self()
        floor, found = self.evaluation.floor(), self.evaluation(made)
        floor = {name: value for name, value in floor.items() if "distance" in name}
        print(f"{self.name}, features of {self.evaluation.network.name}")
        table(floor, untouched=self.untouched, translated=found)
        error = float(np.abs(returned.astype("float32") - photos).mean())
        print(f"there and back, a pixel is off by {error:.1f} of 255 grey levels\n")
        return {"floor": floor, "untouched": self.untouched, **found, "cycle error": error}
