"""From what networks give, float32 in [-1, 1], to pictures: the only place that converts.

Images are what networks take and give, (n, height, width, channels). A picture is what one sees:
uint8, (height, width) or (height, width, 3).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import imageio.v3 as iio
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from skimage.util import montage

from utils import workers

TEXT = 10  # size of a caption in pixels, in a picture up to SHOWN pixels wide
SHOWN = 800  # a page shows pictures reduced to about this width, so wider ones get larger text
CONVERT = "Grey levels from 0 to 255 are converted by images.astype('uint8')."
ROUNDING = 1e-3  # by which floats may leave [-1, 1]
LAST = 2000  # milliseconds that a GIF rests on its last frame
# Figures take East Asian letters from those of these fonts that are here.
EAST = (
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "NanumGothic",
    "Noto Sans CJK KR",
    "Noto Sans CJK JP",
    "Yu Gothic",
    "Hiragino Sans",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Zen Hei",
    "Arial Unicode MS",
)
plt.rcParams["font.family"] += [x for x in EAST if x in font_manager.get_font_names()]


def to_uint8(images: np.ndarray, clip: bool = True) -> np.ndarray:
    """Convert images to uint8 grey levels, 0 to 255, by the range of their kind.

    Args:
        images: of any shape: floats in [-1, 1], booleans, or whole numbers of any kind, whose
            greatest becomes white; uint8 is returned as it is.
        clip: cut floats outside [-1, 1], which networks without a tanh give; else refuse them,
            and floats without a negative value: they seem to go from 0 to 1.

    Raises:
        ValueError: a value is not a finite number, or is no grey level of its kind: floats from 0
            to 255, or whole numbers that all lie under an eighth of their kind's range.
    """
    images = np.asarray(images)
    if images.dtype == np.uint8 or not images.size:
        return images.astype("uint8")
    if images.dtype == bool:
        return np.uint8(255) * images
    if np.issubdtype(images.dtype, np.integer):
        low = images.min()
        high = images.max()
        most = np.iinfo(images.dtype).max
        if low < 0 or high < most / 8:
            raise ValueError(
                f"The images hold {images.dtype} from {low} to {high}, of {most:,} that there are, "
                f"so they would be black or worse. {CONVERT}"
            )
        return np.rint(images / most * 255).astype("uint8")
    check_floats(images, clip)
    levels = np.rint((images.astype("float32") + 1) * 127.5)
    return np.clip(levels, 0, 255).astype("uint8")


def check_floats(images: np.ndarray, clip: bool = True) -> None:
    """Check the range of images of floats; arguments as in `to_uint8`.

    Raises:
        ValueError: a value is not a finite number, or they are grey levels, or with clip=False
            they leave [-1, 1].
    """
    low = np.min(images)
    high = np.max(images)
    if not np.isfinite((low, high)).all():
        raise ValueError("The images hold NaN or infinite values: the training has diverged.")
    are_levels = low >= 0 and high > 2
    if 0 <= low < high <= 1 and clip:
        warnings.warn(
            "The images hold no value below 0. Those from 0 to 1, as a sigmoid gives, look washed "
            "out: -1 is black here, and 1 is white.",
            stacklevel=3,
        )
    is_outside = low < -1 - ROUNDING or high > 1 + ROUNDING
    if are_levels or (not clip and (is_outside or (low >= 0 and high > low))):
        raise ValueError(
            f"The images hold floats from {low:g} to {high:g}, not from -1, black, to 1, white. "
            f"{CONVERT} Those from 0 to 1 become such by 2 * images - 1."
        )


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
        A picture, (height, width) for greyscale images, (height, width, 3) for colour. It is as
        wide as its caption at least.
    """
    images = to_uint8(images)
    if images.ndim != 4 or not len(images) or images.shape[3] not in (1, 3):
        raise ValueError(
            f"An array of shape {images.shape} is no set of images: "
            "take (n, height, width, 1 or 3), of one image at least."
        )
    n, *_, channels = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    shape = -(-n // columns), columns
    black = [0] * channels
    sheet = montage(images, black, grid_shape=shape, padding_width=gap, channel_axis=-1)
    sheet = sheet[gap : len(sheet) - gap, gap : sheet.shape[1] - gap]  # without the border
    picture = sheet[..., 0] if channels == 1 else sheet
    return _with_strip(picture, caption) if caption else picture


def frame(made: np.ndarray, caption: str = "", columns: int | None = None) -> np.ndarray:
    """Make a finished picture of what a lesson's `sample` returns.

    Args:
        made: images, (n, height, width, 1 or 3), float in [-1, 1] or uint8, which are laid out
            in a grid; or a picture, uint8, (height, width) or (height, width, 3), which stays
            as it is.
        caption: a line of text in a strip of its own below.
        columns: images a row, as in `grid`.

    Returns:
        A picture. It is as wide as its caption at least.

    Raises:
        ValueError: `made` has another shape, or is a picture of floats.
    """
    made = np.asarray(made)
    if made.ndim == 4:
        return grid(made, columns, caption)
    if made.dtype != np.uint8 or not (made.ndim == 2 or (made.ndim == 3 and made.shape[2] == 3)):
        raise ValueError(
            f"{made.dtype} of shape {made.shape} is neither images, (n, height, width, channels), "
            "nor a picture, uint8 of shape (height, width) or (height, width, 3)."
        )
    return _with_strip(made, caption) if caption else made


def _with_strip(picture: np.ndarray, caption: str) -> np.ndarray:
    """Put a line of text below a picture, and black at its right where the text is wider."""
    size = max(TEXT, TEXT * picture.shape[1] // SHOWN)
    font = _font_of(caption, size)
    margin = 4
    width = max(picture.shape[1], round(font.getlength(caption)) + 2 * margin)
    strip = Image.new("L" if picture.ndim == 2 else "RGB", (width, size + 6))
    ImageDraw.Draw(strip).text((margin, 2), caption, fill="white", font=font)
    return np.concatenate([_on_black(picture, picture.shape[0], width), np.asarray(strip)])


def _font_of(text: str, size: int) -> ImageFont.FreeTypeFont:
    """Return Pillow's own font, or where it may lack letters of a text, a figure's that has all."""
    for name in () if text.isascii() else plt.rcParams["font.family"]:
        file = font_manager.findfont(font_manager.FontProperties([name]))
        if all(font_manager.get_font(file).get_char_index(ord(letter)) for letter in text):
            return ImageFont.truetype(file, size)
    return ImageFont.load_default(size)


def _on_black(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Put a picture at the top left of a larger black one."""
    edges = (0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0)
    return np.pad(picture, edges[: picture.ndim])


def show(
    images: np.ndarray,
    title: str = "",
    columns: int | None = None,
    scale: int = 2,
    rows: Sequence[str] = (),
    heads: Sequence[str] = (),
) -> None:
    """Draw images in a grid, or a picture, with a title in the notebook.

    Args:
        images: as `frame` takes them.
        title: a line of text above.
        columns: images a row.
        scale: screen pixels for a pixel of the images.
        rows: a label at the left of each row.
        heads: a label above each column.
    """
    picture = frame(images, columns=columns)
    dpi = 100
    height, width = (n * scale for n in picture.shape[:2])
    left = 12 + 7 * max(map(len, rows), default=0) if rows else 0
    top = (24 if title else 0) + (18 if heads else 0)
    inches = (left + width) / dpi, (height + top) / dpi
    figure = plt.figure(figsize=inches, dpi=dpi)
    axes = figure.add_axes(
        (left / (left + width), 0, width / (left + width), height / (height + top))
    )
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks(_centres(picture.shape[1], len(heads)), heads, fontsize=9)
    axes.set_yticks(_centres(picture.shape[0], len(rows)), rows, fontsize=9)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=10)
    plt.show()


def _centres(size: int, n: int) -> np.ndarray:
    """Return where the middle of each of n images lies along a side of a grid."""
    return (np.arange(n) + 0.5) * size / max(n, 1) - 0.5


def png_bytes(picture: np.ndarray) -> bytes:
    """Return a picture as the content of a PNG file."""
    return iio.imwrite("<bytes>", picture, extension=".png")


def save_png(path: Path, images: np.ndarray, caption: str = "") -> None:
    """Write images in a grid, or a picture, as a PNG; arguments as in `frame`."""
    content = png_bytes(frame(images, caption))
    workers.by_chief(lambda: Path(path).write_bytes(content))


def save_gif(
    path: Path,
    frames: Sequence[np.ndarray | Path],
    captions: Sequence[str] | None = None,
    seconds: float = 4.0,
    most: int = 64,
    levels: int = 256,
) -> Path:
    """Write an endless GIF that rests on its last frame for two seconds.

    Frames are named one by one, never by a file pattern, so no other run's can slip in. Frames
    may differ in size, as those of growing stages do: smaller ones are enlarged by the largest
    whole factor that fits into the largest frame, and stand at its top left, on black.

    Args:
        path: file to write.
        frames: one a frame: an image file, or what `frame` takes. Only files of frames that are
            kept are read.
        captions: one line of text a frame.
        seconds: time for all frames but the last.
        most: keep at most so many frames, the early ones, where most happens, more densely.
        levels: grey levels, or colours of all frames together; fewer make a smaller file.

    Returns:
        The path.

    Raises:
        ValueError: there are no frames, or not as many captions.
    """
    if not len(frames):
        raise ValueError("There are no frames to write: train for at least one round.")
    if captions and len(captions) != len(frames):
        raise ValueError(f"{len(captions)} captions for {len(frames)} frames: give one for each.")
    chosen = _denser_early(len(frames), most)
    pictures = _alike([_picture(frames[i]) for i in chosen])
    if captions:
        pictures = _alike([frame(x, captions[i]) for x, i in zip(pictures, chosen, strict=True)])
    sheets = _with_few_levels(np.stack(pictures), levels)
    pause = round(1000 * seconds / max(1, len(sheets) - 1))
    durations = [pause] * (len(sheets) - 1) + [LAST]
    options = {"extension": ".gif", "duration": durations, "loop": 0}
    workers.by_chief(lambda: iio.imwrite(path, sheets, **options))
    return path


def _denser_early(n: int, most: int) -> np.ndarray:
    """Choose at most so many of the numbers 0 to n - 1, the first and the last among them."""
    if n <= most:
        return np.arange(n)
    places = np.linspace(0, 1, most) ** 2 * (n - 1)
    return np.unique(np.rint(places).astype(int))


def _picture(made: np.ndarray | Path) -> np.ndarray:
    return frame(iio.imread(made) if isinstance(made, str | Path) else made)


def _alike(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """Bring pictures to the size of the largest, and to colour where one of them has it."""
    height, width = np.max([x.shape[:2] for x in pictures], axis=0)
    in_colour = any(x.ndim == 3 for x in pictures)
    found = []
    for picture in pictures:
        factor = min(height // picture.shape[0], width // picture.shape[1])
        larger = picture.repeat(factor, axis=0).repeat(factor, axis=1)
        if in_colour and larger.ndim == 2:
            larger = np.stack([larger] * 3, axis=-1)
        found.append(_on_black(larger, height, width))
    return found


def _with_few_levels(pictures: np.ndarray, levels: int) -> np.ndarray:
    """Round grey levels, or take one palette for all pictures, (n, height, width[, 3])."""
    if pictures.ndim == 3:
        step = 255 / (levels - 1)
        return (np.rint(pictures / step) * step).astype("uint8")
    long = Image.fromarray(pictures.reshape(-1, *pictures.shape[2:]))
    few = long.quantize(levels, dither=Image.Dither.NONE)  # so what stands still costs nothing
    return np.asarray(few.convert("RGB")).reshape(pictures.shape)
