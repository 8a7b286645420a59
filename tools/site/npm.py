"""Files of a package from npm, for the site: fetched once, known by their hash."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from utils.options import ROOT

CACHE = ROOT / "docs" / "_npm"  # git ignores it
REGISTRY = "https://registry.npmjs.org/"  # where npm is not installed
DONE = "fetched.json"  # in a folder of the cache: what was asked for, and is there
SECONDS = 60  # without an answer from the registry


def files(package: str, version: str, integrity: str, wanted: Sequence[str]) -> Path:
    """Fetch files of a package, unless they lie in the cache.

    Args:
        package: its name, such as "mathjax" or "@scope/name".
        version: its version, such as "3.2.2".
        integrity: the hash of its archive as npm writes it (`npm view NAME@VERSION
            dist.integrity`), "sha512-" and base64.
        wanted: files in the package, such as "es5/tex-chtml.js"; "*" stands for any letters.

    Returns:
        A folder of the cache, which holds these files under the same names.

    Raises:
        ValueError: the archive cannot be fetched, is another one, holds a path that leads out of
            the package, or lacks a file.
    """
    name = f"{package} {version}"
    asked = {"integrity": integrity, "wanted": sorted(wanted)}
    folder = CACHE / f"{package.replace('/', '-')}-{version}"
    done = folder / DONE
    if done.exists() and json.loads(done.read_text(encoding="utf-8")) == asked:
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
        archive = Path(temporary) / "package.tgz"
        _fetch(package, version, archive)
        _check(name, archive, integrity)
        made = Path(temporary) / "files"
        _extract(name, archive, wanted, made)
        (made / DONE).write_text(json.dumps(asked), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder


def registry() -> str:
    """Return the address of the registry that npm is set to, or of the public one."""
    npm = shutil.which("npm")
    if npm is None:
        return REGISTRY
    command = [npm, "config", "get", "registry"]
    told = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return told.rstrip("/") + "/" if told.startswith("http") else REGISTRY


def _fetch(package: str, version: str, target: Path) -> None:
    """Write the archive of a package to a file."""
    short = package.split("/")[-1]
    address = f"{registry()}{package}/-/{short}-{version}.tgz"
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer, target.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except OSError as error:  # urllib's errors are of this kind
        raise ValueError(
            f"{package} {version} could not be fetched from npm's registry ({error}): "
            f"the site needs it once, so connect to the network and try again."
        ) from None


def _check(name: str, archive: Path, integrity: str) -> None:
    kind, _, expected = integrity.partition("-")
    if kind != "sha512":
        raise ValueError(f'The integrity of {name} must begin with "sha512-": {integrity}.')
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha512").digest()
    if base64.b64encode(found).decode() != expected:
        raise ValueError(
            f"The archive of {name} is not the expected one (its sha512 differs), "
            "so nothing of it is used."
        )


def _extract(name: str, archive: Path, wanted: Sequence[str], folder: Path) -> None:
    """Write the wanted files of an archive; all lie in a folder of it, mostly "package"."""
    missing = set(wanted)
    try:
        with tarfile.open(archive, "r:gz") as opened:
            for member in opened:
                path = PurePosixPath(member.name)
                if path.is_absolute() or ".." in path.parts or "\\" in member.name:
                    raise ValueError(f"The archive of {name} holds {member.name!r}: not used.")
                inner = PurePosixPath(*path.parts[1:])
                fitting = {one for one in wanted if fnmatch.fnmatchcase(str(inner), one)}
                if fitting and member.isfile():
                    target = folder / inner
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(opened.extractfile(member).read())
                    missing -= fitting
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"The archive of {name} cannot be read: {error}.") from None
    if missing:
        raise ValueError(f"The archive of {name} has no file {', '.join(sorted(missing))}.")
