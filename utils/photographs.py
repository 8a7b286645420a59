"""Photographs in a folder or a zip archive: found, decoded once, held once in one file."""

from __future__ import annotations

import hashlib
import io
import math
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from utils.options import at_least, expanded

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
LARGEST = 2**26  # bytes of one file of an archive
AT_ONCE = 16  # photographs that are decoded, and wait in memory to be written


class Decoded(np.ndarray):
    """Pixels that know the files they were decoded from; they cannot be written to.

    Another version of an image library may decode a file to slightly other values, so the files
    are what a data set is known by. What is computed from the pixels, a part of them too, is an
    array like any other and knows no files.

    Attributes:
        names: of the files, from the folder or archive on; one where it is one photograph.
        files: SHA-256 of the bytes of the files, in their order; "" where it knows none.
    """

    names: tuple[str, ...] = ()
    files: str = ""


class _File(NamedTuple):
    """What is kept of a file beside its pixels."""

    name: str
    sha256: str  # of its bytes
    shape: tuple[int, int, int]  # of the decoded image


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
    return {name: found[name] for name in sorted(found) if _is_image(PurePosixPath(name), under)}


def _is_image(path: PurePosixPath, under: str) -> bool:
    hidden = any(part.startswith((".", "__")) for part in path.parts)
    return path.is_relative_to(under) and path.suffix.lower() in ENDINGS and not hidden


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


def load(source: str | Path, size: int, under: str = "", grey: bool = False) -> Decoded:
    """Decode all images, resized to size x size, and name those that cannot be used.

    Args:
        source: a folder, a zip archive or a single image; "~" is your home.
        size: height and width, in pixels; the form is not kept, as in CycleGAN's own code.
        under: a folder inside it.
        grey: one channel, their luma, instead of three.

    Returns:
        uint8, (n, size, size, 3 or 1), in a temporary file, so that it takes no memory.

    Raises:
        ValueError: there is no image that can be used.
        OSError: the temporary folder is full.
    """
    at_least(1, size=size)

    def prepare(data: bytes) -> np.ndarray:
        image = decode(data).resize((size, size), Image.Resampling.BICUBIC)
        return np.atleast_3d(np.asarray(image.convert("L") if grey else image))

    source = expanded(source)
    pixels, files = _stored(_prepared(find(source, under), prepare, source / under))
    images = pixels.reshape(len(files), *files[0].shape).view(Decoded)
    images.names = tuple(file.name for file in files)
    images.files = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()
    return images


def originals(
    source: str | Path, under: str = "", smallest: int = 1, keep_grey: bool = False
) -> dict[str, Decoded]:
    """Decode all images in their own sizes, and name those that cannot be used.

    They lie in one temporary file, so that a large set fills neither the memory nor the list of
    open files.

    Args:
        source, under: as in `load`.
        smallest: least height and width, in pixels.
        keep_grey: give images that are stored in greyscale one channel.

    Returns:
        {name: uint8, (height, width, 3 or 1)}, sorted by name.

    Raises:
        ValueError: there is no image that can be used.
        OSError: the temporary folder is full.
    """

    def prepare(data: bytes) -> np.ndarray:
        image = np.asarray(decode(data, keep_grey))
        if min(image.shape[:2]) < smallest:
            raise ValueError(f"{image.shape[1]} x {image.shape[0]} is less than {smallest}")
        return np.atleast_3d(image)

    source = expanded(source)
    pixels, files = _stored(_prepared(find(source, under), prepare, source / under))
    ends = np.cumsum([math.prod(file.shape) for file in files])
    found = {}
    for file, part in zip(files, np.split(pixels, ends[:-1]), strict=True):
        image = part.reshape(file.shape).view(Decoded)
        image.names = (file.name,)
        image.files = file.sha256
        found[file.name] = image
    return found


def _stored(images: Iterable[tuple[_File, np.ndarray]]) -> tuple[np.ndarray, list[_File]]:
    """Write pixels one image after another to a temporary file; return a map of it, and the files.

    The map holds one descriptor, however many images there are. What is written has its place on
    the disk: a file that is enlarged first and filled through the map would end the process
    (SIGBUS) where the disk is full.

    Raises:
        OSError: the temporary folder is full.
    """
    files = []
    size = 0
    try:
        with tempfile.TemporaryFile() as store:  # has no name; it goes when the map goes
            for file, pixels in images:
                store.write(np.ascontiguousarray(pixels))
                size += pixels.size
                files.append(file)
            store.flush()
            return np.asarray(np.memmap(store, "uint8", "r")), files
    except OSError as error:
        raise OSError(
            f"The decoded photographs do not fit into the temporary folder, {tempfile.tempdir} "
            f"({error.strerror or error}, after {size:,} bytes). Make room there, or set TMPDIR "
            "to a folder on a larger disk."
        ) from error


def _prepared(
    files: dict[str, Callable[[], bytes]], prepare: Callable[[bytes], np.ndarray], where: Path
) -> Iterator[tuple[_File, np.ndarray]]:
    """Yield each file with its pixels, in order; those that fail are named at the end."""
    names = list(files)
    skipped = []

    def attempt(name: str) -> tuple[_File, np.ndarray] | str:
        try:
            data = files[name]()
            pixels = prepare(data)
        except Exception as error:  # zipfile raises many kinds, too
            return f"{name} ({error})"
        return _File(name, hashlib.sha256(data).hexdigest(), pixels.shape), pixels

    with ThreadPoolExecutor() as pool:
        for i in range(0, len(names), AT_ONCE):
            for found in pool.map(attempt, names[i : i + AT_ONCE]):
                if isinstance(found, str):
                    skipped.append(found)
                else:
                    yield found
    if skipped:
        shown = ", ".join(skipped[:5] + ["..."] * (len(skipped) > 5))
        print(f"{where}: {len(skipped)} of {len(names)} images skipped: {shown}")
    if len(skipped) == len(names):
        raise ValueError(f"{where} holds no image that can be used ({', '.join(ENDINGS)}).")
