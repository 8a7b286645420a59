"""Networks of the records as files that JavaScript reads: NAME.json and NAME.bin.

    python -m tools.site.weights FOLDER

NAME.json lists the layers in order, where their arrays lie in NAME.bin, and the training's history.
NAME.bin holds the arrays, little-endian: in half precision where nothing is lost by it, as with the
weights of a record, which keeps them so; else in float32. What batch normalisation does once
training is over is one scale and one offset a channel. They are computed from the record's values
and are float32, so that a page computes what Keras computes.

A snapshot of a training has the layers of its network, so it is only another NAME-00012.bin. What
the controls of lessons 03, 06 and 11 need beside a network is in NAME.latent.json.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.pages import Page
from utils.options import ROOT

if TYPE_CHECKING:
    import keras

RECORDS = ROOT / "outputs" / "pretrained"
CLASSIFIER = "digit_classifier"
CLASSES = 10
SAMPLES = 10_000  # of lesson 03, at `quick` and `long`
FACES = 4000  # of lesson 11
DIRECTIONS = 16  # of lesson 03; its own table and pictures show six of them
TERMS = 10  # z of each group that a reader can calculate with
CERTAIN = 0.9  # with which the classifier reads a sample of a group, as in lesson 03
ALIGNED = 4  # bytes: JavaScript reads float32 at multiples of it

Layer = tuple[dict[str, Any], dict[str, np.ndarray]]  # what it is, and its arrays


@dataclass(frozen=True)
class Source:
    """A record that pages run.

    Args:
        page: the lesson whose `generator` it trained, "" for the classifier of digits.
        part: of the record, which has its weights.
        snapshots: whether its snapshots are written, too.
        latent: the lesson whose controls need more than the network, "" for none.
    """

    page: str
    part: str = "averaged_generator"
    snapshots: bool = False
    latent: str = ""


SOURCES = {
    "01_gan": Source("01_gan", snapshots=True),
    "01_gan_collapse": Source("01_gan", snapshots=True),
    "02_dcgan": Source("02_dcgan", snapshots=True, latent="03_latent_space"),
    "04_lsgan": Source("04_lsgan", snapshots=True),
    "05_wgan_gp": Source("05_wgan_gp"),
    "06_cgan": Source("06_cgan", latent="06_cgan"),
    "11_faces": Source("11_faces", part="best_generator", latent="11_faces"),
    CLASSIFIER: Source(""),
}


def write(folder: Path) -> list[str]:
    """Write the networks of all records that pages run; what is up to date stays.

    Args:
        folder: where the files go; it is made where it is missing.

    Returns:
        The names that were written.

    Raises:
        ValueError: a record is damaged, or a network has a layer that pages cannot run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, source in SOURCES.items():
        made_from = _made_from(name, source)
        if not _is_there(folder, name, made_from):
            _write_network(folder, name, source, made_from)
            written.append(name)
    return written


# What is up to date


def _made_from(name: str, source: Source) -> str:
    """Return a hash of all that decides a network's files: record, pages, and this file."""
    records = (name, CLASSIFIER) if source.latent == "03_latent_space" else (name,)
    found = [Path(__file__).read_bytes()]
    found += [(RECORDS / record / "SHA256SUMS").read_bytes() for record in records]
    for page in filter(None, (source.page, source.latent)):
        found += [cell.source.encode() for cell in Page(page).code]
    return hashlib.sha256(b"\0".join(found)).hexdigest()


def _is_there(folder: Path, name: str, made_from: str) -> bool:
    """Tell whether a network's files are there, and are of this origin."""
    described = folder / f"{name}.json"
    if not described.exists():
        return False
    found = json.loads(described.read_text(encoding="utf-8"))
    return found["made from"] == made_from and all((folder / f).exists() for f in found["files"])


# A network and its files


def _write_network(folder: Path, name: str, source: Source, made_from: str) -> None:
    """Write the files of a network; NAME.json, by which the others are found, as the last."""
    network, state = _recorded(name, source) if source.page else (_classifier(), {})
    layers, content = packed(network)
    for old in folder.glob(f"{name}-[0-9]*.bin"):
        old.unlink()  # perhaps of a round that is no snapshot any more
    (folder / f"{name}.bin").write_bytes(content)
    files = [f"{name}.bin"]
    facts: dict[str, Any] = {"made from": made_from, "name": name, "bytes": len(content)}
    facts["inputs"] = [list(x.shape[1:]) for x in network.inputs]
    facts["layers"] = layers
    if state:
        facts["history"] = json.loads(str(state["history"]))
    if source.latent:
        found = LATENT[source.latent](network)
        _write_json(folder / f"{name}.latent.json", found)
        files.append(f"{name}.latent.json")
    if source.snapshots:
        facts["snapshots"] = list(_snapshots(folder, name, network, content))
        files += [snapshot["file"] for snapshot in facts["snapshots"]]
    _write_json(folder / f"{name}.json", facts | {"files": files})


def _write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, separators=(",", ":")) + "\n"
    path.write_text(text, encoding="utf-8")


def _recorded(name: str, source: Source) -> tuple[keras.Model, dict[str, np.ndarray]]:
    """Return the generator of a record, built as its page builds it, and the record."""
    from utils import record

    network = Page(source.page).definitions("generator", CLASSES=CLASSES).generator
    record.load_networks(name, **{source.part: network})
    return network, record.load_state(RECORDS / name)


def _classifier() -> keras.Model:
    from utils.evaluation import digit_classifier

    return digit_classifier()


def _snapshots(
    folder: Path, name: str, network: keras.Model, at_end: bytes
) -> Iterator[dict[str, Any]]:
    """Write the networks of chosen rounds; the last round's is that of the end, written before."""
    for path in sorted((RECORDS / name).glob("snapshot-*.npz")):
        number = path.stem.removeprefix("snapshot-")
        with np.load(path, allow_pickle=False) as file:
            for i, variable in enumerate(network.variables):
                variable.assign(file[f"averaged_generator/{i:03d}"])
        _, content = packed(network)
        target = f"{name}.bin" if content == at_end else f"{name}-{number}.bin"
        (folder / target).write_bytes(content)
        yield {"round": int(number), "file": target}


# Layers, as docs/_static/gan/network.js runs them


def packed(network: keras.Model) -> tuple[list[dict[str, Any]], bytes]:
    """Return a network's layers as plain values, and the content of their arrays.

    Args:
        network: a chain of layers that `network.js` knows. It may begin with several inputs that
            are joined, and a layer may be such a chain itself. Of several outputs, the last.

    Returns:
        The layers, each with its `kind` and, for each array, {"at": where it begins in bytes,
        "shape": ..., "type": "float16" or "float32"}; and the bytes.

    Raises:
        ValueError: a layer, or one of its options, is none that `network.js` knows.
    """
    layers = []
    content = bytearray()
    for described, arrays in _chain(network):
        for key, array in arrays.items():
            content += bytes(-len(content) % ALIGNED)
            place = {"at": len(content), "shape": list(array.shape), "type": array.dtype.name}
            described[key] = place
            content += array.astype(array.dtype.newbyteorder("<")).tobytes()
        layers.append(described)
    return layers, bytes(content)


def _chain(network: keras.Model) -> Iterator[Layer]:
    """Return the layers in order; those that do nothing once training is over are left out."""
    for layer in network.layers:
        kind = type(layer).__name__
        if hasattr(layer, "layers"):
            yield from _chain(layer)
        elif kind in KINDS:
            yield from KINDS[kind](layer)
        elif kind not in ("InputLayer", "Dropout", "GaussianNoise"):
            raise ValueError(f"Pages cannot run a layer of the kind {kind}, such as {layer.name}.")


def _dense(layer: keras.Layer) -> Iterator[Layer]:
    kernel = layer.kernel.numpy().T  # (outputs, inputs)
    yield {"kind": "dense"}, {"kernel": _short(kernel)} | _bias(layer)
    yield from _activation(layer)


def _conv2d(layer: keras.Layer) -> Iterator[Layer]:
    """Describe a convolution; its kernel becomes (height, outputs, width, inputs)."""
    kernel = layer.kernel.numpy().transpose(0, 3, 1, 2)
    yield _window(layer, "conv2d"), {"kernel": _short(kernel)} | _bias(layer)
    yield from _activation(layer)


def _conv2d_transpose(layer: keras.Layer) -> Iterator[Layer]:
    """Describe a transposed convolution; its kernel is (height, width, outputs, inputs)."""
    if layer.output_padding is not None:
        raise ValueError(f"Pages cannot run the output_padding of {layer.name}.")
    yield (
        _window(layer, "conv2d_transpose"),
        {"kernel": _short(layer.kernel.numpy())} | _bias(layer),
    )
    yield from _activation(layer)


def _window(layer: keras.Layer, kind: str) -> dict[str, Any]:
    """Return what layers with a window share: stride and padding."""
    stride, other = layer.strides
    if stride != other or layer.dilation_rate != (1, 1) or getattr(layer, "groups", 1) != 1:
        raise ValueError(f"Pages cannot run the strides, dilation_rate or groups of {layer.name}.")
    return {"kind": kind, "stride": stride, "padding": layer.padding}


def _batch_norm(layer: keras.Layer) -> Iterator[Layer]:
    """Describe batch normalisation outside training as y = scale x + offset, a channel each."""
    gamma, beta, mean, variance = (v.numpy().astype("float64") for v in layer.variables)
    scale = gamma / np.sqrt(variance + layer.epsilon)
    offset = beta - scale * mean
    arrays = {"scale": scale.astype("float32"), "offset": offset.astype("float32")}
    yield {"kind": "scale"}, arrays


def _reshape(layer: keras.Layer) -> Iterator[Layer]:
    yield {"kind": "reshape", "shape": list(layer.output.shape[1:])}, {}


def _leaky_relu(layer: keras.Layer) -> Iterator[Layer]:
    yield {"kind": "leaky_relu", "slope": float(layer.negative_slope)}, {}


def _relu(layer: keras.Layer) -> Iterator[Layer]:
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise ValueError(f"Pages cannot run the options of {layer.name}: take a plain ReLU.")
    yield {"kind": "leaky_relu", "slope": 0.0}, {}


def _crop(layer: keras.Layer) -> Iterator[Layer]:
    (top, bottom), (left, right) = layer.cropping
    yield {"kind": "crop", "top": top, "bottom": bottom, "left": left, "right": right}, {}


def _concatenate(layer: keras.Layer) -> Iterator[Layer]:
    """Describe nothing: `network.js` joins several inputs, and pages join nothing else."""
    if any(len(x.shape) != 2 for x in layer.input):
        raise ValueError(f"Pages join vectors only, and {layer.name} joins something else.")
    yield from ()


def _activation(layer: keras.Layer) -> Iterator[Layer]:
    """Describe the activation of a layer, or a layer that is one."""
    name = layer.activation.__name__
    if name == "relu":
        yield {"kind": "leaky_relu", "slope": 0.0}, {}
    elif name == "tanh":
        yield {"kind": "tanh"}, {}
    elif name != "linear":
        raise ValueError(f"Pages cannot run the activation {name} of {layer.name}.")


KINDS: dict[str, Callable[[Any], Iterator[Layer]]] = {
    "Dense": _dense,
    "Conv2D": _conv2d,
    "Conv2DTranspose": _conv2d_transpose,
    "BatchNormalization": _batch_norm,
    "Reshape": _reshape,
    "Flatten": _reshape,
    "LeakyReLU": _leaky_relu,
    "ReLU": _relu,
    "Cropping2D": _crop,
    "Concatenate": _concatenate,
    "Activation": _activation,
}


def _bias(layer: keras.Layer) -> dict[str, np.ndarray]:
    return {"bias": _short(layer.bias.numpy())} if layer.use_bias else {}


def _short(array: np.ndarray) -> np.ndarray:
    """Return an array in half precision where nothing is lost by it, else as it is."""
    half = array.astype("float16")
    return half if np.array_equal(half.astype("float32"), array) else array


# What controls need beside the network


def _latent_03(generator: keras.Model) -> dict[str, Any]:
    """Return what lesson 03 finds in the space of z, by the functions of its page.

    `directions`: the strongest ones, (16, 32). `means`: of the z of each group, (10, 32) by the
    digit that the classifier reads. `terms`: a few z of each group, (10, 10, 32).
    """
    names = "z", "digits", "slants", "certainty", "directions", "RADIUS"
    given = {"generator": generator, "classifier": _classifier(), "SAMPLES": SAMPLES}
    page = Page("03_latent_space").definitions(*names, **given)
    means: dict[str, list] = {"any": [], "upright": [], "slanted": []}
    terms: dict[str, list] = {"any": [], "upright": [], "slanted": []}
    for k in range(CLASSES):
        certain = np.flatnonzero((page.digits == k) & (page.certainty[:, k] > CERTAIN))
        ordered = certain[page.slants[certain].argsort()]
        quarters = np.array_split(ordered, 4)
        groups = {"any": ordered, "upright": quarters[0], "slanted": quarters[3]}
        for name, group in groups.items():
            means[name].append(_plain(page.z[group].mean(axis=0)))
            chosen = np.random.default_rng(k).choice(group, TERMS, replace=False)
            terms[name].append(_plain(page.z[chosen]))
    found = {"radius": float(page.RADIUS), "directions": _plain(page.directions[:DIRECTIONS])}
    return found | {"means": means, "terms": terms}


def _latent_06(generator: keras.Model) -> dict[str, Any]:
    """Return the directions of lesson 06, (6, 32), as its page finds them."""
    page = Page("06_cgan").definitions("directions", averaged=generator, CLASSES=CLASSES)
    return {"directions": _plain(page.directions)}


def _latent_11(generator: keras.Model) -> dict[str, Any]:
    """Return the directions of lesson 11, (4, 64), as its page finds them, with their names."""
    page = Page("11_faces").definitions("directions", "RADIUS", best=generator, SAMPLES=FACES)
    found = {"radius": float(page.RADIUS), "names": list(page.directions)}
    return found | {"directions": _plain(np.stack(list(page.directions.values())))}


LATENT: dict[str, Callable[[Any], dict[str, Any]]] = {
    "03_latent_space": _latent_03,
    "06_cgan": _latent_06,
    "11_faces": _latent_11,
}


def _plain(array: np.ndarray) -> list:
    """Return an array as lists of numbers with four digits after the point."""
    return np.round(array.astype("float64"), 4).tolist()


if __name__ == "__main__":
    print("written:", *(write(Path(sys.argv[1])) or ["nothing, all is up to date"]))
