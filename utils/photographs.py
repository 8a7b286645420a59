"""Photographs in a folder or an archive: decoded once, held once in one file."""

from __future__ import annotations

import hashlib
import io
import math
import re
import tempfile
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from utils import archives
from utils.options import expanded, sides

PHOTOMETRIC = 262  # tag of a TIFF: 0 where white is zero; Pillow heeds it with 8 bits only
DARK = 32  # of 256: a set without a brighter value has the wrong range
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
    bits: int  # of a value in the file
    pictures: int  # that it holds; the first is used
    darkest: int  # value of the decoded image, 0 to 255
    bright: int  # which 99 % do not exceed
    brightest: int


def decode(data: bytes, keep_grey: bool = False) -> tuple[Image.Image, int, int]:
    """Decode an image of any mode to RGB, upright, on white; of an animation the first.

    Values of 12, 16 or 32 bits are scaled to 8 by the whole range of their kind.

    Args:
        data: of a file.
        keep_grey: leave an image that is stored in greyscale as it is, in mode "L".

    Returns:
        The image, how many bits a value has in the file, without its sign, and how many
        pictures the file holds.

    Raises:
        ValueError: the data hold no whole image, or values that are no grey levels.
    """
    try:
        image = Image.open(io.BytesIO(data))
        limit = Image.MAX_IMAGE_PIXELS  # another package may have taken it away
        if limit and np.prod(image.size) > limit:
            raise ValueError(f"{image.width} x {image.height} pixels are too many")
        bits = _bits(image)
        pictures = getattr(image, "n_frames", 1)
        is_inverted = bits > 8 and getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0
        image = ImageOps.exif_transpose(image)
        if image.mode == "F":
            raise ValueError("floats, whose range is not known; save it with 8 or 16 bits")
        if image.mode.startswith("I"):  # Pillow would clip it
            values = np.asarray(image, "int64")
            if values.min() < 0:
                raise ValueError("negative or too large values; save it with 8 or 16 bits")
            levels = (values >> (bits - 8)).astype("uint8")
            image = Image.fromarray(255 - levels if is_inverted else levels)
        is_grey = image.mode in ("1", "L", "LA")
        if image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(white, image.convert("RGBA"))
        return image.convert("L" if keep_grey and is_grey else "RGB"), bits, pictures
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises many kinds
        raise ValueError(str(error).split("<")[0].strip() or type(error).__name__) from error


def _bits(image: Image.Image) -> int:
    """Return how many bits a value has in the file, as Pillow's raw modes tell, but for a sign."""
    found = re.search(r"\w;(\d+)(S?)", str(image.tile))
    if image.mode not in ("I", "F") and not (found and int(found[1]) > 8):
        return 8
    bits = int(found[1]) if found else 32
    return bits - 1 if bits == 32 or found[2] else bits


def load(
    source: str | Path,
    size: int | tuple[int, int],
    inside: Sequence[str] = (),
    grey: bool = False,
    part: tuple[float, float, float, float] = (0, 0, 1, 1),
    only: Container[str] | None = None,
    mixed: bool = False,
) -> Decoded:
    """Decode all images, resized to one size, and name those that cannot be used.

    Args:
        source: a folder, a zip or tar archive or a single image; "~" is your home.
        size: height and width in pixels, one number where they are the same; the form of an
            image is not kept, as in CycleGAN's own code.
        inside: names of folders; images that lie directly in one of them count, else all.
        grey: one channel, their luma, instead of three.
        part: what is cut out of each image first: left, upper, right and lower edge, as shares
            of its width and height.
        only: names of files, without their folders, that count; else all.
        mixed: in a random order, which depends on their number alone, instead of by name.

    Returns:
        uint8, (n, height, width, 3 or 1), in a temporary file, so that it takes no memory.

    Raises:
        ValueError: there is no image that can be used, or all are nearly black.
        OSError: a file cannot be read, or the temporary folder is full.
    """
    height, width = sides(size=size)

    def prepare(image: Image.Image) -> Image.Image:
        edges = [share * side for share, side in zip(part, 2 * image.size, strict=True)]
        resized = image.resize((width, height), Image.Resampling.BICUBIC, edges)
        return resized.convert("L") if grey else resized

    source = expanded(source)
    where = source / " or ".join(inside)
    found = archives.find(source, inside)
    if only is not None:
        found = {name: read for name, read in found.items() if PurePosixPath(name).name in only}
    if mixed:
        names = list(found)
        order = np.random.default_rng(0).permutation(len(names))
        found = {names[i]: found[names[i]] for i in order}
    pixels, files = _stored(_prepared(found, prepare, where))
    images = pixels.reshape(len(files), *files[0].shape).view(Decoded)
    images.names = tuple(file.name for file in files)
    images.files = hashlib.sha256("".join(file.sha256 for file in files).encode()).hexdigest()
    return images


def originals(
    source: str | Path,
    inside: Sequence[str] = (),
    smallest: int = 1,
    keep_grey: bool = False,
) -> dict[str, Decoded]:
    """Decode all images in their own sizes, and name those that cannot be used.

    They lie in one temporary file, so that a large set fills neither the memory nor the list of
    open files.

    Args:
        source, inside: as in `load`.
        smallest: least height and width, in pixels.
        keep_grey: give images that are stored in greyscale one channel.

    Returns:
        {name: uint8, (height, width, 3 or 1)}, sorted by name.

    Raises:
        ValueError: there is no image that can be used, or all are nearly black.
        OSError: a file cannot be read, or the temporary folder is full.
    """

    def prepare(image: Image.Image) -> Image.Image:
        if min(image.size) < smallest:
            raise ValueError(f"{image.width} x {image.height} is less than {smallest}")
        return image

    source = expanded(source)
    where = source / " or ".join(inside)
    pixels, files = _stored(_prepared(archives.find(source, inside), prepare, where, keep_grey))
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
        OSError: a file cannot be read, or the temporary folder is full.
    """
    files = []
    with (
        archives.writing(),
        tempfile.TemporaryFile() as store,
    ):  # has no name; it goes when the map goes
        for file, pixels in images:
            store.write(np.ascontiguousarray(pixels))
            files.append(file)
        store.flush()
        return np.asarray(np.memmap(store, "uint8", "r")), files


def _prepared(
    files: dict[str, Callable[[], bytes]],
    prepare: Callable[[Image.Image], Image.Image],
    where: Path,
    keep_grey: bool = False,
) -> Iterator[tuple[_File, np.ndarray]]:
    """Yield each file with its pixels, in order; those that fail are named at the end.

    Raises:
        ValueError: none can be used, or all are nearly black.
        OSError: a file cannot be read: it is there, so it is not left out.
    """
    names = list(files)
    used = []
    skipped = []

    def attempt(name: str) -> tuple[_File, np.ndarray] | str:
        try:
            data = files[name]()
            image, bits, pictures = decode(data, keep_grey)
            pixels = np.atleast_3d(np.asarray(prepare(image)))
        except (OSError, MemoryError) as error:
            raise _unreadable(where, name, error) from error
        except Exception as error:  # zipfile raises many kinds, too
            return f"{name} ({error})"
        kept = hashlib.sha256(data).hexdigest(), pixels.shape, bits, pictures
        return _File(name, *kept, *_levels(image)), pixels

    with ThreadPoolExecutor() as pool:
        for i in range(0, len(names), AT_ONCE):
            for found in pool.map(attempt, names[i : i + AT_ONCE]):
                if isinstance(found, str):
                    skipped.append(found)
                else:
                    used.append(found[0])
                    yield found
    if skipped:
        print(f"{where}: {len(skipped)} of {len(names)} images skipped: {_some(skipped)}")
    if not used:
        raise ValueError(
            f"{where} holds no image that can be used ({', '.join(archives.ENDINGS)})."
        )
    _check_values(used, where)


def _levels(image: Image.Image) -> tuple[int, int, int]:
    """Return the least level, the one that 99 % of the values do not exceed, and the greatest."""
    counts = np.reshape(image.histogram(), (-1, 256)).sum(axis=0).cumsum()
    shares = counts / counts[-1]
    return tuple(int(np.argmax(shares >= share)) for share in (1e-12, 0.99, 1.0))


def _unreadable(where: Path, name: str, error: OSError | MemoryError) -> archives.UnreadableError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return archives.UnreadableError(
        f"{where}: {name} cannot be read ({reason}). Mend that, or move the file elsewhere."
    )


def _some(names: Sequence[str]) -> str:
    """Join up to five names."""
    return ", ".join([*names[:5], *["..."] * (len(names) > 5)])


def _check_values(files: Sequence[_File], where: Path) -> None:
    """Name what may surprise: files of several pictures, images of one value or nearly black.

    Raises:
        ValueError: the values of most images of a kind, such as 16-bit files, lie under an
            eighth of its range.
    """
    notable = {
        "files hold several pictures, and the first is used": [f for f in files if f.pictures > 1],
        "images have one value only": [f for f in files if f.darkest == f.brightest],
        "images are nearly black": [
            f for f in files if f.bright < DARK and f.brightest > f.darkest
        ],
    }
    for what, some in notable.items():
        if some:
            print(f"{where}: {len(some)} {what}: {_some([file.name for file in some])}")
    for bits in {file.bits for file in files}:
        brightest = np.sort([file.brightest for file in files if file.bits == bits])
        middle = int(brightest[len(brightest) // 2])
        if middle < DARK:
            raise ValueError(
                f"{where}: most of its images of {bits} bits hold no value of "
                f"{(middle + 1) << (bits - 8):,} or more, of {2**bits:,} that there are, so they "
                "would be black. Multiply them, or save them with as many bits as they need."
            )
