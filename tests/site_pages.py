"""A page with one widget, a server for it, and a headless Chromium: for tests of the site.

Screenshots go to the folder that SHOTS names, if it is set.
"""

import base64
import contextlib
import functools
import http.server
import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from utils.options import ROOT

MODULES = ROOT / "docs" / "_static" / "gan"
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
SHOTS = os.environ.get("SHOTS")
MARKS = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(not BROWSER, reason="there is no Chromium: apt install chromium"),
]
# The theme's variables, as Furo names them.
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A widget</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
body { --color-foreground-primary: #000; --color-foreground-secondary: #5a5c63;
  --color-foreground-muted: #6b6f76; --color-background-primary: #fff;
  --color-background-secondary: #f8f9fb; --color-background-border: #eeebee;
  --color-brand-primary: #0a4bff; --color-brand-content: #2757dd;
  --font-size--small: 87.5%;
  background: var(--color-background-primary); color: var(--color-foreground-primary);
  font-family: sans-serif; line-height: 1.5; margin: 1rem auto; max-width: 46rem;
  padding: 0 1rem; }
body[data-theme="dark"] { --color-foreground-primary: #cfd0d0;
  --color-foreground-secondary: #9ca0a5; --color-foreground-muted: #81868d;
  --color-background-primary: #131416; --color-background-secondary: #1a1c1e;
  --color-background-border: #303335; --color-brand-primary: #3d94ff;
  --color-brand-content: #5ca5ff; }
</style></head><body data-theme="THEME">
<div class="gan-widget" DATA><p class="saved">The saved picture.</p></div>
<script type="module" src="_static/gan/start.js"></script>
</body></html>
"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(folder):
    """Copy the modules of the site into a folder, serve it, and give its address."""
    shutil.copytree(MODULES, folder / "_static" / "gan", dirs_exist_ok=True)
    handler = functools.partial(_Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Page:
    """A page with one widget in a Chromium.

    Args:
        folder: that is served.
        address: of the server.
        data: the attributes of the widget's element.
        width: of the window, pixels.
        theme: "light" or "dark".
        calm: whether the reader wants little motion.
    """

    def __init__(self, folder, address, data, width=1200, theme="light", calm=False):
        from selenium import webdriver

        text = PAGE.replace("THEME", theme).replace("DATA", data)
        (folder / "page.html").write_text(text, encoding="utf-8")
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for name in "headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars":
            options.add_argument(f"--{name}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        driver = shutil.which("chromedriver")
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(driver))
        self.driver.set_script_timeout(300)
        self.address = address
        self.asked = []
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.command("Emulation.setTouchEmulationEnabled", enabled=width < 600)
        motion = {"name": "prefers-reduced-motion", "value": "reduce" if calm else ""}
        self.command("Emulation.setEmulatedMedia", features=[motion])
        self.driver.get(f"{address}/page.html")
        self.wait("return document.querySelector('.gan-widget').dataset.state === 'started'")

    def command(self, name, **arguments):
        return self.driver.execute_cdp_cmd(name, arguments)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def wait(self, script, seconds=120):
        """Wait until a script returns something true, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.script(script)
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"{script} did not become true in {seconds} seconds")

    def button(self, text):
        for button in self.driver.find_elements("css selector", ".gan-widget button"):
            if button.text == text:
                return button
        raise AssertionError(f"there is no button {text!r}")

    def control(self, label):
        """Return the control that a label belongs to; a closed `details` around it is opened."""
        script = """
        const labels = [...document.querySelectorAll(".gan-widget label")];
        const { control } = labels.find((one) => one.textContent.trim() === arguments[0]);
        const around = control.closest("details");
        if (around) around.open = true;
        return control;
        """
        return self.script(script, label)

    def choose(self, label, value):
        from selenium.webdriver.support.select import Select

        Select(self.control(label)).select_by_value(value)

    def keys(self, *keys):
        from selenium.webdriver import ActionChains

        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def shot(self, name):
        """Save a picture of the widget, where SHOTS is set."""
        if not SHOTS:
            return
        script = """
        const box = document.querySelector(".gan-widget").getBoundingClientRect();
        return {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height};
        """
        clip = self.script(script) | {"scale": 1}
        found = self.command("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        Path(SHOTS, f"{name}.png").write_bytes(base64.b64decode(found["data"]))

    def requests(self):
        """Return (method, address) of all that was asked for since the page began."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                request = message["params"]["request"]
                self.asked.append((request["method"], request["url"]))
        return self.asked

    def others(self):
        """Return the addresses of other hosts that were asked for."""
        known = self.address, "data:", "blob:", "chrome"
        return [url for _, url in self.requests() if not url.startswith(known)]

    def sent(self):
        """Return the addresses that something was sent to."""
        return [url for method, url in self.requests() if method != "GET"]

    def errors(self):
        """Return what the browser's console says of errors."""
        logs = self.driver.get_log("browser")
        return [entry["message"] for entry in logs if entry["level"] == "SEVERE"]

    def close(self):
        self.driver.quit()
