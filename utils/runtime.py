"""Seeds, preset, precision and device: what a run is started with."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from utils.options import OPTIONS, option


@contextlib.contextmanager
def _native_stderr_off() -> Iterator[None]:
    """Drop what native code writes to stderr; Python's exceptions pass."""
    before = os.dup(2)
    with open(os.devnull, "w") as devnull:
        os.dup2(devnull.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


# TensorFlow greets with a dozen lines about libraries that it looks for, whatever the log level.
with _native_stderr_off():
    import keras
    import numpy as np
    import tensorflow as tf

    GPUS = tf.config.list_physical_devices("GPU")

T = TypeVar("T")
_training_precision = "float32"


def preset() -> str:
    """Return PRESET, or where it is not set `paper` on a GPU and `quick` elsewhere."""
    value = option("PRESET")
    return value if value != "auto" else "paper" if GPUS else "quick"


def pick(*, smoke: T, quick: T, long: T, paper: T) -> T:
    """Return the value that belongs to the preset of this run."""
    return {"smoke": smoke, "quick": quick, "long": long, "paper": paper}[preset()]


def start(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, decide the precision, and say what was decided.

    PRECISION=auto means bfloat16 on a CPU that has the units for it, else float32. bfloat16
    holds inside `Trainer.fit` only: samples, metrics and weights stay float32.

    Args:
        seed: any whole number from 0 to 2**31 - 1.

    Raises:
        ValueError: an option of the environment has a value that is not allowed.
    """
    global _training_precision
    for name in OPTIONS:
        option(name)
    keras.utils.set_random_seed(seed)
    wanted = option("PRECISION")
    if wanted == "auto":
        wanted = "bfloat16" if has_bfloat16_units() and not GPUS else "float32"
    _training_precision = wanted
    why = "the default on this device" if option("PRESET") == "auto" else "set by PRESET"
    print(f"Preset:    {preset()} ({why}; known: {', '.join(OPTIONS['PRESET'][1:])})")
    print(f"Device:    {device()}")
    print(f"Precision: {wanted} in training, float32 elsewhere")
    print("Versions: ", ", ".join(f"{k} {v}" for k, v in versions().items()))


def constants(namespace: dict[str, Any], without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the constants of a lesson: the UPPER_CASE numbers, strings and tuples.

    Call it as `runtime.constants(globals())`. They become part of the run's fingerprint.

    Args:
        namespace: names and what they stand for.
        without: beginnings of the names of constants that another training of the lesson uses.
    """
    plain = (bool, int, float, str, tuple, list)
    found = {k: v for k, v in namespace.items() if k.isupper() and isinstance(v, plain)}
    return {k: v for k, v in found.items() if not k.startswith(without)}


def training_precision() -> str:
    """Return the precision inside `fit`: "float32" or "bfloat16"."""
    return _training_precision


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Compute in `name` ("float32" or "bfloat16") inside the block.

    oneDNN's bfloat16 is a switch of the whole process, so it is set back at the end. It
    changes how matrix products and convolutions are computed; variables stay float32.
    """
    key = "auto_mixed_precision_onednn_bfloat16"
    before = tf.config.optimizer.get_experimental_options().get(key, False)
    tf.config.optimizer.set_experimental_options({key: name == "bfloat16"})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({key: before})


def has_bfloat16_units() -> bool:
    """Tell whether the CPU multiplies bfloat16 in hardware (asked on Linux only)."""
    with contextlib.suppress(OSError):
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
        return bool(words & {"amx_bf16", "avx512_bf16"})
    return False


def xla_pays(function: Callable, *arguments: tf.Tensor) -> bool:
    """Tell whether XLA makes a function faster by a tenth at least, by calling it a few times.

    On a CPU it halves the time of lesson 02's step; with kernels of 5 x 5 it takes it five times
    as long. Not tried where a call takes over .1 s without, or the CPU computes in bfloat16. On a
    GPU it is taken to pay.
    """
    if GPUS or training_precision() == "bfloat16":
        return bool(GPUS)
    shortest = []
    for xla in False, True:
        compiled, seconds = tf.function(function, jit_compile=xla), []
        for _ in range(6):  # the first one compiles
            began = time.perf_counter()
            tf.nest.map_structure(np.asarray, compiled(*arguments))
            seconds.append(time.perf_counter() - began)
        shortest.append(min(seconds[1:]))
        if shortest[0] > 0.1:
            return False
    return shortest[1] < 0.9 * shortest[0]


def device() -> str:
    """Name the device that trains, for instance "2 CPU cores, with bfloat16 units"."""
    if GPUS:
        return tf.config.experimental.get_device_details(GPUS[0]).get("device_name", "GPU")
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count()
    return f"{cores} CPU cores, {'with' if has_bfloat16_units() else 'without'} bfloat16 units"


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
        "device": device(),
        "precision": training_precision(),
        "versions": versions(),
        "date": date.today().isoformat(),
    }
