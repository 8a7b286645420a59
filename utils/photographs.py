"""Photographs in a folder or an archive: found, decoded once, held once in one file."""

from __future__ import annotations

import contextlib
import hashlib
import io
import lzma
import math
import os
import shutil
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from utils.options import expanded, sides

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
OTHERS = (".heic", ".heif", ".avif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raw", ".psd")
REMEDY = f"Replace it, or convert it: read are archives (zip, tar), {', '.join(ENDINGS)}"
LARGEST = 2**26  # bytes of one file of an archive
DARK = 32  # of 256: a set without a brighter value has the wrong range
AT_ONCE = 16  # photographs that are decoded, and wait in memory to be written


class UnreadableError(OSError):
    """A file that is there cannot be read."""


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
    darkest: int  # value of the decoded image, 0 to 255
    brightest: int


def find(source: Path, inside: Sequence[str] = ()) -> dict[str, Callable[[], bytes]]:
    """Find the images in a folder, however deep, or in a zip or tar archive, read in place.

    Args:
        source: a folder, an archive, or a single image.
        inside: names of folders; images that lie directly in one of them count, else all.

    Returns:
        {name from the source on: what reads its bytes}, sorted by name. Hidden files and files
        without an image's ending are left out; pictures of kinds that are not read, by a sentence.

    Raises:
        ValueError: there is no such file, it is damaged, or of a kind that is not read.
        OSError: a folder cannot be read, or the temporary folder is full.
    """
    if source.suffix.lower() in ENDINGS and source.is_file():
        return {source.name: source.read_bytes}
    if source.is_dir():
        found = _in_folder(source)
    elif source.is_file() and tarfile.is_tarfile(source):
        found = _in_tar(source)
    else:
        found = _in_zip(source)
    if others := [name for name in found if _counts(PurePosixPath(name), inside, OTHERS)]:
        print(f"{source}: {len(others)} left out, such as {min(others)}. {REMEDY}.")
    return {name: found[name] for name in sorted(found) if _counts(PurePosixPath(name), inside)}


def _counts(path: PurePosixPath, inside: Sequence[str], endings: Sequence[str] = ENDINGS) -> bool:
    hidden = any(part.startswith((".", "__")) for part in path.parts)
    is_there = not inside or path.parent.name in inside
    return is_there and path.suffix.lower() in endings and not hidden


def _in_folder(source: Path) -> dict[str, Callable[[], bytes]]:
    def refuse(error: OSError) -> None:  # what cannot be read is not passed over
        raise error

    found = {}
    for folder, _, names in os.walk(source, onerror=refuse, followlinks=True):
        for name in names:
            path = Path(folder, name)
            found[path.relative_to(source).as_posix()] = path.read_bytes
    return found


def _in_zip(source: Path) -> dict[str, Callable[[], bytes]]:
    try:
        archive = zipfile.ZipFile(source)
    except Exception as error:  # a damaged archive raises many kinds
        raise ValueError(f"{source} cannot be opened: {error}. {REMEDY}.") from error
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    return {entry.filename: partial(_unpacked, archive, entry) for entry in entries}


def _in_tar(source: Path) -> dict[str, Callable[[], bytes]]:
    """Unpack a tar archive once to a temporary file: a compressed one is only read from its start.

    The file has no name; it goes when nothing reads from it any more.
    """
    plain = tempfile.TemporaryFile()  # noqa: SIM115
    lock = threading.Lock()

    def read(member: tarfile.TarInfo) -> bytes:
        _check_size(member.size)
        with lock:
            plain.seek(member.offset_data)
            return plain.read(member.size)

    try:
        with tarfile.open(source) as archive, _writing():
            archive.fileobj.seek(0)
            shutil.copyfileobj(archive.fileobj, plain)
        plain.seek(0)
        with tarfile.open(fileobj=plain, mode="r:") as archive:
            members = archive.getmembers()
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{source} cannot be opened: {error}. Replace it.") from error
    return {member.name: partial(read, member) for member in members if member.isfile()}


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    _check_size(entry.file_size)  # zipfile reads no more than an entry says it has
    return archive.read(entry)


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"{size:,} bytes are too many")


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Say what to do where the temporary folder is full, or cannot be written to."""
    try:
        yield
    except UnreadableError:  # has its own words
        raise
    except OSError as error:
        raise OSError(
            f"The photographs do not fit into the temporary folder, {tempfile.gettempdir()} "
            f"({error.strerror or error}). Make room there, or set TMPDIR to a folder on a "
            "larger disk."
        ) from error


def decode(data: bytes, keep_grey: bool = False) -> tuple[Image.Image, int]:
    """Decode an image of any mode to RGB, upright, without its alpha; of an animation the first.

    Values of 16 or 32 bits are scaled to 8 by the whole range of their kind.

    Args:
        data: of a file.
        keep_grey: leave an image that is stored in greyscale as it is, in mode "L".

    Returns:
        The image, and the bits of a value in the file: 8, 16 or 32.

    Raises:
        ValueError: the data hold no whole image, or values that are no grey levels.
    """
    try:
        image = Image.open(io.BytesIO(data))
        if np.prod(image.size) > Image.MAX_IMAGE_PIXELS:
            raise ValueError(f"{image.width} x {image.height} pixels are too many")
        is_16_bit = ";16" in str(image.tile)  # Pillow itself takes the upper byte of colours
        bits = 16 if is_16_bit else 32 if image.mode in ("I", "F") else 8
        image = ImageOps.exif_transpose(image)
        if image.mode == "F":
            raise ValueError("floats, whose range is not known; save it with 8 or 16 bits")
        if image.mode.startswith("I"):  # Pillow would clip it
            image = Image.fromarray(_in_8_bits(np.asarray(image, "int64"), bits))
        return image.convert("L" if keep_grey and image.mode in ("1", "L", "LA") else "RGB"), bits
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises many kinds
        raise ValueError(str(error).split("<")[0].strip() or type(error).__name__) from error


def _in_8_bits(values: np.ndarray, bits: int) -> np.ndarray:
    """Scale grey levels of 16 bits, or of signed 32, by the range of their kind."""
    if values.min() < 0:
        raise ValueError("negative values; save it with 8 or 16 bits")
    return (values >> (8 if bits == 16 else 23)).astype("uint8")


def load(
    source: str | Path,
    size: int | tuple[int, int],
    inside: Sequence[str] = (),
    grey: bool = False,
) -> Decoded:
    """Decode all images, resized to one size, and name those that cannot be used.

    Args:
        source: a folder, a zip or tar archive or a single image; "~" is your home.
        size: height and width in pixels, one number where they are the same; the form of an
            image is not kept, as in CycleGAN's own code.
        inside: names of folders; images that lie directly in one of them count, else all.
        grey: one channel, their luma, instead of three.

    Returns:
        uint8, (n, height, width, 3 or 1), in a temporary file, so that it takes no memory.

    Raises:
        ValueError: there is no image that can be used, or all are nearly black.
        OSError: a file cannot be read, or the temporary folder is full.
    """
    height, width = sides(size=size)

    def prepare(image: Image.Image) -> Image.Image:
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        return resized.convert("L") if grey else resized

    source = expanded(source)
    pixels, files = _stored(_prepared(find(source, inside), prepare, source))
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
    pixels, files = _stored(_prepared(find(source, inside), prepare, source, keep_grey))
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
    with _writing(), tempfile.TemporaryFile() as store:  # has no name; it goes when the map goes
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
            image, bits = decode(data, keep_grey)
            pixels = np.atleast_3d(np.asarray(prepare(image)))
        except (OSError, MemoryError) as error:
            raise _unreadable(where, name, error) from error
        except Exception as error:  # zipfile raises many kinds, too
            return f"{name} ({error})"
        values = np.asarray(image)
        kept = hashlib.sha256(data).hexdigest(), pixels.shape, bits
        return _File(name, *kept, int(values.min()), int(values.max())), pixels

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
        raise ValueError(f"{where} holds no image that can be used ({', '.join(ENDINGS)}).")
    _check_values(used, where)


def _unreadable(where: Path, name: str, error: OSError | MemoryError) -> UnreadableError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return UnreadableError(
        f"{where}: {name} cannot be read ({reason}). Mend that, or move the file elsewhere."
    )


def _some(names: Sequence[str]) -> str:
    """Join up to five names."""
    return ", ".join([*names[:5], *["..."] * (len(names) > 5)])


def _check_values(files: Sequence[_File], where: Path) -> None:
    """Name images of one value only, and refuse those that would be nearly black.

    Raises:
        ValueError: all values of a kind, such as 16-bit files, lie under an eighth of its range.
    """
    of_one_value = [file.name for file in files if file.darkest == file.brightest]
    if of_one_value:
        print(f"{where}: {len(of_one_value)} images have one value only: {_some(of_one_value)}")
    for bits in {file.bits for file in files}:
        brightest = max(file.brightest for file in files if file.bits == bits)
        if brightest < DARK:
            values = bits - (bits == 32)  # those of 32 bits have a sign
            raise ValueError(
                f"{where}: its images of {bits} bits hold no value of "
                f"{(brightest + 1) << (values - 8):,} or more, of {2**values:,} that there are, "
                "so they would be black. Multiply them, or save them with as many bits as their "
                "values need."
            )
