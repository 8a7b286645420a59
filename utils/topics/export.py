"""A trained network as files for other programs: lessons 07 and 09."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from utils import device, run

FORMATS = {  # what Keras calls it: (ending of its file, what opens it)
    "keras": (".keras", "Keras, with this project's layers"),
    "tf_saved_model": ("", "TensorFlow (a SavedModel)"),
    "onnx": (".onnx", "ONNX Runtime"),
    "litert": (".tflite", "LiteRT, for phones"),
}
SAVED_MODEL = {"saved_model.pb", "fingerprint.pb", "variables", "assets"}
HALF = {"float16", "bfloat16"}
FULL = "No space left on device", "File too large", "Disk quota exceeded"  # as TensorFlow has it


def write(network: keras.Model, path: str | Path) -> dict[str, Path]:
    """Write a network in all FORMATS, and print what opens each file and what it takes.

    The files compute what `network(x, training=False)` does, in float32. The one for LiteRT takes
    one image at a time: with a batch of any size, `InstanceNorm` becomes an operation that LiteRT
    lacks. Files that are there already are replaced once the new ones are whole. A format that
    cannot be written is named, with the cause, and the others go on.

    Args:
        network: as it is outside of training.
        path: of the files, without an ending; its folder is made where it is missing.

    Returns:
        {format: its file, or the folder of a SavedModel}, without the formats that are `missing`
        or cannot be written. Of several processes only the chief writes.

    Raises:
        OSError: the disk is full, or the folder cannot be written to.
    """
    path = Path(path)
    written = {}
    if not device.is_chief():
        return written
    with _one_device(), _quiet():
        plain = _plain(network)
        for kind, (ending, opener) in FORMATS.items():
            file = path.with_name(path.name + ending)
            lacking = missing(kind) or _unfit(plain)
            if not lacking:
                try:
                    with _replacing(file) as new:
                        takes = _write_one(plain, new, kind)
                except OSError:
                    raise
                except Exception as error:  # whatever a layer or a converter raises
                    lacking = _cause(error)
            if lacking:
                stays = " The earlier one stays." if file.exists() else ""
                print(f"{file.name:16} is not written: {lacking}{stays}")
                continue
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


def _plain(network: keras.Model) -> keras.Model:
    """Return a copy in float32, or the network itself where Keras cannot copy it."""
    try:
        plain = device.copy(network)
    except Exception:  # whatever a layer raises that cannot be made from its config
        return network
    for layer in plain._flatten_layers():  # those within others, too
        if layer.compute_dtype in HALF:
            layer.dtype_policy = "float32"
    return plain


def _unfit(network: keras.Model) -> str:
    """Say why no file of a network would be right; "" where one can be."""
    kinds = {layer.compute_dtype for layer in network._flatten_layers()}
    if half := HALF & (kinds | {variable.dtype for variable in network.variables}):
        return f"it is in {min(half)}, and cannot be copied in float32: build it in float32."
    if any(len(device.copies(variable)) > 1 for variable in network.variables):
        return "it lies on several devices, and cannot be copied: build it with DEVICES=one."
    if _taken(network) is None:
        return "it is not known what it takes. Call it on a batch once, then write it."
    return ""


def _taken(network: keras.Model, batch: int | None = None) -> Any:
    """Return the InputSpec of what a network takes, or their list or dict; None if unknown."""
    if hasattr(network, "inputs"):
        inputs = network.inputs[0] if isinstance(network, keras.Sequential) else network.input
        return tf.nest.map_structure(
            lambda x: keras.InputSpec(shape=(batch, *x.shape[1:]), dtype=x.dtype, name=x.name),
            inputs,
        )
    shape = (network.get_build_config() or {}).get("input_shape")  # of a class of its own
    return shape and keras.InputSpec(shape=(batch, *shape[1:]), dtype="float32")


def _write_one(network: keras.Model, file: Path, kind: str) -> str:
    """Write one file and return what it takes, in words."""
    taken = _taken(network, batch=1 if kind == "litert" else None)
    if kind == "keras":
        network.save(file)
        try:
            keras.models.load_model(file, safe_mode=True)
        except Exception as error:  # whatever a layer raises
            raise ValueError(f"Keras could not load it again: {_cause(error)}") from error
    else:
        network.export(file, format=kind, verbose=False, input_signature=[taken])
    specs = tf.nest.flatten(taken)
    names = [f"{spec.name} " for spec in specs] if len(specs) > 1 else [""]
    words = [f"{name}{spec.shape}" for name, spec in zip(names, specs, strict=True)]
    return ", ".join(words).replace("None", "any")


@contextlib.contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """Give another path on the same disk; what is written there takes the file's place.

    Raises:
        OSError: in place of the one in the block, and of TensorFlow's where a disk is full.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = tempfile.TemporaryDirectory(
            dir=file.parent, prefix=".saving-", ignore_cleanup_errors=True
        )
        with beside as folder:
            new, old = Path(folder, "new", file.name), Path(folder, "old")
            new.parent.mkdir()
            yield new
            if file.is_dir() and {x.name for x in file.iterdir()} <= SAVED_MODEL:
                os.replace(file, old)  # no folder can be moved onto another
            try:
                os.replace(new, file)
            except OSError:
                if old.exists():
                    os.replace(old, file)
                raise
    except (OSError, tf.errors.OpError) as error:
        reason = next((words for words in FULL if words in str(error)), "")
        if not reason and not isinstance(error, OSError):
            raise
        raise OSError(
            f"{run.shown(file)} could not be written: {reason or error.strerror or error}. What "
            "was there is kept. Make room there, or give another path, then write it again."
        ) from error


def _cause(error: Exception) -> str:
    """Return the first sentence of the innermost cause that Keras names, of one line."""
    text = str(error).rpartition("Exception encountered: ")[2].strip()
    return re.split(r"\n|(?<=\.) ", text)[0] or type(error).__name__


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
