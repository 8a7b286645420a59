"""Super-resolution by 4: crops to train on, the protocol of measuring, images larger than memory.

The protocol (Ledig et al. 2017, section 3.1): an image is cut to a multiple of 4, made four times
smaller with antialiased bicubic interpolation, enlarged by what is measured, rounded to 8 bits,
and compared in its luma Y (BT.601, 16 to 235) without a border of 4 pixels. The values of an image
that is stored in greyscale are Y as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import skimage.data
import tensorflow as tf
from PIL import Image
from skimage import color
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from utils import datasets, fetch, images, photographs
from utils.evaluation import in_batches
from utils.options import at_least

SCALE = 4
DIV2K_URLS = (
    "https://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_train_HR.zip",
    "http://data.vision.ee.ethz.ch/cvl/DIV2K/DIV2K_train_HR.zip",
    "https://huggingface.co/datasets/goodfellowliu/DIV2K/resolve/main/DIV2K_train_HR.zip",
)
DIV2K_HASH = "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335"
BENCHMARK_URL = "https://github.com/HedgehogCode/tensorflow-datasets-bw/releases/download/0.0.1rc/"
BENCHMARKS = {"Set5": 5, "Set14": 14}  # images
STANDINS = {  # photographs that scikit-image installs
    "train": ("astronaut", "rocket", "hubble_deep_field", "immunohistochemistry", "retina"),
    "test": ("chelsea", "coffee", "camera"),
}


def cut(image: np.ndarray) -> np.ndarray:
    """Cut an image (height, width, channels) at the right and below to multiples of 4."""
    height, width = (n // SCALE * SCALE for n in image.shape[:2])
    return image[:height, :width]


def resize(image: np.ndarray, factor: float) -> np.ndarray:
    """Resize an image with bicubic interpolation, antialiased where it becomes smaller (Pillow).

    Args:
        image: uint8, (height, width, 1 or 3).
        factor: 1/4 or 4, for instance.

    Returns:
        uint8, (factor * height, factor * width, 1 or 3).
    """
    size = [round(n * factor) for n in image.shape[1::-1]]
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    resized = np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
    return resized.reshape(*size[::-1], image.shape[2])


def luma(image: np.ndarray) -> np.ndarray:
    """Return Y of an uint8 image, (height, width): BT.601, 16 to 235; greyscale as it is."""
    return (
        image[..., 0].astype("float64") if image.shape[2] == 1 else color.rgb2ycbcr(image)[..., 0]
    )


def compare(original: np.ndarray, enlarged: np.ndarray) -> dict[str, float]:
    """Compare an enlarged image with its original, by the protocol above.

    Args:
        original, enlarged: uint8, (height, width, 1 or 3), multiples of 4.

    Returns:
        "PSNR" in dB; "SSIM" with the usual window, 11 x 11 and a Gaussian of deviation 1.5;
        "SSIM, wide", whose Gaussian has the deviation 1.5 height / 256: the column of the paper.
    """
    if enlarged.shape[2] > original.shape[2]:
        enlarged = enlarged.mean(axis=2, keepdims=True)
    x, y = (luma(image)[SCALE:-SCALE, SCALE:-SCALE] for image in (original, enlarged))
    options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 255}
    return {
        "PSNR": float(peak_signal_noise_ratio(x, y, data_range=255)),
        "SSIM": float(structural_similarity(x, y, sigma=1.5, **options)),
        "SSIM, wide": float(structural_similarity(x, y, sigma=1.5 * len(x) / 256, **options)),
    }


def bicubic(small: np.ndarray) -> np.ndarray:
    """Enlarge an uint8 image four times with bicubic interpolation: what to be better than."""
    return resize(small, SCALE)


def enlarge(network: Callable, small: np.ndarray, tile: int = 112, margin: int = 48) -> np.ndarray:
    """Enlarge an image of any size, in tiles that overlap.

    Where the margin is no less than what one pixel depends on, the tiles give what the whole
    image would. At the image's own border a tile has none, so zeros are padded there alike.

    Args:
        network: (1, h, w, 3) in [0, 1] -> (1, 4 h, 4 w, 3) in [-1, 1].
        small: uint8, (height, width, 1 or 3).
        tile: height and width of a tile, without its margin.
        margin: pixels around a tile that the network sees, too.

    Returns:
        uint8, (4 height, 4 width, 3).
    """
    height, width = small.shape[:2]
    small = np.broadcast_to(small, (height, width, 3)).astype("float32") / 255
    large = np.empty((SCALE * height, SCALE * width, 3), "uint8")
    for y in range(0, height, tile):
        for x in range(0, width, tile):
            top, left = max(0, y - margin), max(0, x - margin)
            seen = small[None, top : y + tile + margin, left : x + tile + margin]
            found = images.to_uint8(in_batches(network, seen)[0])
            found = found[SCALE * (y - top) :, SCALE * (x - left) :][: SCALE * tile, : SCALE * tile]
            large[SCALE * y :, SCALE * x :][: found.shape[0], : found.shape[1]] = found
    return large


def shrink(image: np.ndarray) -> np.ndarray:
    """Make an uint8 image four times smaller with antialiased bicubic interpolation."""
    return resize(image, 1 / SCALE)


def measure(
    originals: dict[str, np.ndarray],
    method: Callable[[np.ndarray], np.ndarray],
    shrink: Callable[[np.ndarray], np.ndarray] = shrink,
    content: keras.Model | None = None,
) -> dict[str, float]:
    """Return the means over images of what `compare` finds, and of the content loss.

    Args:
        originals: uint8 images by name, (height, width, 1 or 3).
        method: enlarges an uint8 image four times: `bicubic`, for instance.
        shrink: makes the small image; another than the protocol's is a mistake to show.
        content: adds "content": the mean squared difference of this network's features,
            (n, height, width, 3) in [-1, 1] -> features.
    """
    found = []
    for image in map(cut, originals.values()):
        enlarged = method(shrink(image))
        found.append(compare(image, enlarged))
        if content:
            pair = np.stack([x * np.ones(3, "uint8") for x in (image, enlarged)])
            found[-1]["content"] = np.mean(np.subtract(*in_batches(content, pair)) ** 2)
    return {name: float(np.mean([row[name] for row in found])) for name in found[0]}


def spectrum(photos: Iterable[np.ndarray], rings: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Return how strong patterns of each width are: the power spectrum over all directions.

    Args:
        photos: uint8, (height, width, 1 or 3), of any sizes; channels are averaged.
        rings: widths that are told apart.

    Returns:
        Frequencies in cycles a pixel, the upper ends of rings up to 0.5, and the mean power in
        each ring, in squared grey levels, so that white noise of deviation s has s^2 everywhere.
    """
    edges, found = np.linspace(0, 0.5, rings + 1), []
    for grey in (photo.mean(axis=-1) for photo in photos):
        power = np.abs(np.fft.fft2(grey - grey.mean())) ** 2 / grey.size
        radius = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, grey.shape), indexing="ij"))
        ring = np.digitize(radius, edges)
        found.append([power[ring == i].mean() for i in range(1, rings + 1)])
    return edges[1:], np.mean(found, axis=0)


def benchmark(name: str) -> dict[str, np.ndarray]:
    """Load the images of a benchmark, by name: uint8, (height, width, 3, or 1 for greyscale).

    Args:
        name: "Set5" (Bevilacqua et al. 2012), "Set14" (Zeyde et al. 2010), or a folder of yours.
            The first two are looked for in DATA_DIR, as a folder or a zip archive, then in Keras'
            cache, then downloaded. Where they are not to be had, photographs of scikit-image
            stand in and are named as a stand-in.

    Raises:
        ValueError: a folder does not exist, or holds no image of 64 x 64 or more.
        FileNotFoundError: nothing was found, and STANDIN=never.
    """

    def load(source: Path) -> dict[str, np.ndarray]:
        return photographs.originals(source, smallest=64, keep_grey=True)

    def check(path: Path) -> None:
        if len(load(path)) != BENCHMARKS[name]:
            raise ValueError(f"it does not hold the {BENCHMARKS[name]} images of {name}")

    def real() -> dict[str, np.ndarray]:
        here = fetch.in_data_dir(name)
        return load(here or fetch.download(f"{name}.zip", [f"{BENCHMARK_URL}{name}.zip"], check))

    if name not in BENCHMARKS:
        return load(Path(name))
    title, found, _ = datasets.find(name, real, lambda: _standin("test"))
    print(f"Data: {title}, {len(found)} images")
    return found


def crops(
    size: int = 96, batch_size: int = 16, seed: int = 0, folder: str | Path = ""
) -> tuple[Crops, list[np.ndarray]]:
    """Load photographs to train on, and a few that are kept apart to choose the best weights by.

    Looks in DATA_DIR for DIV2K_train_HR (800 photographs of 2,000 pixels, a folder or a zip
    archive), then for BSDS500_train_test.zip (400 of 481 x 321), then in Keras' cache for DIV2K,
    then downloads it, 3.5 GB. Where nothing is to be had, photographs of scikit-image stand in
    and are named as a stand-in. They are decoded once, to a temporary file.

    Args:
        size: height and width of a crop; smaller photographs are skipped by name.
        batch_size: crops a batch.
        seed: decides order, place, flip and turn.
        folder: photographs of your own instead.

    Returns:
        The crops, and every twentieth photograph, which they do not show.

    Raises:
        ValueError: there is no photograph that can be used.
        FileNotFoundError: nothing was found, and STANDIN=never.
    """
    at_least(1, batch_size=batch_size, size=size)
    if size % SCALE:
        raise ValueError(f"size={size}: take a multiple of {SCALE}, for instance 96.")
    here = fetch.in_data_dir("DIV2K_train_HR") or fetch.in_data_dir("DIV2K_train_HR.zip")
    bsds = None if here or folder else fetch.in_data_dir("BSDS500_train_test.zip")
    name = Path(folder).name if folder else "BSDS500" if bsds else "DIV2K"

    def real() -> dict[str, np.ndarray]:
        source = folder or here or bsds
        if not source:
            print("DIV2K is looked for in Keras' cache, then downloaded: 3.5 GB.")
            check = fetch.has_hash(DIV2K_HASH)
            source = fetch.download("DIV2K_train_HR.zip", DIV2K_URLS, check)
        return photographs.originals(source, smallest=size)

    title, found, standin = datasets.find(name, real, lambda: _standin("train"))
    photos = list(found.values())
    kept = [photo for i, photo in enumerate(photos) if i % 20]
    print(f"Data: {title}, {len(kept)} photographs, and {len(photos) - len(kept)} to choose by")
    contents = photographs.checksum(*kept) if folder else ""
    return Crops(title, standin, kept, size, batch_size, seed, contents), photos[::20]


def _standin(split: str) -> dict[str, np.ndarray]:
    return {n: np.atleast_3d(getattr(skimage.data, n)()) for n in STANDINS[split]}


@dataclass(frozen=True)
class Crops:
    """Crops of photographs, and the batches that a training sees.

    Attributes:
        name: what the photographs are; a stand-in's name says that it is one.
        standin: True where they stand in for data that could not be had.
        photographs: uint8, (height, width, 3), each of a size of its own.
        size: height and width of a crop.
        batch_size: crops a batch.
        seed: decides order, place, flip and turn.
        contents: checksum of photographs of one's own.
    """

    name: str
    standin: bool
    photographs: list[np.ndarray]
    size: int
    batch_size: int
    seed: int
    contents: str = ""

    def from_step(self, step: int = 0) -> tf.data.Dataset:
        """Return the endless batches (lr, hr) from a global step on.

        lr is float32 (batch, size / 4, size / 4, 3) in [0, 1], hr (batch, size, size, 3) in
        [-1, 1]. What stands where depends on (seed, place) alone, so a resumed run sees what an
        uninterrupted one would have seen.
        """
        side, small = self.size, self.size // SCALE

        def crop(index: int, place: int) -> tuple[np.ndarray, np.ndarray]:
            rng, photo = np.random.default_rng((self.seed, place)), self.photographs[index]
            y, x = (rng.integers(0, n - side + 1) for n in photo.shape[:2])
            hr = np.rot90(photo[y : y + side, x : x + side], rng.integers(4))
            hr = np.ascontiguousarray(hr[:, :: rng.choice((-1, 1))])
            lr = shrink(hr)
            return lr.astype("float32") / 255, hr.astype("float32") / 127.5 - 1

        def load(index: tf.Tensor, place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            lr, hr = tf.numpy_function(crop, [index, place], (tf.float32, tf.float32))
            return tf.ensure_shape(lr, (small, small, 3)), tf.ensure_shape(hr, (side, side, 3))

        start, n = step * self.batch_size, len(self.photographs)
        places = tf.data.Dataset.range(start, tf.int64.max)
        order = tf.data.Dataset.zip(datasets.order_of(n, n, self.seed, start), places)
        crops = order.map(load, num_parallel_calls=2, deterministic=True)
        return datasets.untuned(crops.batch(self.batch_size, drop_remainder=True))
