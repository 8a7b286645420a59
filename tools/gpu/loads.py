"""Packs TensorFlow, the project and the data into loads, which a machine without a network gets.

The scripts of a *kit* do TensorFlow: `pack.sh` leaves its wheel in pieces, with the machine code of
one kind of GPU, and other wheels; `setup.sh` and `check.py` go along and run there.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import nbformat

from utils import sources
from utils.options import ROOT

FOLDER = ROOT / ".gpu"  # git ignores it
KIT = Path(os.environ.get("GPU_KIT", ROOT.parent / "shared" / "gpu"))
KIT_FILES = "pack.sh", "prune.py", "setup.sh", "check.py"
LIMIT = 64 * 2**20  # bytes of a load, with the part of the project that travels along
ASIDE = "notebooks/", "outputs/"  # of the project: moved away while a load travels
PYTHON = "3.12"  # of that machine
DATA = "mnist.npz", "Set5.zip"
# Of outputs/pretrained: what lessons measure with.
MEASURE = "digit_classifier", "face_judges", "seeds.json", "squeezenet"
THERE = Path(__file__).with_name("there.sh")


def write() -> list[Path]:
    """Write the loads to `.gpu/load-1`, `.gpu/load-2` and so on; a finished packing is kept.

    Returns:
        The folders, in the order in which they travel.

    Raises:
        ValueError: the kit or a file is missing, packing failed, or a load is too large.
    """
    data = {name: sources.in_data_dir(name) for name in DATA}
    missing = [name for name, path in data.items() if path is None]
    missing += [name for name in KIT_FILES if not (KIT / name).exists()]
    if missing:
        names = ", ".join(missing)
        raise ValueError(f"{names}: not found. Set DATA_DIR and GPU_KIT to the folders.")
    packed = _packed()
    pieces = sorted(packed.glob("tf.*"))
    for old in FOLDER.glob("load-*"):
        shutil.rmtree(old)
    folders = [FOLDER / f"load-{i + 1}" for i in range(len(pieces))]
    for piece, folder in zip(pieces, folders, strict=True):
        folder.mkdir()
        shutil.copy(piece, folder)
    last = folders[-1]
    shutil.copytree(packed / "whl", last / "whl")
    for path in (KIT / "setup.sh", KIT / "check.py", THERE, *data.values()):
        shutil.copy(path, last)
    with tarfile.open(last / "project.tar.xz", "w:xz") as archive:
        for name in _tracked():
            if _travels(name):
                _add(archive, name)
    _check(folders)
    return folders


def _packed() -> Path:
    """Return the folder with TensorFlow's pieces and the other wheels."""
    version = next(
        line
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if line.startswith("tensorflow==")
    ).partition("==")[2]
    packed = FOLDER / f"tensorflow-{version}"
    if not packed.exists():
        began = packed.with_suffix(".begun")
        shutil.rmtree(began, ignore_errors=True)
        if subprocess.run(["bash", KIT / "pack.sh", began, PYTHON], cwd=ROOT).returncode:
            raise ValueError(f"{KIT / 'pack.sh'} failed: see its message above.")
        began.rename(packed)
    return packed


def _tracked() -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return found.stdout.splitlines()


def _travels(name: str) -> bool:
    """Tell whether a file of the project is needed there."""
    if name.startswith("outputs/pretrained/"):
        return name.split("/")[2] in MEASURE
    return not name.startswith(("outputs/", "docs/"))


def _add(archive: tarfile.TarFile, name: str) -> None:
    """Add a file of the project; a page without its outputs, which are most of it."""
    content = (ROOT / name).read_bytes()
    if name.endswith(".ipynb"):
        page = nbformat.reads(content.decode(), 4)
        for cell in page.cells:
            if cell.cell_type == "code":
                cell.outputs = []
        content = nbformat.writes(page).encode()
    facts = tarfile.TarInfo(name)
    facts.size = len(content)
    facts.mode = (ROOT / name).stat().st_mode & 0o777
    archive.addfile(facts, io.BytesIO(content))


def _place(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _check(folders: list[Path]) -> None:
    """Print how large each load is with the project that travels along.

    Raises:
        ValueError: a load is too large.
    """
    project = sum((ROOT / x).stat().st_size for x in _tracked() if not x.startswith(ASIDE))
    for folder in folders:
        own = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        place = _place(folder)
        print(f"{place}: {own / 2**20:.1f} MiB, {(own + project) / 2**20:.1f} with the project")
        if own + project > LIMIT:
            raise ValueError(f"{place} is larger than {LIMIT // 2**20} MiB: move a file of it.")
