"""A trained network as files for other programs: lessons 07 and 09."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import keras
import tensorflow as tf

from utils import device

FORMATS = {  # what Keras calls it: (ending of its file, what opens it)
    "keras": (".keras", "Keras, with this project's layers"),
    "tf_saved_model": ("", "TensorFlow (a SavedModel)"),
    "onnx": (".onnx", "ONNX Runtime"),
    "litert": (".tflite", "LiteRT, for phones"),
}


def write(network: keras.Model, path: Path) -> dict[str, Path]:
    """Write a network in all FORMATS, and print what opens each file and what it takes.

    The files compute what `network(x, training=False)` does. The one for LiteRT takes one image
    at a time: with a batch of any size, `InstanceNorm` becomes an operation that LiteRT lacks.
    Files that are there already are overwritten.

    Args:
        network: in float32, as it is outside of training.
        path: of the files, without an ending.

    Returns:
        {format: its file, or the folder of a SavedModel}, without the formats that are `missing`.
        Of several processes only the chief writes.
    """
    written: dict[str, Path] = {}
    if not device.is_chief():
        return written
    with _one_device(), _quiet():
        plain = device.copy(network)
        for kind, (ending, opener) in FORMATS.items():
            file = path.with_name(path.name + ending)
            lacking = missing(kind)
            if lacking:
                print(f"{file.name:16} is not written: {lacking}")
                continue
            shape = _write_one(plain, file, kind)
            takes = str(shape).replace("None", "any")
            print(f"{file.name:16}{_megabytes(file):6.1f} MB  {takes:20}  for {opener}")
            written[kind] = file
    return written


def missing(kind: str) -> str:
    """Say what a format needs and this Python lacks; "" where nothing.

    Args:
        kind: one of FORMATS.
    """
    if kind == "onnx" and not (find_spec("tf2onnx") and find_spec("onnxruntime")):
        return "run `pip install -e .[export]` in the project's folder."
    version = tuple(int(number) for number in keras.__version__.split(".")[:2])
    if kind == "litert" and version < (3, 13):
        return f"it needs Keras 3.13 or newer, and this is {keras.__version__}."
    return ""


def _write_one(network: keras.Model, file: Path, kind: str) -> tuple[int | None, ...]:
    """Write one file and return the shape of what it takes."""
    shape = network.input_shape
    if kind == "keras":
        network.save(file)
    elif kind == "litert":
        shape = (1, *shape[1:])
        image = keras.InputSpec(shape=shape, dtype="float32")
        network.export(file, format=kind, verbose=False, input_signature=[image])
    else:
        network.export(file, format=kind, verbose=False)
    return shape


@contextlib.contextmanager
def _one_device() -> Iterator[None]:
    """Build networks on one device: what is exported from several cannot run elsewhere."""
    before = tf.distribute.get_strategy() if tf.distribute.has_strategy() else None
    tf.distribute.experimental_set_strategy(None)
    try:
        yield
    finally:
        tf.distribute.experimental_set_strategy(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what TensorFlow says of each SavedModel, and a warning of Keras about NumPy."""
    logger = tf.get_logger()
    before = logger.level
    logger.setLevel("WARNING")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            yield
    finally:
        logger.setLevel(before)


def _megabytes(file: Path) -> float:
    files = [x for x in file.rglob("*") if x.is_file()] if file.is_dir() else [file]
    return sum(x.stat().st_size for x in files) / 1e6
