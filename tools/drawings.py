"""The drawings of the lessons: what flows where, in boxes and arrows.

    python -m tools.drawings [LESSON ...]

Writes notebooks/drawings/LESSON.png. A page shows it as the output of a cell, because neither a
code host nor Colab shows pictures that are attached to a text cell.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from utils.options import ROOT

FOLDER = ROOT / "notebooks" / "drawings"
COLOURS = {"data": "#f2f2f2", "network": "#cfe2f3", "loss": "#fce5cd", "result": "#d9ead3"}


class Box(NamedTuple):
    """A box: its centre, in units of one box, its text, and what kind of thing it is."""

    x: float
    y: float
    text: str
    kind: str = "data"
    width: float = 1.5
    height: float = 0.72


class Arrow(NamedTuple):
    """An arrow from one box to another, with a word beside it.

    Attributes:
        start, end: names of boxes.
        text: what flows.
        back: a gradient, drawn dashed.
        bend: how far the arrow bends: below 0 it leaves upwards, above 0 downwards.
        shift: moves the text, in units of one box.
    """

    start: str
    end: str
    text: str = ""
    back: bool = False
    bend: float = 0.0
    shift: tuple[float, float] = (0.0, 0.13)


class Drawing(NamedTuple):
    """Boxes by name, arrows, and words without a box, (x, y, text)."""

    boxes: dict[str, Box]
    arrows: list[Arrow]
    notes: tuple[tuple[float, float, str], ...] = ()


GAN = Drawing(
    {
        "z": Box(0, 0, "noise z\n(n, 100)"),
        "G": Box(2.2, 0, "generator G", "network"),
        "fake": Box(4.4, 0, "fake images G(z)\n(n, 28, 28, 1)"),
        "real": Box(4.4, 1.5, "real images x\n(n, 28, 28, 1)"),
        "D": Box(6.8, 0.75, "discriminator D", "network"),
        "answers": Box(9.0, 0.75, "D(x), D(G(z))\n0: fake, 1: real", "result"),
        "d_loss": Box(11.3, 1.5, "loss of D: wants\nD(x) = 1, D(G(z)) = 0", "loss", 2.1),
        "g_loss": Box(11.3, 0, "loss of G: wants\nD(G(z)) = 1", "loss", 2.1),
    },
    [
        Arrow("z", "G"),
        Arrow("G", "fake"),
        Arrow("fake", "D"),
        Arrow("real", "D"),
        Arrow("D", "answers"),
        Arrow("answers", "d_loss"),
        Arrow("answers", "g_loss"),
        Arrow("d_loss", "D", "gradient for D only", True, -0.2, (-0.5, 0.62)),
        Arrow("g_loss", "G", "gradient for G only: it runs back through D", True, 0.12, (0, -0.78)),
    ],
)

DRAWINGS = {"01_gan": GAN}


def draw(drawing: Drawing) -> Figure:
    """Draw boxes and arrows."""
    xs = [(b.x - b.width / 2, b.x + b.width / 2) for b in drawing.boxes.values()]
    ys = [b.y for b in drawing.boxes.values()]
    left, right = min(x for x, _ in xs) - 0.2, max(x for _, x in xs) + 0.2
    low, high = min(ys) - 1.4, max(ys) + 1.1
    scale = 9.6 / (right - left)  # inches a unit
    figure = Figure(figsize=(9.6, (high - low) * scale), dpi=110)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(low, high), aspect="equal")
    axes.set_axis_off()
    for arrow in drawing.arrows:
        _draw_arrow(axes, drawing, arrow)
    for box in drawing.boxes.values():
        _draw_box(axes, box)
    for x, y, text in drawing.notes:
        axes.text(x, y, text, ha="center", va="center", fontsize=8, style="italic")
    return figure


def _draw_box(axes: Axes, box: Box) -> None:
    corner = box.x - box.width / 2, box.y - box.height / 2
    style = {"boxstyle": "round,pad=0,rounding_size=0.1", "edgecolor": "#444444"}
    patch = FancyBboxPatch(corner, box.width, box.height, facecolor=COLOURS[box.kind], **style)
    axes.add_patch(patch)
    axes.text(box.x, box.y, box.text, ha="center", va="center", fontsize=8)


def _draw_arrow(axes: Axes, drawing: Drawing, arrow: Arrow) -> None:
    a, b = drawing.boxes[arrow.start], drawing.boxes[arrow.end]
    start, end = (a.x, a.y), (b.x, b.y)
    if arrow.bend:  # from edge to edge, above or below
        side = 1 if arrow.bend < 0 else -1
        start = a.x, a.y + side * a.height / 2
        end = b.x, b.y + side * b.height / 2
    elif abs(b.x - a.x) > (a.width + b.width) / 2:
        side = 1 if b.x > a.x else -1
        start = a.x + side * a.width / 2, a.y
        end = b.x - side * b.width / 2, b.y
    else:
        side = 1 if b.y > a.y else -1
        start = a.x, a.y + side * a.height / 2
        end = b.x, b.y - side * b.height / 2
    style = {
        "arrowstyle": "-|>",
        "connectionstyle": f"arc3,rad={-arrow.bend}",
        "linestyle": "--" if arrow.back else "-",
        "color": "#b45f06" if arrow.back else "#444444",
        "shrinkA": 1,
        "shrinkB": 1,
    }
    axes.annotate("", end, start, arrowprops=style)
    x = (start[0] + end[0]) / 2 + arrow.shift[0]
    y = (start[1] + end[1]) / 2 + arrow.shift[1]
    axes.text(x, y, arrow.text, ha="center", va="center", fontsize=8, color=style["color"])


def main(lessons: list[str]) -> None:
    """Draw those that are named, or all."""
    FOLDER.mkdir(exist_ok=True)
    for lesson in lessons or DRAWINGS:
        draw(DRAWINGS[lesson]).savefig(FOLDER / f"{lesson}.png")


if __name__ == "__main__":
    main(sys.argv[1:])
