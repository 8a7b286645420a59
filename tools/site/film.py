"""Films a widget of the built site: `python -m tools.site film` writes outputs/gallery/site.gif.

It needs a Chromium with its driver, and `pip install selenium`, as `make test-site` does.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np

from tools.site import serve
from utils import images
from utils.options import ROOT

if TYPE_CHECKING:
    from selenium import webdriver

PAGE = "notebooks/11_faces.html"
WIDTH = 760  # pixels of the window
WAYS = (("glasses", 5.0), ("glasses", 0.0), ("smile", 4.0), ("blond hair", 4.0), ("smile", 0.0))
STEPS = 7  # pictures of each way of a slider
MOVE = """
const [name, value] = arguments;
const labels = [...document.querySelectorAll(".gan-widget label")];
const slider = labels.find((one) => one.textContent === name).control;
slider.value = value;
slider.dispatchEvent(new Event("input"));
"""
DRAWN = "requestAnimationFrame(() => requestAnimationFrame(() => arguments[0]()))"


def write(site: Path, target: Path = ROOT / "outputs" / "gallery" / "site.gif") -> Path:
    """Move the sliders of lesson 11's widget, and write what is seen as a GIF.

    Args:
        site: the folder of the site.
        target: file to write.

    Raises:
        ValueError: there is no site, no Chromium, or no Selenium.
    """
    with serve.server(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            frames = list(_frames(f"http://{serve.HOST}:{server.server_port}/{PAGE}"))
        finally:
            server.shutdown()
    return images.save_gif(target, frames, seconds=0.14 * len(frames), most=len(frames), levels=64)


def _frames(address: str) -> Iterator[np.ndarray]:
    """Return pictures of the widget while its sliders move, uint8 (height, width, 3)."""
    driver = _chromium()
    try:
        driver.get(address)
        widget = driver.find_element("css selector", ".gan-widget")
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", widget)
        _wait_for(driver)
        values = dict.fromkeys([name for name, _ in WAYS], 0.0)
        for name, goal in WAYS:
            for value in np.linspace(values[name], goal, STEPS + 1)[1:]:
                driver.execute_script(MOVE, name, float(value))
                driver.execute_async_script(DRAWN)
                yield iio.imread(widget.screenshot_as_png)[..., :3]
            values[name] = goal
    finally:
        driver.quit()


def _chromium() -> webdriver.Chrome:
    try:
        from selenium import webdriver
    except ModuleNotFoundError:
        raise ValueError("Selenium is not installed: use pip install selenium.") from None
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    if not options.binary_location:
        raise ValueError("There is no Chromium on this machine: install one with its driver.")
    for name in "headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars":
        options.add_argument(f"--{name}")
    options.add_argument(f"--window-size={WIDTH},900")
    return webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))


def _wait_for(driver: webdriver.Chrome) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    started = "return document.querySelector('.gan-widget').dataset.state === 'started'"
    WebDriverWait(driver, 60).until(lambda found: found.execute_script(started))
