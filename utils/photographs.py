"""Photographs in a folder or a zip archive: found, decoded once, held once."""

from __future__ import annotations

import io
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, ImageOps

from utils.options import at_least

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
IN_MEMORY = 2**30  # bytes; more lies in a temporary file
LARGEST = 2**26  # bytes of one file of an archive


def find(source: Path, under: str = "") -> dict[str, Callable[[], bytes]]:
    """Find the images in a folder, however deep, or in a zip archive, which is read in place.

    Args:
        source: a folder, an archive, or a single image.
        under: a folder inside it.

    Returns:
        {name from the source on: what reads its bytes}, sorted by name. Hidden files and files
        without an image's ending are left out.

    Raises:
        ValueError: the archive is damaged.
    """
    if source.suffix.lower() in ENDINGS and source.is_file():
        return {source.name: source.read_bytes}
    if source.is_dir():
        found = {
            path.relative_to(source).as_posix(): path.read_bytes
            for path in (source / under).rglob("*")
            if path.is_file()
        }
    else:
        try:
            archive = zipfile.ZipFile(source)
        except Exception as error:  # a damaged archive raises many kinds
            raise ValueError(f"{source} cannot be opened: {error}. Replace it.") from error
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        found = {entry.filename: partial(_unpacked, archive, entry) for entry in entries}
    return {
        name: found[name]
        for name in sorted(found)
        if PurePosixPath(name).is_relative_to(under)
        and PurePosixPath(name).suffix.lower() in ENDINGS
        and not any(part.startswith((".", "__")) for part in PurePosixPath(name).parts)
    }


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > LARGEST:  # zipfile reads no more than an entry says it has
        raise ValueError(f"{entry.file_size:,} bytes are too many")
    return archive.read(entry)


def decode(data: bytes, keep_grey: bool = False) -> Image.Image:
    """Decode an image of any mode to RGB, upright, without its alpha; of an animation the first.

    Args:
        data: of a file.
        keep_grey: leave an image that is stored in greyscale as it is, in mode "L".

    Raises:
        ValueError: the data hold no whole image.
    """
    try:
        image = Image.open(io.BytesIO(data))
        if np.prod(image.size) > Image.MAX_IMAGE_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels are too many")
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # 16 bit: Pillow would clip it
            image = Image.fromarray((np.asarray(image, "uint32") >> 8).astype("uint8"))
        return image.convert("L" if keep_grey and image.mode in ("1", "L", "LA") else "RGB")
    except Exception as error:  # Pillow raises many kinds
        raise ValueError(str(error).split("<")[0].strip() or type(error).__name__) from error


def load(source: str | Path, size: int, under: str = "") -> np.ndarray:
    """Decode all images, resized to size x size, and name those that cannot be used.

    Args:
        source: a folder, a zip archive or a single image; "~" is your home.
        size: height and width, in pixels; the form is not kept, as in CycleGAN's own code.
        under: a folder inside it.

    Returns:
        uint8, (n, size, size, 3); in a temporary file where it is large.

    Raises:
        ValueError: there is no image that can be used.
    """
    at_least(1, size=size)

    def prepare(data: bytes) -> np.ndarray:
        return np.asarray(decode(data).resize((size, size), Image.Resampling.BICUBIC))

    source, kept = Path(source).expanduser(), 0
    files = find(source, under)
    shape = (len(files), size, size, 3)
    large = np.prod(shape, dtype="int64") > IN_MEMORY
    file = tempfile.TemporaryFile() if large else None  # noqa: SIM115, it lives with the array
    images = np.memmap(file, "uint8", "w+", shape=shape) if file else np.empty(shape, "uint8")
    for kept, (_, image) in enumerate(_prepared(files, prepare, source / under), start=1):
        images[kept - 1] = image
    return images[:kept]


def checksum(*images: np.ndarray) -> str:
    """Return 8 hexadecimal digits for images of one's own, whose folder's name says little."""
    found = 0
    for array in images:
        found = zlib.crc32(np.ascontiguousarray(array), found)
    return f"{found:08x}"


def originals(
    source: str | Path, under: str = "", smallest: int = 1, keep_grey: bool = False
) -> dict[str, np.ndarray]:
    """Decode all images in their own sizes, and name those that cannot be used.

    They lie in one temporary file, so that a large set does not fill the memory.

    Args:
        source, under: as in `load`.
        smallest: least height and width, in pixels.
        keep_grey: give images that are stored in greyscale one channel.

    Returns:
        {name: uint8, (height, width, 3 or 1)}, sorted by name.

    Raises:
        ValueError: there is no image that can be used.
    """

    def prepare(data: bytes) -> np.ndarray:
        image = np.asarray(decode(data, keep_grey))
        if min(image.shape[:2]) < smallest:
            raise ValueError(f"{image.shape[1]} x {image.shape[0]} is less than {smallest}")
        return np.atleast_3d(image)

    source, shapes = Path(source).expanduser(), {}
    file = tempfile.TemporaryFile()  # noqa: SIM115, it lives with the arrays
    for name, image in _prepared(find(source, under), prepare, source / under):
        shapes[name] = file.tell(), image.shape
        file.write(image.tobytes())
    return {name: np.memmap(file, "uint8", "r", at, shape) for name, (at, shape) in shapes.items()}


def _prepared(
    files: dict[str, Callable[[], bytes]], prepare: Callable[[bytes], np.ndarray], where: Path
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each image with its name, in order; those that fail are named at the end."""
    names, skipped = list(files), []

    def attempt(name: str) -> np.ndarray | str:
        try:
            return prepare(files[name]())
        except Exception as error:  # zipfile raises many kinds, too
            return f"{name} ({error})"

    with ThreadPoolExecutor() as pool:
        for i in range(0, len(names), 64):  # in pieces: finished ones wait in memory
            part = names[i : i + 64]
            for name, found in zip(part, pool.map(attempt, part), strict=True):
                if isinstance(found, str):
                    skipped.append(found)
                else:
                    yield name, found
    if skipped:
        shown = ", ".join(skipped[:5] + ["..."] * (len(skipped) > 5))
        print(f"{where}: {len(skipped)} of {len(names)} images skipped: {shown}")
    if len(skipped) == len(names):
        raise ValueError(f"{where} holds no image that can be used ({', '.join(ENDINGS)}).")
