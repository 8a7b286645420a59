"""Pages at the image sizes of `paper`, with few channels and updates: every cell runs."""

import matplotlib.pyplot as plt
import pytest

from tools import pages

SIZES = {
    "07_cyclegan": {"IMAGE_SIZE": 256},
    "08_stargan": {"IMAGE_SIZE": 128},
    "09_srgan": {"HR_SIZE": 96, "GAN_CROP": 96, "BATCH_NORM": True},
    "10_pggan": {"ROUNDS": {64: 2, 128: 2}, "CHANNELS": {2**k: 8 for k in range(2, 8)}},
}


@pytest.mark.slow
@pytest.mark.parametrize("lesson", SIZES)
def test_a_page_runs_at_the_size_of_the_paper(lesson, monkeypatch):
    monkeypatch.setenv("PRESET", "smoke")
    monkeypatch.setenv("STANDIN", "always")
    plt.switch_backend("agg")
    page = pages.Page(lesson)
    page.set(**SIZES[lesson])
    page.execute({})
