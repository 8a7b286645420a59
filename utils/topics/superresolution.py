"""Super-resolution by 4: photographs, crops to train on, and the protocol of measuring.

The protocol (Ledig et al. 2017, section 3.1): an image is cut to a multiple of 4, made four times
smaller with antialiased bicubic interpolation, enlarged by what is measured, rounded to 8 bits,
and compared in its luma Y (BT.601, 16 to 235) without a border of 4 pixels. The values of an image
that is stored in greyscale are Y as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import skimage.data
import tensorflow as tf
from PIL import Image
from skimage import color
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from utils import archives, datasets, evaluation, images, photographs, sources
from utils.options import at_least

SCALE = 4
SMALLEST = 20  # height and width of what is compared: a window of 11, and a border of 4 around
BSDS_SPLITS = "train", "test"  # `val` are the photographs that others measure with
BSDS_FILE = "BSR_bsds500.tgz"
BSDS_URLS = (
    f"http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/{BSDS_FILE}",
    f"https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/{BSDS_FILE}",
    "https://github.com/BIDS/BSDS500/archive/refs/heads/master.zip",
)
# Of the names and SHA-256 of its 400 photographs, whatever archive holds them.
BSDS_HASH = "2b2b95be23a41ae4b3021f20c734a13cfec35b95cfcc5591103ecd5ea518507f"
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
        image: (height, width, 1 or 3), as `images.to_uint8` takes them.
        factor: 1/4 or 4, for instance.

    Returns:
        uint8, (factor * height, factor * width, 1 or 3).

    Raises:
        ValueError: the values are no grey levels.
    """
    image = images.to_uint8(image, clip=False)
    height, width = (round(n * factor) for n in image.shape[:2])
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.atleast_3d(np.asarray(resized))


def luma(image: np.ndarray) -> np.ndarray:
    """Return Y of an uint8 image, (height, width): BT.601, 16 to 235; greyscale as it is."""
    if image.shape[2] == 1:
        return image[..., 0].astype("float64")
    return color.rgb2ycbcr(image)[..., 0]


def compare(original: np.ndarray, enlarged: np.ndarray) -> dict[str, float]:
    """Compare an enlarged image with its original, by the protocol above.

    Args:
        original, enlarged: (height, width, 1 or 3), multiples of 4, as `images.to_uint8` takes
            them.

    Returns:
        "PSNR" in dB; "SSIM" with the usual window, 11 x 11 and a Gaussian of deviation 1.5;
        "SSIM, wide", whose Gaussian has the deviation 1.5 height / 256: the column of the paper.

    Raises:
        ValueError: the values are no grey levels, or the sizes differ or are too small.
    """
    original, enlarged = (images.to_uint8(x, clip=False) for x in (original, enlarged))
    if min(original.shape[:2]) < SMALLEST or original.shape[:2] != enlarged.shape[:2]:
        raise ValueError(
            f"{original.shape} and {enlarged.shape} cannot be compared: take two images of one "
            f"size, {SMALLEST} x {SMALLEST} at least."
        )
    if enlarged.shape[2] > original.shape[2]:
        enlarged = enlarged.mean(axis=2, keepdims=True)
    x = luma(original)[SCALE:-SCALE, SCALE:-SCALE]
    y = luma(enlarged)[SCALE:-SCALE, SCALE:-SCALE]
    options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 255}
    return {
        "PSNR": float(peak_signal_noise_ratio(x, y, data_range=255)),
        "SSIM": float(structural_similarity(x, y, sigma=1.5, **options)),
        "SSIM, wide": float(structural_similarity(x, y, sigma=1.5 * len(x) / 256, **options)),
    }


def bicubic(small: np.ndarray) -> np.ndarray:
    """Enlarge an uint8 image four times with bicubic interpolation: what to be better than."""
    return resize(small, SCALE)


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
    rows = []
    for photo in originals.values():
        original = cut(photo)
        enlarged = method(shrink(original))
        row = compare(original, enlarged)
        if content:
            pair = np.stack([original * np.ones(3, "uint8"), enlarged * np.ones(3, "uint8")])
            features = evaluation.in_batches(content, pair)
            row["content"] = np.mean((features[0] - features[1]) ** 2)
        rows.append(row)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


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
        OSError: the temporary folder is full.
    """

    def load(source: Path) -> dict[str, np.ndarray]:
        return photographs.originals(source, smallest=64, keep_grey=True)

    def whole(path: Path) -> dict[str, np.ndarray]:
        found = load(path)
        if len(found) != BENCHMARKS[name]:
            raise ValueError(f"{path} does not hold the {BENCHMARKS[name]} images of {name}")
        return found

    def real() -> dict[str, np.ndarray]:
        urls = [f"{BENCHMARK_URL}{name}.zip"]
        return whole(sources.in_data_dir(name) or sources.download(f"{name}.zip", urls, whole))

    if name not in BENCHMARKS:
        return load(Path(name))
    title, found, _ = sources.or_standin(name, real, lambda: _standin("test"))
    print(f"Data: {title}, {len(found)} images")
    return found


def _standin(split: str) -> dict[str, np.ndarray]:
    return {name: np.atleast_3d(getattr(skimage.data, name)()) for name in STANDINS[split]}


@dataclass(frozen=True, kw_only=True, eq=False)
class Crops(datasets.Dataset):
    """Crops of photographs; a batch is (lr, hr).

    lr is float32 (batch, size / 4, size / 4, 3) in [0, 1], hr (batch, size, size, 3) in [-1, 1].
    An epoch shows every photograph once. Place, flip and turn depend on (seed, place) alone.

    Attributes:
        photographs: uint8, (height, width, 3), each of a size of its own.
        size: height and width of a crop.
    """

    photographs: Sequence[np.ndarray]
    size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        datasets.check_images(self.name, *(photo[None] for photo in self.photographs[:1]))

    def order(self, start: int, size: int) -> tf.data.Dataset:
        n = len(self.photographs)
        return datasets.order_of(n, n, self.seed, start, size)

    def load(self, indices: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def pairs(indices: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            hr = np.stack([self.crop(i, place) for i, place in zip(indices, places, strict=True)])
            lr = np.stack([shrink(image) for image in hr])
            return lr.astype("float32") / 255, hr.astype("float32") / 127.5 - 1

        lr, hr = datasets.in_python(pairs, [indices, places], (tf.float32, tf.float32))
        n = indices.shape[0]
        small = self.size // SCALE
        lr = tf.ensure_shape(lr, (n, small, small, 3))
        return lr, tf.ensure_shape(hr, (n, self.size, self.size, 3))

    def crop(self, index: int, place: int) -> np.ndarray:
        """Cut a square out of a photograph, turn and flip it, at random: uint8."""
        photo = self.photographs[index]
        rng = np.random.default_rng((self.seed, place))
        top = rng.integers(0, photo.shape[0] - self.size + 1)
        left = rng.integers(0, photo.shape[1] - self.size + 1)
        part = photo[top : top + self.size, left : left + self.size]
        turned = np.rot90(part, rng.integers(4))
        return turned[:, :: rng.choice((-1, 1))]


def crops(
    size: int = 96, batch_size: int = 16, seed: int = 0, source: str | Path = "BSDS500"
) -> tuple[Crops, list[np.ndarray]]:
    """Load photographs to train on, and a few that are kept apart to choose the best weights by.

    They are decoded once, to a temporary file.

    Args:
        size: height and width of a crop; smaller photographs are skipped by name.
        batch_size: crops a batch.
        seed: decides order, place, flip and turn.
        source: "BSDS500", 400 photographs of 481 x 321 (Arbelaez et al. 2011, train and test),
            70 MB; "DIV2K", 800 of 2,000 pixels (Agustsson and Timofte 2017), 3.5 GB; or a
            folder or archive of your own, for which nothing stands in. The first two are looked
            for in DATA_DIR, as published or unpacked, then in Keras' cache, then downloaded.
            Where they are not to be had, photographs of scikit-image stand in and are named as
            a stand-in.

    Returns:
        The crops, and every twentieth photograph, which they do not show.

    Raises:
        ValueError: a wrong argument, or there are no two photographs that can be used.
        FileNotFoundError: nothing was found, and STANDIN=never.
        OSError: a file cannot be read, or the temporary folder is full.
    """
    at_least(1, batch_size=batch_size, size=size)
    if size % SCALE:
        raise ValueError(f"size={size}: take a multiple of {SCALE}, for instance 96.")
    name, found, standin = _photographs(source, size)
    photos = list(found.values())
    if len(photos) < 2:
        raise ValueError(f"{source}: two photographs of {size} x {size} or more are needed.")
    held_out = photos[::20]
    shown = [photo for i, photo in enumerate(photos) if i % 20]
    print(f"Data: {name}, {len(shown)} photographs, and {len(held_out)} to choose by")
    data = Crops(
        name=name, standin=standin, batch_size=batch_size, seed=seed, photographs=shown, size=size
    )
    return data, held_out


def _photographs(source: str | Path, size: int) -> tuple[str, dict[str, np.ndarray], bool]:
    """Return name and photographs of a set or a folder, and if they are a stand-in."""
    sets = {"BSDS500": _bsds500, "DIV2K": _div2k}
    if source not in sets:
        return Path(source).name, photographs.originals(source, smallest=size), False
    return sources.or_standin(source, lambda: sets[source](size), lambda: _standin("train"))


def _bsds500(size: int) -> dict[str, np.ndarray]:
    here = map(sources.in_data_dir, ("BSR", BSDS_FILE, "BSDS500_train_test.zip"))
    source = next(filter(None, here), None)
    source = source or sources.download(BSDS_FILE, BSDS_URLS, check_bsds500)
    return photographs.originals(source, BSDS_SPLITS, size)


def check_bsds500(path: Path) -> None:
    """Compare the photographs in an archive with those of the published one.

    Raises:
        ValueError: they differ.
    """
    found = archives.find(path, BSDS_SPLITS)
    lines = sorted(f"{Path(name).name} {sources.sha256(read())}" for name, read in found.items())
    if sources.sha256("\n".join(lines).encode()) != BSDS_HASH:
        raise ValueError("it does not hold the photographs of BSDS500")


def _div2k(size: int) -> dict[str, np.ndarray]:
    source = sources.in_data_dir("DIV2K_train_HR")
    if not source:
        intact = sources.has_hash(DIV2K_HASH)
        source = sources.download("DIV2K_train_HR.zip", DIV2K_URLS, intact)
    return photographs.originals(source, smallest=size)
