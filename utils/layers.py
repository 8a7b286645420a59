"""What two or more lessons build their networks with."""

from __future__ import annotations

import keras


def summary(network: keras.Model) -> None:
    """Print one line per layer (kind, output shape without the batch, parameters) and the sum."""
    for layer in network.layers:
        shape = " x ".join(str(n) for n in layer.output.shape[1:])
        print(f"{type(layer).__name__:20}{shape:>14}{layer.count_params():>12,}")
    print(f"{'parameters':20}{network.count_params():>26,}")
