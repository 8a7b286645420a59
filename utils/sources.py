"""Where data come from: DATA_DIR, Keras' cache, a download, or else a stand-in."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import filelock
import keras
import numpy as np

from utils.options import expanded, option

T = TypeVar("T")
LIMITS = (  # of this machine, not of the network
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EROFS,
)
ATTEMPTS = 2  # to get an intact file from one address


class UnavailableError(OSError):
    """No address gave the file."""


def or_standin(name: str, real: Callable[[], T], standin: Callable[[], T]) -> tuple[str, T, bool]:
    """Return real data, or a stand-in where they cannot be downloaded, as STANDIN has it.

    Use it for published data only: nothing may stand in for a folder that the reader named.

    Args:
        name: of the data.
        real: loads the data; `download` within it tells by `UnavailableError` that there are none.
            Other errors pass, so that a damaged file or a full disk is not hidden.
        standin: makes what stands in.

    Returns:
        (name, which says so if it is a stand-in; what was loaded or made; is it a stand-in).

    Raises:
        FileNotFoundError: the data cannot be downloaded, and STANDIN=never.
    """
    wish = option("STANDIN")
    if wish != "always":
        try:
            return name, real(), False
        except UnavailableError as error:
            if wish == "never":
                raise FileNotFoundError(
                    f"{name} was not found and STANDIN=never. {error}"
                ) from error
            print(f"{name} could not be loaded, so a stand-in is used. {error}")
    return f"STAND-IN for {name}", standin(), True


def sha256(data: bytes | np.ndarray) -> str:
    """Return the SHA-256 of bytes, or of an array's values in C order, as 64 hex digits."""
    data = data if isinstance(data, bytes) else np.ascontiguousarray(data)
    return hashlib.sha256(data).hexdigest()


def has_hash(expected: str) -> Callable[[Path], None]:
    """Return a check for `download`: the file's hash is this one.

    Args:
        expected: SHA-256, 64 hex digits, or MD5, 32, by which Keras knows its files.
    """
    kind = "MD5" if len(expected) == 32 else "SHA-256"

    def check(path: Path) -> None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, kind.replace("-", "").lower()).hexdigest()
        if found != expected:
            raise ValueError(f"{path.name} has the {kind} {found}, expected was {expected}")

    return check


def in_data_dir(name: str) -> Path | None:
    """Return the path of `name` in DATA_DIR, or None where there is no such file.

    Raises:
        ValueError: DATA_DIR is set, but is not a folder.
    """
    given = os.environ.get("DATA_DIR")
    if not given:
        return None
    folder = expanded(given).resolve()
    if not folder.is_dir():
        raise ValueError(f"DATA_DIR={given!r}: {folder} is not a folder. Correct or unset it.")
    path = folder / name
    return path if path.exists() else None


def download(
    name: str, urls: Sequence[str], check: Callable[[Path], object], timeout: float = 20.0
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
        UnavailableError: no address gave the file; the message holds each one's reason.
        OSError: the disk is full, a limit is reached, or a permission is missing.
        ValueError: DATA_DIR is set, but is not a folder.
    """
    if here := in_data_dir(name):
        return here
    reasons = []
    owner = Path(os.path.expanduser("~")).name  # there may be no home
    lock = filelock.FileLock(Path(tempfile.gettempdir(), f"{owner}-{name}.lock"))
    with lock, contextlib.ExitStack() as undo:
        undo.callback(socket.setdefaulttimeout, socket.getdefaulttimeout())
        socket.setdefaulttimeout(timeout)
        for url in urls:
            path = _fetched(name, url, check, reasons)
            if path:
                return path
    why = "; ".join(dict.fromkeys(reasons))
    raise UnavailableError(
        f"Put {name} in a folder and set DATA_DIR to that. The download failed: {why}"
    )


def _fetched(
    name: str, url: str, check: Callable[[Path], object], reasons: list[str]
) -> Path | None:
    """Return a file that passes its check, from Keras' cache or one address, or add the reasons."""
    for _ in range(ATTEMPTS):
        try:
            path = Path(keras.utils.get_file(name, origin=url))
        except Exception as error:  # get_file raises bare Exception for HTTP errors
            _raise_if_local(name, error)
            reasons.append(f"{url}: {str(error).strip() or type(error).__name__}")
            return None
        try:
            check(path)
            return path
        except Exception as error:  # whatever a damaged file raises
            _raise_if_local(name, error)
            path.unlink()
            reasons.append(f"{url}: {error}")
    return None


def _raise_if_local(name: str, error: BaseException | None) -> None:
    """Tell a full disk, a limit or a missing permission from a file that is not to be had.

    Raises:
        OSError: this machine could not take the file, or not open it.
    """
    while error:
        reason = getattr(error, "reason", error)  # of a URLError
        if isinstance(reason, OSError) and (reason.filename or reason.errno in LIMITS):
            where = f": {reason.filename}" if reason.filename else ""
            raise OSError(
                f"{name} could not be kept or opened ({reason.strerror}{where}). Mend that, or "
                "set KERAS_HOME to a folder that has room and can be written to."
            ) from error
        error = error.__cause__ or error.__context__


def check_sums(folder: Path) -> None:
    """Check the files of a folder against its SHA256SUMS, which lists all but hidden ones.

    Raises:
        ValueError: one is another than it was.
    """
    text = (folder / "SHA256SUMS").read_text(encoding="utf-8", errors="replace")
    listed = {line[66:]: line[:64] for line in text.splitlines()}
    files = (path.name for path in folder.iterdir() if path.is_file())
    there = {name for name in files if not name.startswith(".")} - {"SHA256SUMS"}
    for name in sorted(there | listed.keys()):
        if name not in there or sha256((folder / name).read_bytes()) != listed.get(name):
            raise ValueError(
                f"{folder.name}/{name} is damaged, or does not belong there: SHA256SUMS has no "
                "such file. Get it again (git checkout outputs/pretrained), or remove it."
            )
