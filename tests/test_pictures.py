"""images and monitor: value ranges, grids, GIF files, the panel."""

import re
import xml.etree.ElementTree as ET

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from tests import toy
from utils import images, monitor


def test_every_grey_level_survives_the_round_trip():
    levels = np.arange(256, dtype="uint8")
    floats = levels.astype("float32") / 127.5 - 1
    np.testing.assert_array_equal(images.to_uint8(floats), levels)
    np.testing.assert_array_equal(images.to_uint8(levels), levels)


def test_values_outside_are_clipped_and_nan_is_an_error():
    np.testing.assert_array_equal(images.to_uint8(np.array([-3.0, 3.0])), [0, 255])
    with pytest.raises(ValueError, match="NaN"):
        images.to_uint8(np.array([np.nan]))


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
    assert images.grid(np.repeat(four, 3, axis=-1), gap=1).shape == (5, 7, 3)
    with_caption = images.grid(np.zeros((4, 28, 28, 1), "uint8"), caption="text")
    assert with_caption[:58].max() == 0
    assert with_caption[58:].max() > 0


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


def test_gif_without_frames_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no frames"):
        images.save_gif(tmp_path / "a.gif", [])


def test_a_log_gets_a_line_a_round(capsys):
    trainer = toy.make()
    trainer.panel.every = 0
    toy.fit(trainer, 2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" · ")[0] for line in lines[1:]] == ["round 1/2", "round 2/2"]
    for part in "d_loss", "g_loss", "D(x)", "D(G(z))", "left":
        assert part in lines[1]
    assert "trained 0:" in lines[2]


def test_a_notebook_gets_one_output_with_bar_losses_and_samples(monkeypatch):
    shown, updates = [], []

    class Handle:
        def update(self, bundle, **options):
            updates.append(bundle)

    def display(bundle, **options):
        shown.append(bundle)
        return Handle()

    monkeypatch.setattr(monitor.display, "display", display)
    trainer = toy.make()
    trainer.panel.every, trainer.panel.in_notebook = 0, True
    toy.fit(trainer, 2)
    assert len(shown) == 1
    assert len(updates) >= 2 * toy.STEPS
    final = updates[-1]
    assert "round 2/2" in final["text/plain"]
    assert '<progress value="10" max="10">' in final["text/html"]
    assert "<b>noise</b>, samples after round 2" in final["text/html"]
    assert "data:image/png;base64," in final["text/html"]
    curves = ET.fromstring(f"<p>{re.search('<figure.*</figure>', final['text/html'])[0]}</p>")
    captions = [caption.text for caption in curves.iter("figcaption")]
    assert captions == [
        "d_loss (dashed: 1.39, D always says ½)",  # log 4
        "D(x), D(G(z)) (dashed: 0.50)",
        "diversity (dashed: 1.00, real images)",
    ]
    assert len(list(curves.iter("polyline"))) == 4
    steps = [bundle["text/plain"] for bundle in updates if "step 3/5" in bundle["text/plain"]]
    assert len(steps) == 2
