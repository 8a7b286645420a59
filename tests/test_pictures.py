"""images: value ranges, grids, frames, GIF files."""

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from utils import images


def test_every_grey_level_survives_the_round_trip():
    levels = np.arange(256, dtype="uint8")
    floats = levels.astype("float32") / 127.5 - 1
    np.testing.assert_array_equal(images.to_uint8(floats), levels)
    np.testing.assert_array_equal(images.to_uint8(levels), levels)


def test_values_outside_are_clipped_and_nan_is_an_error():
    np.testing.assert_array_equal(images.to_uint8(np.array([-3.0, 3.0])), [0, 255])
    with pytest.raises(ValueError, match="NaN"):
        images.to_uint8(np.array([np.nan]))


@pytest.mark.parametrize("kind", ["uint16", "int32", "int64"])
def test_whole_numbers_are_scaled_by_the_range_of_their_kind(kind):
    most = np.iinfo(kind).max
    found = images.to_uint8(np.array([0, most // 4 * 3, most], kind))
    np.testing.assert_array_equal(found, [0, 191, 255])


def test_a_mask_becomes_black_and_white():
    np.testing.assert_array_equal(images.to_uint8(np.array([True, False])), [255, 0])


@pytest.mark.fault(
    "own arrays: 0 to 255 as floats or int64, 12 bits in uint16, negative, beyond [-1, 1]",
    "refused; their range is named",
    lost="nothing",
)
@pytest.mark.parametrize(
    ("values", "clip", "words"),
    [
        (np.arange(256.0), True, r"floats from 0 to 255, not from -1, black.*astype\('uint8'\)"),
        (np.arange(256), True, r"int64 from 0 to 255, of 9,223,372,036,854,775,807"),
        (np.arange(4096, dtype="uint16"), True, "uint16 from 0 to 4095, of 65,535"),
        (np.array([-5, 2**31 - 1], "int32"), True, "int32 from -5 to"),
        (np.array([-1.5, 0.5]), False, "floats from -1.5 to 0.5, not from"),
        (np.array([0.0, 1.0]), False, r"floats from 0 to 1, .*2 \* images - 1"),
        (np.array([0.0, 1.5]), False, "floats from 0 to 1.5, not from"),
    ],
)
def test_values_that_are_no_grey_levels_are_refused(values, clip, words):
    with pytest.raises(ValueError, match=words):
        images.to_uint8(values, clip)


def test_grid_places_images_in_rows():
    four = np.stack([np.full((2, 3, 1), value, "uint8") for value in (10, 20, 30, 40)])
    expected = [
        [10, 10, 10, 0, 20, 20, 20],
        [10, 10, 10, 0, 20, 20, 20],
        [0, 0, 0, 0, 0, 0, 0],
        [30, 30, 30, 0, 40, 40, 40],
        [30, 30, 30, 0, 40, 40, 40],
    ]
    np.testing.assert_array_equal(images.grid(four, gap=1), expected)
    assert images.grid(four[:3], columns=3, gap=1).shape == (2, 11)
    assert images.grid(four, gap=0).shape == (4, 6)
    assert images.grid(np.repeat(four, 3, axis=-1), gap=1).shape == (5, 7, 3)
    with_caption = images.grid(np.zeros((4, 28, 28, 1), "uint8"), caption="text")
    assert with_caption[:58].max() == 0
    assert with_caption[58:].max() > 0


@pytest.mark.parametrize("shape", [(4, 8, 8, 4), (4, 3, 8, 8), (0, 8, 8, 1), (4, 8, 8)], ids=str)
def test_what_is_no_set_of_images_has_no_grid(shape):
    with pytest.raises(ValueError, match=r"is no set of images: take \(n, height, width, 1 or 3\)"):
        images.grid(np.zeros(shape, "uint8"))


def test_floats_from_0_to_1_get_a_warning():
    with pytest.warns(UserWarning, match="as a sigmoid gives, look washed"):
        images.to_uint8(np.linspace(0, 1, 9))


def test_a_frame_is_a_grid_or_a_finished_picture_with_a_strip_below():
    floats = np.random.default_rng(0).uniform(-1, 1, (4, 28, 28, 1)).astype("float32")
    np.testing.assert_array_equal(images.frame(floats), images.grid(floats))
    captioned = images.grid(floats, caption="text")
    np.testing.assert_array_equal(images.frame(floats, "text"), captioned)
    for shape in (40, 70), (40, 70, 3):
        picture = np.random.default_rng(0).integers(0, 256, shape).astype("uint8")
        np.testing.assert_array_equal(images.frame(picture), picture)
        found = images.frame(picture, "text")
        assert found.shape == (56, 70, *shape[2:])
        np.testing.assert_array_equal(found[:40], picture)
        assert found[40:].max() > 200
    for wrong in np.zeros((40, 70)), np.zeros((40, 70, 4), "uint8"), np.zeros((3, 40, 70), "uint8"):
        with pytest.raises(ValueError, match=r"shape .* is neither images.* nor a picture"):
            images.frame(wrong)


def test_a_caption_wider_than_the_picture_is_not_cut():
    """Beside the picture and around the text is black; a wide picture has the same text."""
    caption = "MNIST, step 52,500"
    narrow, wide = (images.frame(np.full((8, side), 99, "uint8"), caption) for side in (8, 300))
    assert narrow.shape[1] < 120
    assert (narrow[:8, :8] == 99).all()
    assert narrow[:8, 8:].max() == 0
    assert narrow[:, -2:].max() == 0
    np.testing.assert_array_equal(narrow[8:], wide[8:, : narrow.shape[1]])
    assert wide[8:, narrow.shape[1] :].max() == 0


def test_a_caption_grows_with_pictures_that_a_page_shows_reduced():
    sizes = [len(images.frame(np.zeros((8, side, 3), "uint8"), "text")) - 8 for side in (800, 1600)]
    assert sizes == [16, 26]


def test_a_saved_picture_is_read_back(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype("uint8")
    images.save_png(tmp_path / "a.png", picture)
    np.testing.assert_array_equal(iio.imread(tmp_path / "a.png"), picture)
    (tmp_path / "b.png").write_bytes(images.png_bytes(picture[..., 0]))
    np.testing.assert_array_equal(iio.imread(tmp_path / "b.png"), picture[..., 0])


def test_labels_stand_beside_rows_and_above_columns(monkeypatch):
    shown = []
    monkeypatch.setattr(images.plt, "show", lambda: shown.append(images.plt.gcf()))
    pictures = np.zeros((6, 8, 8, 1), "uint8")
    images.show(pictures, "title", columns=3, rows=["a", "longer"], heads=["0", "1", "2"])
    axes = shown[0].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "longer"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"]
    middles = [3.5, 8 + 2 + 3.5]  # images of 8 pixels, 2 between them
    np.testing.assert_allclose(axes.get_yticks(), middles, atol=1)
    images.plt.close("all")


def frames(n):
    return [np.full((4, 8, 8, 1), 255 * i // (n - 1), "uint8") for i in range(n)]


def test_gif_has_every_frame_once_and_lasts_as_asked(tmp_path):
    path = images.save_gif(tmp_path / "a.gif", frames(5), seconds=2)
    with Image.open(path) as gif:
        assert gif.n_frames == 5
        assert gif.info["loop"] == 0
        durations = []
        for i in range(5):
            gif.seek(i)
            durations.append(gif.info["duration"])
    assert durations == [500, 500, 500, 500, 2000]
    grey = iio.imread(path)[..., 0]
    np.testing.assert_array_equal([frame[0, 0] for frame in grey], [0, 63, 127, 191, 255])


def test_gif_keeps_early_frames_and_the_last_when_there_are_too_many(tmp_path):
    path = images.save_gif(tmp_path / "a.gif", frames(52), most=4, levels=16)
    firsts = [frame[0, 0, 0] for frame in iio.imread(path)]
    # Frames 0, 6, 23 and 51 of 0 to 51 have the levels 0, 30, 115 and 255; 16 levels are 17 apart.
    assert firsts == [0, 34, 119, 255]


def test_gif_of_colours_has_few_and_the_right_ones(tmp_path):
    """One palette for all frames: a colour that only one of them has is still its own."""
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], "uint8")
    drawn = [np.broadcast_to(c, (1, 8, 8, 3)) for c in colours]
    noise = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).astype("uint8")
    read = iio.imread(images.save_gif(tmp_path / "a.gif", drawn, levels=4))
    np.testing.assert_array_equal(read[:, 0, 0], colours)
    read = iio.imread(images.save_gif(tmp_path / "b.gif", [*drawn, noise], levels=8))
    assert len({tuple(c) for c in read.reshape(-1, 3)}) <= 8


def test_gif_takes_no_frames_of_an_earlier_run(tmp_path):
    images.save_gif(tmp_path / "a.gif", frames(9))
    with Image.open(images.save_gif(tmp_path / "a.gif", frames(3))) as gif:
        assert gif.n_frames == 3


def test_gif_of_files_is_that_of_their_pictures_and_reads_only_what_it_keeps(tmp_path):
    paths = []
    for i, images_of_round in enumerate(frames(52)):
        paths.append(tmp_path / f"{i}.png")
        if i in (0, 6, 23, 51):
            images.save_png(paths[-1], images_of_round)
    of_files = images.save_gif(tmp_path / "a.gif", paths, most=4)
    of_images = images.save_gif(tmp_path / "b.gif", frames(52), most=4)
    assert of_files.read_bytes() == of_images.read_bytes()


def test_gif_of_frames_of_growing_stages(tmp_path):
    """Small frames are enlarged by a whole factor; what is left of the largest is black."""
    drawn = [np.full((8, 8), 60, "uint8"), np.full((9, 9), 120, "uint8")]
    drawn += [np.full((20, 16), 180, "uint8"), np.full((4, 5, 3), (240, 0, 0), "uint8")]
    read = iio.imread(images.save_gif(tmp_path / "a.gif", drawn))
    assert read.shape == (4, 20, 16, 3)
    sides = [np.argwhere(x.max(axis=-1) > 30).max(axis=0) + 1 for x in read]
    np.testing.assert_array_equal(sides, [(16, 16), (9, 9), (20, 16), (12, 15)])
    np.testing.assert_allclose(read[:, 0, 0, 0], [60, 120, 180, 240], atol=2)
    captioned = images.save_gif(tmp_path / "b.gif", drawn[:3], ["a", "a long caption", "b"])
    read = iio.imread(captioned)
    assert (len(read), read.shape[1]) == (3, 36)
    assert read.shape[2] > 60
    assert (read[:, 20:].max(axis=(1, 2, 3)) > 200).all()


def test_gif_with_captions_of_other_frames_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="1 captions for 3 frames"):
        images.save_gif(tmp_path / "a.gif", frames(3), ["one"])


def test_gif_without_frames_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no frames"):
        images.save_gif(tmp_path / "a.gif", [])
