"""The devices that train: which there are, in what precision, and how several share a batch."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from utils.options import option

DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidia0", "/usr/lib/wsl/lib/libcuda.so.1")


@contextlib.contextmanager
def _native_stderr_kept() -> Iterator[None]:
    """Keep back what native code writes to stderr, unless the block fails or there is none."""
    try:
        before = os.dup(2)
    except OSError:  # a service
        yield
        return
    with tempfile.TemporaryFile() as kept, contextlib.ExitStack() as at_end:
        at_end.callback(os.close, before)
        at_end.callback(os.dup2, before, 2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(before, kept.read())
            raise


# TensorFlow greets with a dozen lines about libraries that it looks for, whatever the log level.
with _native_stderr_kept():
    import keras
    import numpy as np
    import tensorflow as tf

    GPUS = tf.config.list_physical_devices("GPU")

ONEDNN_BFLOAT16 = "auto_mixed_precision_onednn_bfloat16"  # an option of TensorFlow's optimizer
SETTINGS = {"image_data_format": "channels_last", "floatx": "float32", "epsilon": 1e-7}
_training_precision = "float32"
_describing = False


def check_keras() -> None:
    """Set what the lessons are written for where keras.json or a page has it otherwise.

    Raises:
        RuntimeError: Keras was imported before, on another backend than TensorFlow.
    """
    if (backend := keras.config.backend()) != "tensorflow":
        raise RuntimeError(f"Keras runs on {backend}, not TensorFlow: restart the kernel first.")
    for name, wanted in SETTINGS.items():
        found = getattr(keras.config, name)()
        if found != wanted:
            print(f"Keras' {name} {found!r} is ignored: the lessons use {wanted!r}.")
            getattr(keras.config, f"set_{name}")(wanted)


check_keras()


@functools.cache
def tell_why_no_gpu() -> None:
    """Print what TensorFlow says of GPUs, where a driver is there and no GPU is found.

    How much it says is fixed at its import, so another process asks, for some seconds.
    """
    there = any(map(os.path.exists, DRIVERS))
    if GPUS or not there or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return
    ask = [sys.executable, "-c", "import tensorflow as tf; tf.config.list_physical_devices('GPU')"]
    loud = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "0"}
    done = subprocess.run(ask, env=loud, capture_output=True, encoding="utf-8", errors="replace")
    lines = [line for line in done.stderr.splitlines() if "gpu" in line.lower() or "cud" in line]
    words = dict.fromkeys(line.partition("] ")[2] or line for line in lines)
    say("\n  ".join(["A driver of a GPU is there, but TensorFlow finds no GPU. It says:", *words]))


def name() -> str:
    """Name what trains, for instance "2 CPU cores, with bfloat16 units" or "2 x NVIDIA A100"."""
    if GPUS:
        found = tf.config.experimental.get_device_details(GPUS[0]).get("device_name", "GPU")
    else:
        affinity = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity else os.cpu_count()
        units = "with" if has_bfloat16_units() else "without"
        found = f"{cores} CPU core{'s' * (cores > 1)}, {units} bfloat16 units"
    return found if replicas() == 1 else f"{replicas()} x {found}"


def has_bfloat16_units() -> bool:
    """Tell whether the CPU multiplies bfloat16 in hardware, by oneDNN (asked on Linux only)."""
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":  # which multiplies so
        return False
    with contextlib.suppress(OSError):
        words = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
        return bool(words & {"amx_bf16", "avx512_bf16"})
    return False


# Precision


def set_training_precision(mixed: bool) -> str:
    """Decide the precision inside `Trainer.fit` from PRECISION, and return it.

    Args:
        mixed: where PRECISION is "auto", take what the device multiplies fastest.

    Returns:
        "float32" or "bfloat16".
    """
    global _training_precision
    _training_precision = option("PRECISION")
    if _training_precision == "auto":
        _training_precision = fastest_precision() if mixed else "float32"
    return _training_precision


def training_precision() -> str:
    """Return the precision inside `fit`: "float32" or "bfloat16"."""
    return _training_precision


def fastest_precision() -> str:
    """Return what the device multiplies fastest, of those that networks can be trained in.

    bfloat16 where there are units for it: on GPUs from compute capability 8.0 on (Ampere, such
    as A100). A T4 or V100 has none, so it trains in float32: float16 is not offered, because it
    loses small gradients and the second derivative of a gradient penalty. Among several GPUs,
    the least counts. Chosen by what the makers say; measured on no GPU yet.
    """
    if not GPUS:
        return "bfloat16" if has_bfloat16_units() else "float32"
    details = map(tf.config.experimental.get_device_details, GPUS)
    least = min(found.get("compute_capability", (0, 0)) for found in details)
    return "bfloat16" if least >= (8, 0) else "float32"


@contextlib.contextmanager
def precision(wanted: str, parts: Iterable[Any] = ()) -> Iterator[None]:
    """Compute in float32 or bfloat16 inside the block; variables stay float32.

    bfloat16 on a CPU is a switch of the whole process: oneDNN then computes matrix products and
    convolutions in it. On a GPU it is Keras' mixed precision (Micikevicius et al. 2018), set in
    all layers of the networks among `parts`, whose outputs are cast to float32. All is set back
    at the end.
    """
    before = tf.config.optimizer.get_experimental_options().get(ONEDNN_BFLOAT16, False)
    on_cpu = wanted == "bfloat16" and not GPUS
    on_gpu = wanted == "bfloat16" and bool(GPUS)
    with contextlib.ExitStack() as undo:
        undo.callback(tf.config.optimizer.set_experimental_options, {ONEDNN_BFLOAT16: before})
        tf.config.optimizer.set_experimental_options({ONEDNN_BFLOAT16: on_cpu})
        for part in parts if on_gpu else ():
            if isinstance(part, keras.Model):
                _set_mixed_bfloat16(part, undo)
        yield


def _set_mixed_bfloat16(network: keras.Model, undo: contextlib.ExitStack) -> None:
    """Give all layers of a network the policy, and cast its outputs to float32."""
    for layer in inner_layers(network):
        undo.callback(setattr, layer, "dtype_policy", layer.dtype_policy)
        layer.dtype_policy = "mixed_bfloat16"
    call = network.call

    def call_and_cast(*inputs: Any, **options: Any) -> Any:
        outputs = call(*inputs, **options)
        return tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), outputs)

    undo.callback(delattr, network, "call")
    network.call = call_and_cast


def keeps_layers() -> bool:
    """Tell whether a step in training is as it is described outside, so that a trace serves both.

    Not in mixed precision, and not where workers take other parts of a batch.
    """
    return not several_workers() and (not GPUS or training_precision() == "float32")


def inner_layers(network: keras.Model) -> list[keras.Layer]:
    """Return a network's layers and those within them."""
    found = [layer for layer in network.layers if isinstance(layer, keras.Layer)]
    for layer in list(found):
        if isinstance(layer, keras.Model):
            found += inner_layers(layer)
    return found


def xla(wanted: bool) -> bool:
    """Tell whether XLA compiles the step: a lesson's constant, unless XLA=0 or XLA=1 is set.

    Off where it would change more than the time: in bfloat16 on a CPU, which XLA does not know,
    and on several devices.
    """
    if replicas() > 1 or (training_precision() == "bfloat16" and not GPUS):
        return False
    return wanted if option("XLA") == "auto" else option("XLA") == "1"


# Several devices


def set_strategy() -> None:
    """Set the strategy that DEVICES asks for; what is built from here on lies on its devices.

    DEVICES=all takes all GPUs, or where there are none all logical CPU devices.
    """
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if option("DEVICES") == "all" and len(devices) > 1:
        tf.distribute.experimental_set_strategy(_mirrored(tuple(d.name for d in devices)))
    elif replicas() > 1:
        tf.distribute.experimental_set_strategy(None)


@functools.cache  # two of one kind in a process would number their messages alike
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(devices)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Compute what is inside on one device, also where several train: for games of a few points."""
    strategy = tf.distribute.get_strategy()
    several = replicas() > 1
    if several:
        tf.distribute.experimental_set_strategy(None)
    try:
        yield
    finally:
        if several:
            tf.distribute.experimental_set_strategy(strategy)


def replicas() -> int:
    """Return on how many devices the networks lie."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def is_chief() -> bool:
    """Tell whether this process is the one that writes files and prints."""
    return not several_workers() or tf.distribute.get_strategy().extended._is_chief


def wait() -> None:
    """Wait until the devices have done what they were asked for; several workers do not wait."""
    if not several_workers():
        tf.test.experimental.sync_devices()


def several_workers() -> bool:
    """Tell whether several processes train, each a part of the batch."""
    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def say(text: str, end: str = "\n") -> None:
    """Print a text, once where several processes train.

    A terminal that is gone, or a log on a full disk, ends no training.
    """
    if is_chief():
        with contextlib.suppress(OSError, ValueError):  # ValueError: it is closed
            print(text, end=end, flush=True)


def copies(variable: Any) -> list[tf.Variable]:
    """Return TensorFlow's variables behind one of Keras' or TensorFlow's, one a device."""
    found = variable if isinstance(variable, tf.Variable) else variable.value
    return list(getattr(found, "values", [found]))


def host(variable: Any) -> np.ndarray:
    """Return the value of a variable of Keras or TensorFlow; devices hold the same one."""
    return copies(variable)[0].numpy()


def generator(seed: int) -> tf.random.Generator:
    """Return a generator of random numbers that are the same on every device.

    So what is drawn for the whole batch is what one device would draw; `part` cuts it.
    """
    made = tf.random.Generator.from_seed(seed)
    made._distribution_strategy = None  # it would give each device numbers of its own
    return made


def part(whole: tf.Tensor) -> tf.Tensor:
    """Return this device's rows of what was drawn for the whole batch; on one device all."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return whole
    rows = whole.shape[0] // context.num_replicas_in_sync
    return whole[_replica(context) * rows :][:rows]


def _replica(context: tf.distribute.ReplicaContext) -> int | tf.Tensor:
    """Return the number of a device among all, or as the first worker's while one describes."""
    number = context.replica_id_in_sync_group
    if not _describing or not several_workers():
        return number
    own_devices = tf.distribute.get_strategy().extended.worker_devices
    return int(tf.get_static_value(number)) % len(own_devices)


@contextlib.contextmanager
def describing() -> Iterator[None]:
    """Let all workers trace inside the block what the first one computes."""
    global _describing
    _describing = True
    try:
        yield
    finally:
        _describing = False


def whole(part_of_batch: tf.Tensor) -> tf.Tensor:
    """Return the rows of all devices, in their order; the reverse of `part`."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return part_of_batch
    return context.all_gather(part_of_batch, axis=0)


def share(name: str, part_of_run: Any) -> None:
    """Prepare a network or an optimizer for several devices, so that they compute as one would.

    Losses are means over what a device got, so optimizers divide the sum of gradients by the
    number of devices; batch normalisation takes its statistics from the whole batch; Dropout and
    noise draw other numbers on each device. On one device nothing is changed.

    Raises:
        ValueError: it is something else, with variables that devices would write apart.
    """
    if replicas() == 1 or isinstance(part_of_run, tf.random.Generator):
        return
    if isinstance(part_of_run, keras.optimizers.Optimizer):
        part_of_run.loss_scale_factor = float(replicas())
    elif isinstance(part_of_run, keras.Model):
        for layer in inner_layers(part_of_run):
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
            if seeds := getattr(layer, "seed_generator", None):
                seeds.next = functools.partial(_next_apart, seeds)
    else:
        raise ValueError(
            f"{name} keeps one state for all images in their order, so this lesson trains on one "
            "device. Set DEVICES=one."
        )


def plain_losses() -> contextlib.AbstractContextManager:
    """Let Keras' losses be means over what a device got, like all others, inside the block.

    On several devices Keras divides its own losses by their number, as it sums gradients. Here
    the optimizers divide (`share`), so that it does not matter whose loss a step uses.
    """
    divides = "keras.src.losses.loss.scale_loss_for_distribution"
    return mock.patch(divides, lambda value: value)


def _next_apart(seeds: keras.random.SeedGenerator, ordered: bool = True) -> tf.Tensor:
    """Return a layer's next seed: each device gets another one."""
    seed = type(seeds).next(seeds, ordered)
    context = tf.distribute.get_replica_context()
    number = _replica(context) if context else 0
    return seed + tf.cast([1_000_003 * number, 0], seed.dtype)


def batches(dataset: Any, step: int) -> Any:
    """Return the batches of a data set (datasets.py) from a step on, cut among the devices."""
    cut = tf.distribute.get_strategy().distribute_datasets_from_function
    return cut(lambda context: dataset.from_step(step, context))


def copy(network: keras.Model) -> keras.Model:
    """Return a network of the same layers, with the same values."""
    made = keras.models.clone_model(network)
    for new, old in zip(made.variables, network.variables, strict=True):
        new.assign(host(old))
    return made
