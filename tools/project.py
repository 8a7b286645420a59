"""The command line behind the Makefile: `python -m tools.project COMMAND`.

run [LESSON] [PRESET]   run a lesson headless, its progress in this terminal
refresh [LESSON ...]    run lessons at `long`, from their record, and save the pages' outputs
                        (or at the preset that a page's metadata call `saved`)
record FOLDER           make the finished run in FOLDER the record of its lesson
student LESSON          write a copy of a lesson in which the reader fills in losses and step
address                 copy the project's address from pyproject.toml to where it stands
install-missing         install what requirements.txt names and this Python lacks (Colab)
"""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from utils.options import ROOT

GITHUB = "https://github.com/"
BADGE = "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"


def main(arguments: list[str]) -> int:
    """Run one command and return the exit status."""
    commands = {
        "run": run,
        "refresh": refresh,
        "record": record,
        "student": student,
        "address": address,
        "install-missing": install_missing,
    }
    if not arguments or arguments[0] not in commands:
        print(__doc__)
        return 2
    name, *rest = arguments
    while rest and not rest[-1]:  # make passes "" for what is not set
        rest.pop()
    try:
        inspect.signature(commands[name]).bind(*rest)
    except TypeError:
        usage = re.search(rf"^{name}\b.*?(?=  |$)", __doc__, re.MULTILINE)[0]
        print(f"Error: usage: python -m tools.project {usage}", file=sys.stderr)
        return 2
    try:
        return commands[name](*rest)
    except (ValueError, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2


def run(lesson: str = "", preset: str = "") -> int:
    """Run a lesson headless."""
    from tools import headless

    return headless.run(lesson or "02_dcgan", preset)


def refresh(*names: str) -> int:
    """Renew the saved outputs of pages, and their pictures in the gallery."""
    from tools import headless, pages

    os.environ["STANDIN"] = "never"  # a page shows real data
    saved = {name: pages.Page(name).facts.get("saved", "long") for name in pages.lessons()}
    wanted = names or saved
    return max(headless.run(name, saved.get(name, "long"), to_page=True) for name in wanted)


def record(folder: str) -> int:
    """Make a finished run the record of its lesson."""
    from tools import records

    target = records.write_record(Path(folder))
    records.add_first_update(target.name)
    print(f"Wrote {target}")
    return 0


def student(lesson: str) -> int:
    """Write a copy of a lesson to fill in."""
    from tools import student

    path = student.write(lesson)
    print(f"Wrote {path.relative_to(ROOT)}. Open it with: make lab LESSON={path.stem}")
    return 0


def project_address() -> str:
    """Return the git address in pyproject.toml, "" while it is not set."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["tool"]["lessons"]["address"].removesuffix(".git")


def address() -> int:
    """Copy the address to the first cell and the badge of each page, README and CITATION.cff."""
    from tools import pages

    here = project_address()
    for file in ROOT.glob("notebooks/**/*.ipynb"):
        page = pages.Page(file)
        title = page.notebook.cells[0]
        lines = [line for line in title.source.splitlines() if not line.startswith(BADGE)]
        title.source = "\n".join(lines).rstrip()
        if here.startswith(GITHUB):
            path = f"{here.removeprefix(GITHUB)}/blob/main/{file.relative_to(ROOT).as_posix()}"
            title.source += f"\n\n{BADGE}(https://colab.research.google.com/github/{path})"
        page.set(ADDRESS=here)
        page.save()
    _replace(ROOT / "README.md", r"(?<=git clone )\S+", here or "ADDRESS")
    _replace(ROOT / "CITATION.cff", r'(?<=repository-code: )".*"', json.dumps(here))
    print(f"The address is {here!r} in every lesson, README.md and CITATION.cff.")
    return 0


def _replace(file: Path, pattern: str, value: str) -> None:
    text = file.read_text(encoding="utf-8")
    file.write_text(re.sub(pattern, lambda _: value, text), encoding="utf-8")


def install_missing() -> int:
    """Install missing requirements; what is there, TensorFlow above all, keeps its version."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line.split("#")[0].strip() for line in lines]
    wanted = [line for line in wanted if line and not line.startswith("-")]
    there = {
        d.metadata["Name"].lower().replace("_", "-") for d in importlib.metadata.distributions()
    }
    missing = [line for line in wanted if re.match(r"[\w.-]+", line)[0].lower() not in there]
    if not missing:
        return 0
    keep = [f"{d.metadata['Name']}=={d.version}" for d in importlib.metadata.distributions()]
    keep = [
        line for line in keep if line.lower().startswith(("tensorflow==", "keras==", "numpy=="))
    ]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", *missing, *keep]
    return subprocess.run(pip, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
