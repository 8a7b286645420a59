"""Which images lie in a folder or an archive, and what reads their bytes."""

from __future__ import annotations

import contextlib
import errno
import lzma
import os
import posixpath
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
REMEDY = f"Replace it, or convert it: read are archives (zip, tar), {', '.join(ENDINGS)}"
LARGEST = 2**26  # bytes of one file of an archive


class UnreadableError(OSError):
    """A file that is there cannot be read."""


def find(source: Path, inside: Sequence[str] = ()) -> dict[str, Callable[[], bytes]]:
    """Find the images in a folder, however deep, or in a zip or tar archive.

    Args:
        source: a folder, an archive, or a single image.
        inside: names of folders; images that lie directly in one of them count, else all.

    Returns:
        {name from the source on: what reads its bytes}, sorted by name. Hidden files are left
        out; files without an image's ending too, with a sentence.

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
    counted = [name for name in sorted(found) if _counts(PurePosixPath(name), inside)]
    images = [name for name in counted if PurePosixPath(name).suffix.lower() in ENDINGS]
    if others := [name for name in counted if name not in set(images)]:
        print(f"{source}: {len(others)} other files left out, such as {others[0]}. {REMEDY}.")
    return {name: found[name] for name in images}


def _counts(path: PurePosixPath, inside: Sequence[str]) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and (not inside or path.parent.name in inside)


def _in_folder(source: Path) -> dict[str, Callable[[], bytes]]:
    def refuse(error: OSError) -> None:  # what cannot be read is not passed over
        raise error

    found = {}
    seen = set()
    for folder, below, names in os.walk(source, onerror=refuse, followlinks=True):
        seen.add(os.path.realpath(folder))  # a link may lead back to where one was
        below[:] = [x for x in below if os.path.realpath(Path(folder, x)) not in seen]
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
    # Old tools for Windows write backslashes.
    return {e.filename.replace("\\", "/"): partial(_unpacked, archive, e) for e in entries}


def _in_tar(source: Path) -> dict[str, Callable[[], bytes]]:
    """Unpack a tar archive once to a temporary file: a compressed one is only read from its start.

    The file has no name; it goes when nothing reads from it any more.
    """
    plain = tempfile.TemporaryFile()  # noqa: SIM115
    lock = threading.Lock()

    def read(member: tarfile.TarInfo) -> bytes:
        member = _target(member, by_name)
        _check_size(member.size)
        with lock:
            plain.seek(member.offset_data)
            return plain.read(member.size)

    try:
        with tarfile.open(source) as archive:
            archive.fileobj.seek(0)
            for block in _blocks(archive.fileobj):
                with writing():
                    plain.write(block)
        with writing():  # what is still in the buffer
            plain.seek(0)
        with tarfile.open(fileobj=plain, mode="r:") as archive:
            members = archive.getmembers()
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{source} cannot be opened: {error}. Replace it.") from error
    by_name = {posixpath.normpath(member.name): member for member in members}
    return {member.name: partial(read, member) for member in members if not member.isdir()}


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    try:
        yield from iter(partial(file.read, 2**20), b"")
    except OSError as error:
        if error.errno:  # of the machine; gzip and bz2 give theirs none
            raise
        raise tarfile.ReadError(str(error)) from error


def _target(member: tarfile.TarInfo, by_name: dict[str, tarfile.TarInfo]) -> tarfile.TarInfo:
    """Follow links within a tar archive, which stores a file's second name as one."""
    for _ in by_name:
        if member.isfile():
            return member
        folder = "" if member.islnk() else posixpath.dirname(member.name)
        member = by_name.get(posixpath.normpath(posixpath.join(folder, member.linkname)), member)
    raise FileNotFoundError(errno.ENOENT, f"a link to {member.linkname}, which is not there")


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    _check_size(entry.file_size)  # zipfile reads no more than an entry says it has
    return archive.read(entry)


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"{size:,} bytes are too many")


@contextlib.contextmanager
def writing() -> Iterator[None]:
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
