"""Networks of lessons 07 and 09 as ONNX files, and the program that runs them in the page.

    python -m tools.site.onnx FOLDER

The records keep weights in half precision, so the files do, too. They are turned into float32
where the file is opened, and nothing is lost. The program, ONNX Runtime for browsers, comes from
npm and is compressed; photo-worker.js unpacks it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tools.pages import Page
from tools.site import npm
from utils.options import ROOT

if TYPE_CHECKING:
    import keras
    from onnx import ModelProto, TensorProto

RECORDS = ROOT / "outputs" / "pretrained"
FACTS = "networks.json"  # what photo-worker.js reads first
PROGRAM = "ort.wasm.bundle.min.mjs"
CORE = "ort-wasm-simd-threaded.wasm"  # of the program
PACKED = "ort-wasm.bin"  # the core, compressed; no host unpacks a .bin on its own
RUNTIME = {
    "package": "onnxruntime-web",
    "version": "1.30.0",
    "integrity": "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02V"
    "b7QmRMDs1SigqR4CXAfKYQ==",
    "wanted": (f"dist/{PROGRAM}", f"dist/{CORE}"),
}
PHOTO_SIDE = 256  # pixels of a photograph in lesson 07; the network was trained at 128


@dataclass(frozen=True)
class Source:
    """A network of a record.

    Args:
        lesson: its record, and the page that builds it.
        part: its name in the record.
    """

    lesson: str
    part: str


SOURCES = {
    "zebra": Source("07_cyclegan", "averaged_generator_ab"),
    "horse": Source("07_cyclegan", "averaged_generator_ba"),
    "srgan": Source("09_srgan", "averaged_generator"),
}


def write(folder: Path) -> list[str]:
    """Write the networks and what runs them; what is up to date stays.

    Args:
        folder: where the files go; it is made where it is missing.

    Returns:
        The names of the networks that were written.

    Raises:
        ValueError: what writes ONNX files is not installed, a record is damaged, or the program
            cannot be fetched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_program(folder)
    path = folder / FACTS
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    written = []
    for name, source in SOURCES.items():
        made_from = _made_from(source)
        file = folder / f"{name}.onnx"
        if not file.exists() or found.get(name, {}).get("made from") != made_from:
            file.write_bytes(_onnx(network(name)))
            written.append(name)
        found[name] = {"made from": made_from, "file": file.name, "bytes": file.stat().st_size}
    packed = folder / PACKED
    found["program"] = {"file": PROGRAM, "core": PACKED, "bytes": packed.stat().st_size}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return written


def _write_program(folder: Path) -> None:
    dist = npm.files(**RUNTIME) / "dist"
    shutil.copyfile(dist / PROGRAM, folder / PROGRAM)
    packed = gzip.compress((dist / CORE).read_bytes(), mtime=0)
    (folder / PACKED).write_bytes(packed)


def _made_from(source: Source) -> str:
    """Return a hash of all that decides a network's file: record, page, export, and this file."""
    files = Path(__file__), ROOT / "utils" / "topics" / "export.py"
    found = [path.read_bytes() for path in files]
    found += [(RECORDS / source.lesson / "SHA256SUMS").read_bytes()]
    found += [cell.source.encode() for cell in Page(source.lesson).code]
    return hashlib.sha256(b"\0".join(found)).hexdigest()


def network(name: str) -> keras.Model:
    """Build one of SOURCES as its page does, with the weights of the record.

    Returns:
        For "zebra" and "horse" (n, 256, 256, 3) in [-1, 1] -> the same; for "srgan"
        (n, height, width, 3) in [0, 1] -> (n, 4 height, 4 width, 3) in [-1, 1].
    """
    from utils import record

    source = SOURCES[name]
    run = json.loads((RECORDS / source.lesson / "run.json").read_text(encoding="utf-8"))
    trained = run["constants"]
    page = Page(source.lesson).definitions()
    if source.lesson == "07_cyclegan":
        made = page.resnet_generator(PHOTO_SIDE, trained["WIDTH"], trained["BLOCKS"])
    else:
        made = page.srresnet(trained["WIDTH"], trained["BLOCKS"], trained["BATCH_NORM"])
    record.load_networks(source.lesson, **{source.part: made})
    return made


def _onnx(made: keras.Model) -> bytes:
    """Return the content of a network's ONNX file, with weights in half precision.

    Raises:
        ValueError: the file could not be written.
    """
    from utils.topics import export

    if lacking := export.missing("onnx"):
        raise ValueError(f"The site needs ONNX files of lessons 07 and 09: {lacking}")
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):  # a line for each format
            files = export.write(made, Path(folder) / "network")
        if "onnx" not in files:
            raise ValueError(f"An ONNX file could not be written: {said.getvalue()}")
        model = onnx.load(files["onnx"])
    in_half_precision(model)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def in_half_precision(model: ModelProto) -> None:
    """Keep weights in half precision where nothing is lost, and add what makes them float32.

    Args:
        model: is changed.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        half = _halved(tensor)
        if half is None:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}/half"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _halved(tensor: TensorProto) -> np.ndarray | None:
    """Return a tensor in half precision, or None where that loses something or gains little."""
    from onnx import numpy_helper

    values: np.ndarray[Any, Any] = numpy_helper.to_array(tensor)
    if values.dtype != np.float32 or values.size < 100:
        return None
    half = values.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), values) else None


if __name__ == "__main__":
    print("\n".join(write(Path(sys.argv[1]))))
