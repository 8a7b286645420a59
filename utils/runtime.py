"""What a page begins with: seeds, preset, constants, and what is known of the machine."""

from __future__ import annotations

import os
import platform
import sys
from datetime import date
from typing import Any, TypeVar

from utils import device, workers
from utils.options import OPTIONS, at_least, option, output_dir

# After device, which imports TensorFlow without its greeting.
import keras  # isort: skip
import numpy as np  # isort: skip
import tensorflow as tf  # isort: skip

T = TypeVar("T")
_started: dict[str, str] = {}  # PRESET and OUTPUT_DIR at the last `start`


def preset() -> str:
    """Return PRESET, or where it is not set `quick`, on every device.

    What a page computed, and where it lies, hangs on PRESET and OUTPUT_DIR. So a change of them
    after `start` is taken back here, with a sentence.
    """
    for name, value in _started.items():
        if (now := os.environ.get(name, "")) != value:
            device.say(f"{name}={now} is ignored: set it above runtime.start, and run from there.")
            os.environ[name] = value
    value = option("PRESET")
    return "quick" if value == "auto" else value


def pick(*, smoke: T, quick: T, long: T, paper: T) -> T:
    """Return the value that belongs to the preset of this run."""
    return {"smoke": smoke, "quick": quick, "long": long, "paper": paper}[preset()]


def start(seed: int, mixed_precision: bool = False) -> None:
    """Seed Python, NumPy and TensorFlow, decide precision and devices, and say what was decided.

    PRECISION=auto means float32, and with `mixed_precision` bfloat16 where the device has units
    for it. It holds inside `Trainer.fit` only: samples, metrics and weights stay float32.

    Args:
        seed: any whole number from 0 to 2**31 - 1.
        mixed_precision: for large networks, whose steps become shorter by it. The small ones of
            lesson 02 do not, and learn more slowly (benchmarks/RESULTS.md).

    Raises:
        ValueError: the seed or an option of the environment has a value that is not allowed.
    """
    at_least(0, seed=seed)
    if seed >= 2**31:
        raise ValueError(f"seed={seed}: take a whole number from 0 to 2**31 - 1.")
    for name in OPTIONS:
        option(name)
    os.environ["OUTPUT_DIR"] = str(output_dir())  # stays where it is when a page changes folders
    _started.update({name: os.environ.get(name, "") for name in ("PRESET", "OUTPUT_DIR")})
    if not workers.join(_shared(seed)):
        device.set_strategy()
    keras.utils.set_random_seed(seed)
    precision = device.set_training_precision(mixed_precision)
    why = "the default" if option("PRESET") == "auto" else "set by PRESET"
    device.say(f"Preset:    {preset()} ({why}; known: {', '.join(OPTIONS['PRESET'][1:])})")
    device.say(f"Device:    {device.name()}")
    device.say(f"Precision: {precision} in training, float32 elsewhere")
    device.tell_why_no_gpu()
    device.say("Versions:  " + ", ".join(f"{k} {v}" for k, v in versions().items()))


def _shared(seed: int) -> dict[str, Any]:
    """Return what must be the same for all workers of a training."""
    options = {name: option(name) for name in OPTIONS}
    return options | versions() | {"seed": seed, "page": os.environ.get("PAGE", "")}


def constants(namespace: dict[str, Any], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the constants of a lesson: UPPER_CASE numbers, strings, and collections of them.

    Call it as `runtime.constants(globals())`. They become part of what the run is known by.

    Args:
        namespace: names and what they stand for.
        without: beginnings of the names of constants that another training of the lesson uses.
    """
    found = {k: v for k, v in namespace.items() if k.isupper() and not k.startswith(without)}
    return {k: plain(v) for k, v in found.items() if plain(v) is not None}


def plain(value: Any) -> Any:
    """Return a number, string, or collection of such in Python's own kinds, else None."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return None


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "Python": platform.python_version(),
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
        "NumPy": np.__version__,
        "system": sys.platform,
    }


def facts() -> dict[str, Any]:
    """Return what metrics.json says of the machine and the start of a run."""
    return {
        "preset": preset(),
        "device": device.name(),
        "precision": device.training_precision(),
        "versions": versions(),
        "date": date.today().isoformat(),
    }
