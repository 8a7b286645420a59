"""Seeds, preset, precision and device: what a run is started with."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
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
LOSS_SCALE = 4096.0  # of gradients in float16, the largest of which is 65,504
_training_precision = "float32"


def preset() -> str:
    """Return PRESET, or where it is not set `paper` on a GPU and `quick` elsewhere."""
    value = option("PRESET")
    return value if value != "auto" else "paper" if GPUS else "quick"


def pick(*, smoke: T, quick: T, long: T, paper: T) -> T:
    """Return the value that belongs to the preset of this run."""
    return {"smoke": smoke, "quick": quick, "long": long, "paper": paper}[preset()]


def start(seed: int, mixed_precision: bool = False) -> None:
    """Seed Python, NumPy and TensorFlow, decide the precision, and say what was decided.

    PRECISION=auto means float32, and with `mixed_precision` what the device has units for:
    bfloat16, on some GPUs float16. It holds inside `Trainer.fit` only: samples, metrics and
    weights stay float32.

    Args:
        seed: any whole number from 0 to 2**31 - 1.
        mixed_precision: for large networks, whose steps become shorter by it. The small ones of
            lesson 02 do not, and learn more slowly (benchmarks/RESULTS.md).

    Raises:
        ValueError: an option of the environment has a value that is not allowed.
    """
    global _training_precision
    for name in OPTIONS:
        option(name)
    keras.utils.set_random_seed(seed)
    wanted = option("PRECISION")
    if wanted == "auto":
        wanted = fastest_precision() if mixed_precision else "float32"
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
    """Return the precision inside `fit`: "float32", "bfloat16" or "float16"."""
    return _training_precision


def fastest_precision() -> str:
    """Return what the device multiplies fastest, of those that networks can be trained in.

    Of GPUs by their compute capability: bfloat16 from 8.0 on (Ampere, such as A100), float16
    from 7.0 on (V100, T4). Among several, the least counts. Chosen by what the makers say;
    measured on no GPU yet.
    """
    if not GPUS:
        return "bfloat16" if has_bfloat16_units() else "float32"
    details = map(tf.config.experimental.get_device_details, GPUS)
    least = min(found.get("compute_capability", (0, 0)) for found in details)
    return "bfloat16" if least >= (8, 0) else "float16" if least >= (7, 0) else "float32"


@contextlib.contextmanager
def precision(name: str, parts: Iterable[Any] = ()) -> Iterator[None]:
    """Compute in `name` ("float32", "bfloat16" or "float16") inside the block.

    bfloat16 on a CPU is a switch of the whole process: oneDNN then computes matrix products and
    convolutions in it. Otherwise Keras' mixed precision (Micikevicius et al. 2018) is set in the
    layers of the networks among `parts`, but for each network's last one, so that losses are
    computed in float32. Variables stay float32 in any case, and all is set back at the end.

    float16 would lose small gradients as 0, so inside a network they are LOSS_SCALE times as
    large (section 3.2), and the optimizers among `parts` divide by it.
    """
    key = "auto_mixed_precision_onednn_bfloat16"
    before = tf.config.optimizer.get_experimental_options().get(key, False)
    by_onednn = name == "bfloat16" and not GPUS
    with contextlib.ExitStack() as stack:
        stack.callback(tf.config.optimizer.set_experimental_options, {key: before})
        tf.config.optimizer.set_experimental_options({key: by_onednn})
        for part in () if by_onednn or name == "float32" else parts:
            if isinstance(part, keras.Model):
                for layer in _inner_layers(part):
                    stack.callback(setattr, layer, "dtype_policy", layer.dtype_policy)
                    layer.dtype_policy = f"mixed_{name}"
                if name == "float16":
                    stack.callback(delattr, part, "call")
                    part.call = _with_larger_gradients(part.call)
            elif isinstance(part, keras.optimizers.Optimizer) and name == "float16":
                stack.callback(setattr, part, "loss_scale_factor", part.loss_scale_factor)
                part.loss_scale_factor = LOSS_SCALE
        yield


def _inner_layers(network: keras.Model, last: int = -1) -> list[keras.Layer]:
    """Return a network's layers and those within them, without its last."""
    found = [x for x in network.layers[:last] if isinstance(x, keras.Layer)]
    within = [y for x in found if isinstance(x, keras.Model) for y in _inner_layers(x, None)]
    return found + within


def _with_larger_gradients(call: Callable) -> Callable:
    """Wrap a network's call: gradients that enter it from behind grow, those that leave shrink.

    So what it passes on to its inputs is right, whatever the training step does with it.
    """

    @tf.custom_gradient
    def grow(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        return tf.identity(x), lambda gradient: gradient * LOSS_SCALE

    @tf.custom_gradient
    def shrink(x: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        return tf.identity(x), lambda gradient: gradient / LOSS_SCALE

    return lambda inputs, **options: grow(call(shrink(inputs), **options))


def has_bfloat16_units() -> bool:
    """Tell whether the CPU multiplies bfloat16 in hardware (asked on Linux only)."""
    with contextlib.suppress(OSError):
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
        return bool(words & {"amx_bf16", "avx512_bf16"})
    return False


def xla_pays(function: Callable, *arguments: tf.Tensor) -> bool:
    """Tell whether XLA makes a function faster by a tenth at least, by calling it a few times.

    On a CPU it halves the time of lesson 02's step; with kernels of 5 x 5 it takes it five times
    as long. Both ways are called in turns, so that other work on the machine slows both. Not tried
    where a call takes over .2 s without, or the CPU computes in bfloat16. On a GPU it is taken to
    pay.
    """
    if GPUS or training_precision() == "bfloat16":
        return bool(GPUS)

    def seconds(compiled: Callable) -> float:
        began = time.perf_counter()
        tf.nest.map_structure(np.asarray, compiled(*arguments))
        return time.perf_counter() - began

    plain, by_xla = (tf.function(function, jit_compile=xla) for xla in (False, True))
    seconds(plain)  # the first call compiles
    if min(seconds(plain) for _ in range(3)) > 0.2:
        return False
    seconds(by_xla)
    return statistics.median(seconds(by_xla) / seconds(plain) for _ in range(15)) < 0.9


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
