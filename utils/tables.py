"""Tables of results: real ones in a notebook, aligned text everywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from IPython import display, get_ipython

from utils import device


def in_notebook() -> bool:
    """Tell whether a notebook shows what is displayed."""
    return getattr(get_ipython(), "kernel", None) is not None


def markdown(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write a table in Markdown, its columns aligned so that it can be read as it stands.

    Args:
        header: the names of the columns. The first column holds the names of the rows; it is
            set to the left, the others to the right.
        rows: a list of cells for each row; numbers come as text, rounded by the caller.
    """
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(line, widths) for line in (lines[0], rule, *lines[1:]))


def _line(cells: list[str], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    padded = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return f"| {' | '.join(padded)} |"


def show(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Show a table below the cell, or print it where there is no notebook.

    Args:
        header: the names of the columns.
        rows: a list of cells for each row.
    """
    text = markdown(header, rows)
    if not in_notebook():
        device.say(text)
    elif device.is_chief():
        display.display({"text/plain": text, "text/markdown": text}, raw=True)
