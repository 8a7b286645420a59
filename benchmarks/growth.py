"""How time and memory grow with the batch, the size of images, and the number of files.

    python -m benchmarks.growth

Each point is a process of its own, in the default precision: the median of five steps, and the
most memory that the process has needed. Nothing else may run.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import steps, timing
from tools import pages
from utils import archives, device, runtime, sources
from utils.topics import enlarging, pairs

POINTS = {  # what grows: its values, and the case that each gives
    "lesson 02, batch": ((16, 32, 64, 128, 256), lambda n: steps.digits("02_dcgan", BATCH_SIZE=n)),
    "lesson 07, size": ((64, 128, 256), lambda n: steps.cyclegan(n, True)),
    "lesson 09, batch": ((4, 8, 16, 32), lambda n: steps.srgan(False, batch_size=n)),
    "lesson 09, size": ((48, 96, 192), lambda n: steps.srgan(False, size=n)),
}
FILES = (100, 1_000, 20_000)
MEGAPIXELS = (1, 4, 16)  # that come out, in tiles


def of_step(name: str, value: int) -> str:
    """Measure a step."""
    steps.start(name)
    case = POINTS[name][1](value)
    step = case.compiled("lesson")
    with device.precision(device.training_precision(), case.networks):
        found = timing.in_turns({name: lambda: step(*case.batch)}, turns=5)
    return timing.spread(found[name])


def of_folder(count: int) -> str:
    """Measure opening a folder of photographs, which are the same few again and again."""
    runtime.start(1)
    with tempfile.TemporaryDirectory() as folder:
        zipped = sources.in_data_dir("horse2zebra.zip")
        files = list(archives.find(zipped).items())[:100]
        for i in range(count):
            path = Path(folder) / f"{i:05d}.jpg"
            if i < len(files):
                path.write_bytes(files[i][1]())
            else:
                os.link(Path(folder) / f"{i % len(files):05d}.jpg", path)
        began = time.perf_counter()
        data = pairs.folder_pair(folder, folder, 128, 1, 1)
        for _ in data.from_step(0).take(100):
            pass
        return f"{time.perf_counter() - began:.1f} s to open and draw 100"


def of_image(megapixels: int) -> str:
    """Measure enlarging one image with the paper's generator."""
    steps.start("lesson 09")
    generator = pages.Page(steps.SRGAN).definitions().srresnet(64, 16, True)
    side = round((megapixels * 1e6) ** 0.5 / 4)
    small = np.random.default_rng(1).integers(0, 256, (side, side, 3), "uint8")
    began = time.perf_counter()
    enlarging.enlarge(generator, small)
    return f"{time.perf_counter() - began:.1f} s"


def main(arguments: list[str]) -> None:
    """Measure a point, or all."""
    if arguments:
        name, value = arguments[0], int(arguments[1])
        kinds = {"files": of_folder, "lesson 09, megapixels": of_image}
        text = kinds[name](value) if name in kinds else of_step(name, value)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        own = Path("/proc/self/status").read_text(encoding="utf-8").split("RssAnon:")[1].split()[0]
        print(f"| {name} | {value:,} | {text} | {peak:.2f} GB | {int(own) / 1e6:.2f} GB |")
        return
    print("| | | time | most memory | of it, at the end, not pages of a file |")
    print("|---|---|---|---|---|")
    everything = {name: values for name, (values, _) in POINTS.items()}
    everything |= {"lesson 09, megapixels": MEGAPIXELS, "files": FILES}
    for name, values in everything.items():
        for value in values:
            command = [sys.executable, "-m", "benchmarks.growth", name, str(value)]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            print(text.strip().splitlines()[-1], flush=True)
    print(f"\n{device.name()}, {runtime.versions()}")


if __name__ == "__main__":
    os.environ |= {"PRESET": "quick", "STANDIN": "never"}
    main(sys.argv[1:])
