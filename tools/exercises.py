"""Runs a lesson with some of its text changed: what the solutions in notebooks/solutions/ do."""

from __future__ import annotations

import linecache
from typing import Any

import matplotlib.pyplot as plt
import nbformat
from IPython.core import displaypub
from IPython.utils import capture

from utils.options import ROOT

# A page's ipywidgets call it, and what captures has none.
displaypub.CapturingDisplayPublisher.set_parent = lambda self, parent: None


def run(
    lesson: str,
    *changes: tuple[str, str],
    show: tuple[str, ...] = (),
    skip: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Execute a lesson's cells in this kernel, changed, and show what some of them display.

    Trains in a folder of its own, as a lesson changed by hand does. What follows the last cell
    that is shown is left out.

    Args:
        lesson: its name.
        *changes: (text that stands in one place of the lesson's code, what takes its place).
        show: texts; what a cell that holds one of them displays is shown.
        skip: texts; a cell that holds one of them is left out.

    Returns:
        The lesson's names, as `globals()` has them then.

    Raises:
        ValueError: a text stands nowhere, or in two places.
    """
    page = nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4)
    sources = [cell.source for cell in page.cells if cell.cell_type == "code"][1:]
    for old, new in changes:
        holders = [i for i, source in enumerate(sources) if old in source]
        if len(holders) != 1 or sources[holders[0]].count(old) != 1:
            raise ValueError(f"{old!r} stands in {len(holders)} cells of {lesson}: name one place.")
        sources[holders[0]] = sources[holders[0]].replace(old, new)
    for text in show + skip:
        if not any(text in source for source in sources):
            raise ValueError(f"show or skip: {text!r} stands nowhere in {lesson}.")
    sources = ["" if any(text in x for text in skip) else x for x in sources]
    wanted = [i for i, source in enumerate(sources) if any(text in source for text in show)]
    names = {"__name__": "__main__"}
    for number, source in enumerate(sources[: wanted[-1] + 1] if wanted else sources):
        with capture.capture_output() as shown:
            execute(source, f"<{lesson}, cell {number + 2}>", names)
            if plt.get_fignums():
                plt.show()  # as a cell does at its end
        if number in wanted:
            shown.show()
    return names


def execute(source: str, file: str, names: dict[str, Any], tree: Any = None) -> None:
    """Execute source, or what is left of it in a tree, so that `inspect` finds its functions."""
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(tree or source, file, "exec"), names)
