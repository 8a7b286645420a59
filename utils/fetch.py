"""Download and check files."""

from __future__ import annotations

import hashlib
import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import filelock
import keras
import numpy as np


def sha256(data: bytes | np.ndarray) -> str:
    """Return the SHA-256 of bytes, or of an array's values in C order, as 64 hex digits."""
    data = data if isinstance(data, bytes) else np.ascontiguousarray(data)
    return hashlib.sha256(data).hexdigest()


def has_hash(expected: str) -> Callable[[Path], None]:
    """Return a check for `download`: the file's SHA-256 is this one, 64 hex digits."""

    def check(path: Path) -> None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise ValueError(f"{path.name} has the SHA-256 {found}, expected was {expected}")

    return check


def in_data_dir(name: str) -> Path | None:
    """Return the path of `name` in DATA_DIR, or None where there is no such file.

    Raises:
        ValueError: DATA_DIR is set, but is not a folder.
    """
    given = os.environ.get("DATA_DIR")
    if not given:
        return None
    folder = Path(given).expanduser().resolve()
    if not folder.is_dir():
        raise ValueError(f"DATA_DIR={given!r}: {folder} is not a folder. Correct or unset it.")
    return folder / name if (folder / name).exists() else None


def download(
    name: str, urls: Sequence[str], check: Callable[[Path], None], timeout: float = 20.0
) -> Path:
    """Return a file from DATA_DIR or Keras' cache, else fetch it from the first address that works.

    A file in DATA_DIR is taken as it is. A fetched one that fails its check is fetched once
    more, then from the next address. Where two processes want a file, the second waits for it.

    Args:
        name: file name in DATA_DIR and in Keras' cache (`~/.keras/datasets`, or under KERAS_HOME).
        urls: the official address, then its mirrors.
        check: raises an exception where a file is not the right one, with the reason.
        timeout: seconds without a byte after which an address is given up.

    Raises:
        OSError: no address gave the file; the message holds each one's reason.
        ValueError: DATA_DIR is set, but is not a folder.
    """
    if here := in_data_dir(name):
        return here
    reasons, before = [], socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout)
    lock = filelock.FileLock(Path(tempfile.gettempdir(), f"{Path.home().name}-{name}.lock"))
    lock.acquire()
    try:
        for url in urls:
            for _ in range(2):
                try:
                    path = Path(keras.utils.get_file(name, origin=url))
                except Exception as error:  # get_file raises bare Exception for HTTP errors
                    reasons.append(f"{url}: {str(error).strip() or type(error).__name__}")
                    break
                try:
                    check(path)
                    return path
                except Exception as error:  # whatever a damaged file raises
                    path.unlink()
                    reasons.append(f"{url}: {error}")
    finally:
        lock.release()
        socket.setdefaulttimeout(before)
    why = "; ".join(dict.fromkeys(reasons))
    raise OSError(f"Put {name} in a folder and set DATA_DIR to that. The download failed: {why}")


def check_sums(folder: Path) -> None:
    """Check the files of a folder against its SHA256SUMS, which lists all of them.

    Raises:
        ValueError: one is another than it was.
    """
    text = (folder / "SHA256SUMS").read_text(encoding="utf-8", errors="replace")
    listed = {line[66:]: line[:64] for line in text.splitlines()}
    there = {path.name for path in folder.iterdir()} - {"SHA256SUMS"}
    for name in sorted(there | listed.keys()):
        if name not in there or sha256((folder / name).read_bytes()) != listed.get(name):
            raise ValueError(
                f"{folder.name}/{name} is damaged: its SHA-256 is not the one in SHA256SUMS. "
                "Get it again: git checkout outputs/pretrained"
            )
