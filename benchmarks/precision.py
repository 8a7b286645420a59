"""What bfloat16 does to quality: lessons at `quick`, trained in it and in float32.

    python -m benchmarks.precision [LESSON ...]

On a CPU without bfloat16 units they are emulated: inside `fit`, what goes into and comes out of
convolutions and matrix products is rounded to bfloat16, gradients too, and sums are float32, as
such units do it. That shows the quality, not the speed. Executes the pages in
outputs/benchmarks/precision-NAME/. Can be stopped, and goes on when it is run again.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest import mock

import nbformat
import tensorflow as tf

from benchmarks import seeds
from tools import pages
from utils import device, options

LESSONS = ("02_dcgan", "07_cyclegan", "09_srgan")
PRODUCTS = (tf.nn, "convolution"), (tf.nn, "conv_transpose"), (tf, "matmul")


def rounded(function: Callable) -> Callable:
    """Return a product of two float32 tensors as bfloat16 units compute it, gradients too."""

    def cast(x: Any) -> Any:
        real = getattr(x, "dtype", None) == "float32"
        return tf.cast(tf.cast(x, tf.bfloat16), tf.float32) if real else x

    def product(*values: Any, **named: Any) -> tf.Tensor:
        values = [cast(x) for x in values]
        return cast(function(*values, **{key: cast(x) for key, x in named.items()}))

    return product


def emulate() -> None:
    """From now on, `device.precision("bfloat16")` rounds products, where there are no units."""
    real = device.precision
    plain = {function: getattr(module, function) for module, function in PRODUCTS}

    def is_emulated(wanted: str) -> bool:
        return wanted == "bfloat16" and not device.GPUS and not device.has_bfloat16_units()

    @contextlib.contextmanager
    def precision(wanted: str, parts: Iterable[Any] = ()) -> Iterator[None]:
        emulated = is_emulated(wanted)
        with contextlib.ExitStack() as stack:
            stack.enter_context(real("float32" if emulated else wanted, parts))
            for module, function in PRODUCTS:
                # Samples and scores are float32 within a training: nothing is rounded there.
                product = rounded(plain[function]) if emulated else plain[function]
                stack.enter_context(mock.patch.object(module, function, product))
            yield

    keeps_layers = device.keeps_layers
    device.precision = precision
    # The step that was traced for the fingerprint rounds nothing: training traces its own.
    device.keeps_layers = lambda: keeps_layers() and not is_emulated(device.training_precision())


def scores(lesson: str, precision: str) -> list[dict]:
    """Run a lesson and return the scores of its trainings."""
    folder = options.output_dir() / "benchmarks" / f"precision-{precision}"
    page = pages.Page(lesson)
    cells = page.notebook.cells
    first = next(i for i, cell in enumerate(cells) if "runtime.start" in cell.source)
    source = "from benchmarks import precision\n\nprecision.emulate()"
    cells.insert(first + 1, nbformat.v4.new_code_cell(source))
    seeds.execute(page, folder, PRECISION=precision, PYTHONPATH=str(options.ROOT))
    files = sorted(folder.glob(f"{lesson[:2]}_*/quick/metrics.json"))
    found = [json.loads(file.read_text(encoding="utf-8")).get("scores") for file in files]
    return [x for x in found if x]  # the first stage of lesson 09 has its own in the second's


def main(lessons: list[str]) -> None:
    """Print the scores of each lesson in each precision."""
    for lesson in lessons or LESSONS:
        for precision in "bfloat16", "float32":
            for found in scores(lesson, precision):
                print(f"{lesson}, {precision}: {json.dumps(found)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
