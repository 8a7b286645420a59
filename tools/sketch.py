"""What the drawings of lessons are made of: boxes, arrows, small pictures.

Places and sizes are in pixels of the page, on which a drawing is 760 wide; y goes down. What has
one place lies there by its middle.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon
from PIL import Image
from scipy.interpolate import CubicSpline

WIDTH = 760
DETAIL = 2  # pixels of the file for one of the page
COLOURS = 256  # of a file: no more make it small
TEXT = 10  # points: capitals are ten pixels high
FAKE = "#d95f02"
REAL = "#1f77b4"
JUDGE = "#6a3d9a"
DARK = "#333333"
PALE = "#8c8c8c"
RANDOM = np.random.default_rng(3).normal(0, 0.8, (3, 32))
# Points on the stroke of a digit, as many for each, in an image of 28 x 28 pixels.
STROKES = {
    0: [(17, 5), (11, 7), (8, 14), (10, 21), (15, 23), (19, 18), (20, 10), (17, 5)],
    1: [(14, 5), (14, 8), (14, 10), (14, 13), (14, 16), (14, 18), (14, 21), (14, 23)],
    3: [(9, 7), (14, 5), (19, 8), (14, 13), (20, 18), (17, 22), (12, 23), (8, 20)],
    6: [(18, 5), (12, 8), (9, 15), (10, 21), (15, 23), (19, 19), (16, 14), (10, 18)],
    7: [(8, 7), (13, 6), (19, 6), (18, 10), (16, 14), (14, 18), (13, 21), (12, 23)],
}
Pair = tuple[float, float]


def digit(stroke: Sequence[Pair], slant: float = 0.0, grain: float = 0.0) -> np.ndarray:
    """Return an image (28, 28) in [0, 1] of a stroke through points.

    Args:
        stroke: points (x, y).
        slant: pixels to the right for each pixel up.
        grain: standard deviation of noise at the edge of the stroke.
    """
    points = np.array(stroke, float)
    points[:, 0] += slant * (14 - points[:, 1])
    line = CubicSpline(np.arange(len(points)), points)(np.linspace(0, len(points) - 1, 200))
    pixels = np.stack(np.meshgrid(np.arange(28), np.arange(28)), axis=-1)
    distance = np.linalg.norm(pixels[:, :, None] - line, axis=-1).min(axis=2)
    noise = np.random.default_rng(0).normal(0, grain, (28, 28)) * (distance < 5)
    return np.clip(1.9 - distance + noise, 0, 1)


def sheet(height: float) -> Axes:
    """Return white ground to draw on, as wide as the page."""
    figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=100 * DETAIL)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    return axes


def write(axes: Axes, path: Path) -> None:
    """Write a finished drawing as a PNG of few colours."""
    file = io.BytesIO()
    axes.figure.savefig(file, format="png")
    few = Image.open(file).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    few.save(path, optimize=True)


def label(
    axes: Axes, place: Pair, text: str, colour: str = DARK, size: int = TEXT, at: str = "center"
) -> None:
    """Write a text; `at` says where the place lies in it: left, center or right."""
    style = {"color": colour, "size": size, "linespacing": 1.25, "zorder": 5}
    x, y = place
    middle = y - 0.18 * size  # a line's middle lies a little above that of its box
    axes.text(x, middle, text, horizontalalignment=at, verticalalignment="center_baseline", **style)


def box(
    axes: Axes, place: Pair, size: Pair, text: str = "", colour: str = DARK, letters: int = TEXT
) -> None:
    """Draw a box with round corners, and a text in its middle."""
    corner = place[0] - size[0] / 2, place[1] - size[1] / 2
    style = {"facecolor": (colour, 0.1), "edgecolor": colour, "linewidth": 1.4}
    axes.add_patch(FancyBboxPatch(corner, *size, "round,pad=0,rounding_size=6", **style))
    label(axes, place, text, colour, letters)


def arrow(axes: Axes, *places: Pair, colour: str = DARK, dashed: bool = False) -> None:
    """Draw a line from place to place, with a head at its end."""
    end = np.array(places[-1], float)
    along = end - places[-2]
    along /= np.linalg.norm(along)
    across = along[::-1] * (1, -1)
    neck = end - 10 * along
    head = [end, neck + 4.5 * across, neck - 4.5 * across]
    line = np.array([*places[:-1], neck])
    dashes = (0, (4, 3)) if dashed else "-"
    axes.plot(*line.T, color=colour, linestyle=dashes, linewidth=1.6, zorder=4)
    axes.add_patch(Polygon(head, color=colour, linewidth=0, zorder=4))


def picture(axes: Axes, place: Pair, side: float, image: np.ndarray, colour: str = FAKE) -> None:
    """Draw a grey image in [0, 1], white on black, or one in colour, uint8, with a frame."""
    x, y = place
    left = x - side / 2
    right = x + side / 2
    low = y + side / 2
    high = y - side / 2
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=(left, right, low, high), aspect="auto")
    corners = [(left, low), (right, low), (right, high), (left, high)]
    axes.add_patch(Polygon(corners, fill=False, edgecolor=colour, linewidth=2))


def numbers(axes: Axes, place: Pair, tall: float, values: np.ndarray) -> None:
    """Draw a column of numbers from -2 to 2 as grey cells."""
    x, y = place
    edges = x - 6, x + 6, y + tall / 2, y - tall / 2
    column = values[:, None]
    axes.imshow(column, cmap="gray", vmin=-2, vmax=2, extent=edges, aspect="auto")
    box(axes, place, (17, tall + 5))


def maps(
    axes: Axes, place: Pair, size: int, channels: int, colour: str, scale: float = 2.7
) -> None:
    """Draw a stack of maps to scale: `size` pixels square, as deep as it has channels."""
    side = size * scale
    deep = np.array([0.36, -0.22]) * channels
    right = np.array([side, 0])
    down = np.array([0, side])
    corner = np.array(place) - side / 2 - deep / 2
    faces = (
        (corner, right, down, 0.3),
        (corner, deep, right, 0.15),
        (corner + right, deep, down, 0.5),
    )
    for start, a, b, shade in faces:
        four = [start, start + a, start + a + b, start + b]
        axes.add_patch(Polygon(four, facecolor="white", zorder=2))
        axes.add_patch(Polygon(four, facecolor=(colour, shade), edgecolor=colour, zorder=2))
