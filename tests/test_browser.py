"""Every lesson in a real JupyterLab, driven through a headless Chromium: `make test-browser`.

Screenshots stay in outputs/browser/, in the light and the dark theme.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tools import pages
from utils.options import ROOT

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(not BROWSER, reason="there is no Chromium: apt install chromium"),
]
SHOTS = ROOT / "outputs" / "browser"
NOTE_PANELS = """
window.panels = new Set();
new MutationObserver(() => {
    for (const found of document.body.innerText.matchAll(/round \\d+\\/\\d+(?: · step \\d+)?/g))
        window.panels.add(found[0]);
}).observe(document.body, {subtree: true, childList: true, characterData: true});
"""


class Lab:
    """A JupyterLab over a copy of the lessons, and a browser that shows it."""

    def __init__(self, folder, preset):
        shutil.copytree(ROOT / "notebooks", folder / "notebooks")
        shutil.copytree(ROOT / "outputs" / "gallery", folder / "outputs" / "gallery")
        for name, text in {
            # All cells are drawn, not only those in sight.
            "notebook-extension/tracker": '{"windowingMode": "none"}',
            "apputils-extension/notification": '{"fetchNews": "false"}',
        }.items():
            file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True)
            file.write_text(text, encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        environment = os.environ | {
            "PRESET": preset,
            "STANDIN": "always",
            "OUTPUT_DIR": str(folder / "runs"),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        }
        command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root"]
        command += [f"--port={self.port}", "--IdentityProvider.token=", f"--notebook-dir={folder}"]
        command += ["--LabApp.expose_app_in_browser=True"]
        silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.server = subprocess.Popen(command, env=environment, **silent)
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for name in "headless=new", "no-sandbox", "disable-dev-shm-usage", "window-size=1100,1400":
            options.add_argument(f"--{name}")
        self.browser = webdriver.Chrome(options)
        self.browser.set_script_timeout(60)

    def close(self):
        self.browser.quit()
        self.server.terminate()
        self.server.wait()

    def wait(self, what, seconds=60):
        """Wait until a function returns something true, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = what()
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"{what.__doc__ or what} did not come in {seconds} seconds")

    def open(self, lesson):
        """Open a lesson and wait for its kernel."""
        url = f"http://127.0.0.1:{self.port}"

        def answers():
            try:
                return urllib.request.urlopen(f"{url}/api", timeout=1).status == 200
            except OSError:
                return False

        self.wait(answers)
        self.browser.get(f"{url}/lab/tree/notebooks/{lesson}.ipynb?reset")
        ready = "const n = window.jupyterapp?.shell.currentWidget;"
        ready += "return n?.sessionContext?.session?.kernel?.status === 'idle'"
        self.wait(lambda: self.browser.execute_script(ready))
        self.browser.execute_script(NOTE_PANELS)

    def command(self, name, **arguments):
        script = f"window.jupyterapp.commands.execute('{name}', {json.dumps(arguments)})"
        self.browser.execute_script(script)

    def run_all(self):
        self.command("notebook:clear-all-cell-outputs")
        self.command("notebook:run-all-cells")

    def kernel(self, call):
        script = "const done = arguments[arguments.length - 1];"
        script += f"window.jupyterapp.shell.currentWidget.sessionContext.{call}.then(done)"
        self.browser.execute_async_script(script)

    def cells(self):
        script = "return window.jupyterapp.shell.currentWidget.content.model.toJSON().cells"
        return [c for c in self.browser.execute_script(script) if c["cell_type"] == "code"]

    def text(self):
        return json.dumps(self.cells(), ensure_ascii=False)

    def finished(self):
        """Wait until the last cell has run; fail on a cell with an error."""

        def done():
            cells = self.cells()
            errors = [o for c in cells for o in c["outputs"] if o["output_type"] == "error"]
            assert not errors, errors[0]["ename"] + ": " + errors[0]["evalue"]
            return all(c["execution_count"] for c in cells)

        self.wait(done, 180)

    def panels(self):
        return self.browser.execute_script("return [...window.panels]")

    def shots(self, name):
        """Save what the page shows, from its title to its end, in both themes."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        scroller = (
            "document.querySelector('.jp-Notebook:not(.lm-mod-hidden) .jp-WindowedPanel-outer')"
        )
        for theme in "Light", "Dark":
            self.command("apputils:change-theme", theme=f"JupyterLab {theme}")
            time.sleep(1)
            height = self.browser.execute_script(f"return {scroller}.scrollHeight")
            for number, top in enumerate(range(0, int(height), 1200)):
                self.browser.execute_script(f"{scroller}.scrollTop = {top}")
                time.sleep(0.3)
                self.browser.save_screenshot(SHOTS / f"{name}_{theme.lower()}_{number:02d}.png")


@pytest.fixture
def lab(tmp_path, request):
    found = Lab(tmp_path, getattr(request, "param", "smoke"))
    yield found
    found.close()


@pytest.mark.parametrize("lesson", pages.lessons())
def test_a_lesson_runs_and_runs_again(lab, lesson):
    lab.open(lesson)
    lab.run_all()
    lab.finished()
    trains = lesson in pages.trained()
    assert not trains or len(lab.panels()) >= 2  # the panel moved
    gifs = lab.browser.find_elements("css selector", "img[src^='data:image/gif']")
    assert gifs or not trains
    for gif in gifs:
        lab.browser.execute_script("arguments[0].scrollIntoView()", gif)
        first = gif.screenshot_as_png
        lab.wait(lambda gif=gif, first=first: gif.screenshot_as_png != first, 10)  # it moves
    lab.shots(lesson)
    lab.kernel("restartKernel()")
    lab.run_all()
    lab.finished()
    assert not trains or "Done, 2 of 2 rounds" in lab.text()


@pytest.mark.parametrize("lab", ["quick"], indirect=True)
def test_interrupted_in_the_midst_it_goes_on(lab):
    lab.open("02_dcgan")
    lab.run_all()
    lab.wait(lambda: any("round 1/" in panel for panel in lab.panels()), 300)
    lab.kernel("session.kernel.interrupt()")
    lab.wait(lambda: "Interrupted: saved up to round 1 of" in lab.text())
    lab.kernel("restartKernel()")
    lab.run_all()
    lab.wait(lambda: "Continuing after round 1 of" in lab.text(), 120)
    lab.wait(lambda: any("round 2/" in panel for panel in lab.panels()), 300)
    lab.kernel("session.kernel.interrupt()")
    lab.wait(lambda: "Interrupted: saved up to round 2 of" in lab.text())
