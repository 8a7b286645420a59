"""Does here, in an empty folder and on the CPU, what the machine with a GPU will do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tools.gpu import loads
from tools.gpu.loads import FOLDER, PYTHON

# What that machine has, as far as it is needed.
INSTALLED = (
    "absl-py attrs filelock flatbuffers grpcio h5py imageio jinja2 matplotlib numpy opt-einsum "
    "packaging pillow psutil pygments pytest pyyaml requests scikit-image scikit-learn scipy "
    "setuptools six typing-extensions wheel wrapt"
)


def find_python() -> str:
    """Return where that machine's Python is here.

    Raises:
        ValueError: there is none, or it does not run.
    """
    python = shutil.which(f"python{PYTHON}")
    asked = python and subprocess.run([python, "--version"], capture_output=True, text=True)
    if not asked or PYTHON not in asked.stdout:
        raise ValueError(f"The rehearsal needs Python {PYTHON}: install it, or set PATH.")
    return python


def run(python: str, folders: Sequence[Path], stages: Sequence[str] = ()) -> None:
    """Unpack the loads in an empty folder, under that machine's Python, and run stages.

    The lesson runs at `smoke`, and steps are timed once. What the stages wrote is left in
    `.gpu/rehearsal`.

    Args:
        python: of `find_python`.
        folders: the loads.
        stages: of `there.sh`; all by default.

    Raises:
        ValueError: a stage failed.
    """
    out = FOLDER / "rehearsal"
    shutil.rmtree(out, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        began = time.monotonic()
        subprocess.run([python, "-m", "venv", root / "python"], check=True)
        install = [root / "python/bin/python", "-m", "pip", "install", "-q", *INSTALLED.split()]
        subprocess.run(install, check=True)
        print(f"Python {PYTHON} with what is there: {time.monotonic() - began:.0f} s", flush=True)
        for folder in folders:
            shutil.copytree(folder, root / "loads" / folder.name)
        (root / "parts").mkdir()
        for folder in folders[:-1]:
            shutil.copy(next((root / "loads" / folder.name).glob("tf.*")), root / "parts")
        path = f"{root / 'python' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        environment |= {"ROOT": name, "OUT": str(out), "PATH": path, "PRESET": "smoke"}
        environment |= {"RESUME_STEPS": "3", "SLOWER": "12", "TURNS": "1"}
        environment |= {"SMALLER": ", quick"}
        there = root / "loads" / folders[-1].name / "there.sh"
        ended = subprocess.run(["bash", there, *stages], env=environment, cwd=root).returncode
    log = out / "times.log"
    times = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    if (
        ended
        or len(times) < max(1, len(stages))
        or not all(": status 0," in line for line in times)
    ):
        raise ValueError(f"A stage failed: see its message above, and {out}.")


def main() -> int:
    """Pack, check and rehearse; return the exit status."""
    try:
        python = find_python()
        run(python, loads.write(), sys.argv[1:])
    except ValueError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
