"""superresolution: the protocol against published numbers and by hand, crops, tiles."""

import zipfile

import keras
import numpy as np
import pytest
import scipy.ndimage
import skimage.data
import tensorflow as tf
from keras import layers
from PIL import Image

from utils import photographs, sources
from utils.topics import enlarging, superresolution

SET5, SET14 = (sources.in_data_dir(name) for name in ("Set5.zip", "Set14.zip"))
needs_data = pytest.mark.skipif(not (SET5 and SET14), reason="DATA_DIR holds no Set5 and Set14")


@pytest.fixture
def data_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("STANDIN", "never")
    return tmp_path


def write_archive(path, sizes, folder=""):
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for i, size in enumerate(sizes):
            file = path.parent / "one.png"
            Image.fromarray(rng.integers(0, 256, (*size, 3)).astype("uint8")).save(file)
            archive.write(file, f"{folder or path.stem}/{i:02d}.png")
            file.unlink()


def test_a_benchmark_from_an_archive_a_folder_and_a_folder_of_ones_own(data_dir, capsys):
    write_archive(data_dir / "Set5.zip", [(64, 66)] * 5)
    zipped = superresolution.benchmark("Set5")
    assert "Set5, 5 images" in capsys.readouterr().out
    with zipfile.ZipFile(data_dir / "Set5.zip") as archive:
        archive.extractall(data_dir)
    unpacked, own = (superresolution.benchmark(n) for n in ("Set5", str(data_dir / "Set5")))
    for a, b, c in zip(*(x.values() for x in (zipped, unpacked, own)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    with pytest.raises(ValueError, match="nowhere"):
        superresolution.benchmark(str(data_dir / "nowhere"))


def test_photographs_to_train_on_and_to_choose_by(data_dir, capsys):
    sizes = [(50, 60)] * 21 + [(40, 90)]
    write_archive(data_dir / "BSDS500_train_test.zip", sizes, "BSDS500/train")
    crops, kept = superresolution.crops(48, 4, seed=1)
    assert (crops.name, crops.standin, len(crops.photographs), len(kept)) == (
        "BSDS500",
        False,
        19,
        2,
    )
    assert "21.png (90 x 40 is less than 48)" in capsys.readouterr().out
    shown = {photo.tobytes() for photo in crops.photographs}
    assert not shown & {photo.tobytes() for photo in kept}
    write_archive(data_dir / "DIV2K_train_HR.zip", [(48, 48)] * 3)
    assert superresolution.crops(48)[0].name == "BSDS500"  # another one by name only
    assert superresolution.crops(48, source="DIV2K")[0].name == "DIV2K"
    folder = data_dir / "mine"
    folder.mkdir()
    Image.new("RGB", (50, 50), "white").save(folder / "a.png")
    with pytest.raises(ValueError, match="two photographs of 48 x 48 or more are needed"):
        superresolution.crops(48, source=folder)
    Image.new("RGB", (50, 50), "white").save(folder / "b.png")
    assert superresolution.crops(48, source=folder)[0].name == "mine"
    with pytest.raises(ValueError, match="size=50"):
        superresolution.crops(50)


def test_standins_are_named_and_kept_apart(monkeypatch, capsys):
    monkeypatch.setenv("STANDIN", "always")
    crops, _ = superresolution.crops()
    assert crops.standin
    assert crops.name.startswith("STAND-IN")
    superresolution.benchmark("Set5")
    assert "STAND-IN for Set5, 3 images" in capsys.readouterr().out
    assert not set(superresolution.STANDINS["train"]) & set(superresolution.STANDINS["test"])


@needs_data
@pytest.mark.parametrize(
    ("path", "psnr", "ssim", "wide"),
    [(SET5, 28.43, 0.811, 0.823), (SET14, 25.996, 0.703, 0.749)],
    ids=["Set5", "Set14"],
)
def test_bicubic_gets_the_published_numbers(path, psnr, ssim, wide):
    found = superresolution.measure(superresolution.benchmark(path.stem), superresolution.bicubic)
    assert found["PSNR"] == pytest.approx(psnr, abs=0.01)
    assert found["SSIM"] == pytest.approx(ssim, abs=0.002)
    assert found["SSIM, wide"] == pytest.approx(wide, abs=0.002)


def by_hand(original, enlarged, sigma):
    """PSNR and SSIM written out (Wang et al. 2004, eq. 13), on Y by the weights of BT.601."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    x, y = (16 + image.astype(float) @ weights for image in (original, enlarged))
    x, y = (image[4:-4, 4:-4] for image in (x, y))
    psnr = 10 * np.log10(255**2 / np.mean((x - y) ** 2))
    radius = int(3.5 * sigma + 0.5)

    def mean(z):
        return scipy.ndimage.gaussian_filter(z, sigma, radius=radius)

    a, b = mean(x), mean(y)
    c_1, c_2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    covariance = mean(x * y) - a * b
    variances = mean(x * x) - a * a + mean(y * y) - b * b
    ssim = (2 * a * b + c_1) * (2 * covariance + c_2) / ((a * a + b * b + c_1) * (variances + c_2))
    return psnr, ssim[radius:-radius, radius:-radius].mean()


def test_the_protocol_by_hand():
    photo = superresolution.cut(skimage.data.chelsea()[:203, :302])
    assert photo.shape == (200, 300, 3)
    large = superresolution.bicubic(superresolution.resize(photo, 1 / 4))
    found = superresolution.compare(photo, large)
    for name, sigma in ("SSIM", 1.5), ("SSIM, wide", 1.5 * 192 / 256):
        psnr, ssim = by_hand(photo, large, sigma)
        assert found["PSNR"] == pytest.approx(psnr, abs=1e-3)
        assert found[name] == pytest.approx(ssim, abs=1e-5)


def test_values_of_a_greyscale_image_are_y_as_they_are():
    grey = skimage.data.camera()[:64, :64, None]
    noisy = np.clip(grey + np.random.default_rng(0).normal(0, 5, grey.shape), 0, 255).astype(
        "uint8"
    )
    expected = 10 * np.log10(255**2 / np.mean((noisy.astype(float) - grey)[4:-4, 4:-4] ** 2))
    assert superresolution.compare(grey, noisy)["PSNR"] == pytest.approx(expected)
    colours = np.repeat(noisy, 3, axis=2)  # what a network for colours gives
    assert superresolution.compare(grey, colours)["PSNR"] == pytest.approx(expected)


def test_crops_are_cut_turned_and_made_smaller_as_they_are_measured():
    photos = [skimage.data.chelsea(), skimage.data.coffee()[:120]]
    crops = superresolution.Crops(
        name="two photographs", standin=False, batch_size=4, seed=7, photographs=photos, size=48
    )
    batches = list(crops.from_step(0).take(6))
    for (lr, hr), again in zip(batches[3:], crops.from_step(3), strict=False):
        np.testing.assert_array_equal(hr, again[1])
        np.testing.assert_array_equal(lr, again[0])
    lr, hr = (np.concatenate([batch[i] for batch in batches]) for i in (0, 1))
    assert (lr.shape, hr.shape) == ((24, 12, 12, 3), (24, 48, 48, 3))
    assert lr.min() >= 0
    assert lr.max() <= 1
    assert hr.min() < 0
    grey = np.rint((hr + 1) * 127.5).astype("uint8")
    small = [superresolution.resize(image, 1 / 4) for image in grey]
    np.testing.assert_allclose(lr, np.stack(small) / 255, atol=1e-6)
    assert len({image.tobytes() for image in grey}) == 24

    def is_part(image, photo):
        windows = np.lib.stride_tricks.sliding_window_view(photo[..., 0], (48, 48))
        turned = [np.rot90(image[..., 0], k)[:, ::flip] for k in range(4) for flip in (1, -1)]
        rows = [np.argwhere(windows[:, :, 0, 0] == t[0, 0]) for t in turned]
        return any(
            np.array_equal(windows[y, x], t)
            for t, places in zip(turned, rows, strict=True)
            for y, x in places
        )

    for image in grey[:4]:
        assert any(is_part(image, photo) for photo in photos)


def test_tiles_give_what_the_whole_image_gives():
    """A network that sees 4 pixels to each side needs a margin of 4, and no more."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            layers.Input((None, None, 3)),
            layers.Conv2D(8, 5, padding="same", activation="tanh"),
            layers.Conv2D(48, 5, padding="same", activation="tanh"),
        ]
    )

    def shuffled(batch, training):
        return tf.nn.depth_to_space(network(batch, training=training), 4)

    small = skimage.data.chelsea()[:50, :37]
    whole = enlarging.enlarge(shuffled, small, tile=1000)
    assert whole.shape == (200, 148, 3)
    assert whole.dtype == np.uint8
    tiled = enlarging.enlarge(shuffled, small, tile=16, margin=4)
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    seams = enlarging.enlarge(shuffled, small, tile=16, margin=0)
    assert np.abs(seams.astype(int) - whole).max() > 5
    assert enlarging.enlarge(shuffled, small[..., :1]).shape == (200, 148, 3)


def test_originals_keep_size_and_greyscale_and_skip_the_small(tmp_path, capsys):
    sizes = {"a.png": (20, 30), "b.png": (8, 40), "c.png": (24, 24)}
    rng = np.random.default_rng(0)
    pixels = {
        name: rng.integers(0, 256, (*size, 3)).astype("uint8") for name, size in sizes.items()
    }
    pixels["c.png"] = pixels["c.png"][..., :1]
    for name, image in pixels.items():
        Image.fromarray(image.squeeze()).save(tmp_path / name)
    found = photographs.originals(tmp_path, smallest=16, keep_grey=True)
    assert list(found) == ["a.png", "c.png"]
    for name, image in found.items():
        np.testing.assert_array_equal(image, pixels[name])
    assert "b.png (40 x 8 is less than 16)" in capsys.readouterr().out
    assert photographs.originals(tmp_path)["c.png"].shape == (24, 24, 3)


def test_the_content_loss_is_measured_over_whole_images():
    """With pixels for features it is the mean squared error in [-1, 1], border included."""
    inputs = layers.Input((None, None, 3))
    blue_first = keras.ops.stack([inputs[..., i] for i in (2, 1, 0)], -1)  # as in SqueezeNet
    pixels = keras.Model(inputs, blue_first)
    cat, camera = skimage.data.chelsea()[:80, :64], skimage.data.camera()[:64, :64, None]
    found = superresolution.measure(
        {"cat": cat, "camera": camera}, superresolution.bicubic, content=pixels
    )
    blurred = [superresolution.bicubic(superresolution.shrink(x)) for x in (cat, camera)]
    pairs = zip((cat, camera), blurred, strict=True)
    expected = np.mean([np.mean(((x.astype(float) - y) / 127.5) ** 2) for x, y in pairs])
    assert found["content"] == pytest.approx(expected, rel=1e-4)


def test_the_spectrum_of_noise_is_flat_and_of_stripes_a_peak():
    noise = np.random.default_rng(0).normal(128, 20, (9, 128, 96, 1))
    frequencies, power = enlarging.spectrum(noise)
    np.testing.assert_allclose(power[4:], 400, rtol=0.15)
    stripes = 128 + 50 * np.cos(2 * np.pi * np.arange(128) * 16 / 128)[None, :, None]
    _, power = enlarging.spectrum([np.repeat(stripes, 64, axis=0)])
    assert abs(frequencies[np.argmax(power)] - 16 / 128) <= 1 / 64


def test_a_grid_of_four_pixels_is_told_from_noise():
    rng = np.random.default_rng(0)
    noise = rng.normal(128, 10, (160, 120, 3))
    assert enlarging.grid([noise]) < 0.05
    tile = np.zeros((4, 4, 1))
    tile[0, 0] = 1.0
    comb = np.tile(tile, (41, 31, 1))[:162, :122]
    # High-pass of the tile: 1 at its place, -1/4 at four neighbours, so of deviation 5/4 in 16.
    assert enlarging.grid([100 + 50 * comb]) == pytest.approx(1.0, abs=1e-6)
    strength = 8.0
    variance = strength**2 * 1.25 / 16
    grey = rng.normal(128, 10, (162, 122, 1)) + strength * comb
    expected = np.sqrt(variance / (variance + 100 * 1.25))
    assert enlarging.grid([grey]) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: enlarging.enlarge(lambda batch, training: batch, x),
        superresolution.shrink,
        superresolution.bicubic,
        lambda x: superresolution.compare(x, x),
        lambda x: superresolution.measure({"own": x}, superresolution.bicubic),
    ],
    ids=["enlarge", "shrink", "bicubic", "compare", "measure"],
)
def test_photographs_as_floats_are_scaled_or_refused(function):
    photo = skimage.data.chelsea()[:64, :64]
    with pytest.raises(ValueError, match=r"floats from .* to 2"):
        function(photo.astype("float64"))
    with pytest.raises(ValueError, match="int64 from"):
        function(photo.astype("int64"))


def test_floats_in_their_range_give_what_uint8_does():
    photo = skimage.data.chelsea()[:64, :64]
    floats = photo / 127.5 - 1
    np.testing.assert_array_equal(superresolution.shrink(floats), superresolution.shrink(photo))


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 4), (1, 16, 16, 3)], ids=str)
def test_what_is_no_image_is_not_enlarged(shape):
    with pytest.raises(ValueError, match="is no image: take"):
        enlarging.enlarge(lambda batch, training: batch, np.zeros(shape, "uint8"))


def test_images_that_are_too_small_or_of_two_sizes_are_not_compared():
    for a, b in ((16, 16), (16, 16)), ((24, 24), (24, 28)):
        x, y = np.zeros((*a, 3), "uint8"), np.zeros((*b, 3), "uint8")
        with pytest.raises(ValueError, match="two images of one size, 20 x 20 at least"):
            superresolution.compare(x, y)


def test_a_network_that_enlarges_twice_is_named():
    twice = lambda x, training: np.repeat(np.repeat(x, 2, axis=1), 2, axis=2) - 1  # noqa: E731
    with pytest.raises(ValueError, match=r"makes \(16, 16, 3\) of \(8, 8, 3\), not \(32, 32, 3\)"):
        enlarging.enlarge(twice, np.zeros((8, 8, 3), "uint8"))
