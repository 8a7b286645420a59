"""From what networks give, float32 in [-1, 1], to pictures: the only place that converts."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import imageio.v3 as iio
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Convert values in [-1, 1] to uint8 grey levels, 0 to 255; values outside are clipped.

    Args:
        images: floats of any shape; uint8 is returned as it is.

    Raises:
        ValueError: a value is not a finite number.
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    if not np.isfinite(images).all():
        raise ValueError("The images hold NaN or infinite values: the training has diverged.")
    return np.clip(np.rint((images.astype("float32") + 1) * 127.5), 0, 255).astype("uint8")


def grid(
    images: np.ndarray, columns: int | None = None, caption: str = "", gap: int = 2
) -> np.ndarray:
    """Lay images out in rows, on black.

    Args:
        images: (n, height, width, 1 or 3), float in [-1, 1] or uint8.
        columns: images a row; by default as square as n allows.
        caption: a line of text in a strip of its own under the images.
        gap: pixels between images.

    Returns:
        uint8, (height, width) for greyscale images, (height, width, 3) for colour.
    """
    images = to_uint8(images)
    n, height, width, channels = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    sheet = np.zeros((rows, height + gap, columns, width + gap, channels), "uint8")
    for i, image in enumerate(images):
        sheet[i // columns, :height, i % columns, :width] = image
    sheet = sheet.reshape(rows * (height + gap), columns * (width + gap), channels)
    sheet = sheet[: sheet.shape[0] - gap or None, : sheet.shape[1] - gap or None]
    sheet = sheet[..., 0] if channels == 1 else sheet
    if not caption:
        return sheet
    strip = Image.new("L" if channels == 1 else "RGB", (sheet.shape[1], 16))
    ImageDraw.Draw(strip).text((4, 2), caption, fill="white")
    return np.concatenate([sheet, np.asarray(strip)])


def show(images: np.ndarray, title: str = "", columns: int | None = None, scale: int = 2) -> None:
    """Draw a grid of images with a title in the notebook; arguments as in `grid`.

    Args:
        scale: screen pixels for a pixel of the images.
    """
    sheet = grid(images, columns)
    dpi, heading = 100, 24 if title else 0
    height, width = (n * scale for n in sheet.shape[:2])
    figure = plt.figure(figsize=(width / dpi, (height + heading) / dpi), dpi=dpi)
    axes = figure.add_axes((0, 0, 1, height / (height + heading)))
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=10)
    plt.show()


def png(image: np.ndarray) -> str:
    """Return a uint8 picture as a PNG in base64, for HTML."""
    return base64.b64encode(iio.imwrite("<bytes>", image, extension=".png")).decode()


def save_png(path: Path, images: np.ndarray, caption: str = "") -> None:
    """Write a grid of images as a PNG; arguments as in `grid`."""
    iio.imwrite(path, grid(images, caption=caption))


def save_gif(
    path: Path,
    frames: Sequence[np.ndarray],
    captions: Sequence[str] | None = None,
    seconds: float = 4.0,
    most: int = 64,
    levels: int = 256,
) -> Path:
    """Write an endless GIF of image grids that rests on its last frame for two seconds.

    Frames come from memory, never from a file pattern, so no other run's can slip in.

    Args:
        path: file to write.
        frames: arrays as `grid` takes them, one a frame.
        captions: one line of text a frame.
        seconds: time for all frames but the last.
        most: keep at most so many frames, the early ones, where most happens, more densely.
        levels: grey levels, or colours of all frames together; fewer make a smaller file.

    Returns:
        The path.

    Raises:
        ValueError: there are no frames.
    """
    if not len(frames):
        raise ValueError("There are no frames to write: train for at least one round.")
    keep = np.arange(len(frames))
    if len(frames) > most:
        keep = np.unique(np.rint(np.linspace(0, 1, most) ** 2 * (len(frames) - 1)).astype(int))
    captions = captions or [""] * len(frames)
    sheets = np.stack([grid(frames[i], caption=captions[i]) for i in keep])
    step = 255 / (levels - 1)
    if sheets.ndim == 3:
        sheets = (np.rint(sheets / step) * step).astype("uint8")
    else:  # one palette, without dither: what stands still costs nothing
        long = Image.fromarray(sheets.reshape(-1, *sheets.shape[2:]))
        long = long.quantize(levels, dither=Image.Dither.NONE).convert("RGB")
        sheets = np.asarray(long).reshape(sheets.shape)
    pause = round(1000 * seconds / max(1, len(sheets) - 1))
    durations = [pause] * (len(sheets) - 1) + [2000]
    iio.imwrite(path, sheets, extension=".gif", duration=durations, loop=0)
    return path
