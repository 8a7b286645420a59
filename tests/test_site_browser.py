"""Pages of the site in a headless Chromium: nothing foreign, no error, nothing too wide.

Screenshots of both themes, at the width of a telephone and of a desktop, go to outputs/browser/.
"""

import json
import shutil
import threading
import time

import pytest

from tests.site_pages import BROWSER, MARKS
from tools import pages
from tools.site import build, measure, serve, widgets
from utils.options import ROOT

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
DRIVER = shutil.which("chromedriver")
lacks = pytest.mark.skipif(not DRIVER, reason="no driver of Chromium: apt install chromium-driver")
pytestmark = [*MARKS, lacks]
SHOTS = ROOT / "outputs" / "browser"
TELEPHONE, DESKTOP = 360, 1200
LOOKED_AT = "index", "notebooks/02_dcgan", "notebooks/07_cyclegan"
WIDGETS = """
return [...document.querySelectorAll('.gan-widget')].map(w => w.ariaBusy || w.dataset.state || '')
"""
TWO_FRAMES = "requestAnimationFrame(() => requestAnimationFrame(() => arguments[0]()))"


class Browser:
    """A Chromium that reaches this machine only, and notes what pages ask for."""

    def __init__(self, address):
        self.address = address
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        for name in "headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars":
            options.add_argument(f"--{name}")
        options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        self.driver.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})

    def open(self, page, width=DESKTOP, theme="light", script=True):
        """Open a page and wait until its formulas are there."""
        size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
        chosen = [{"name": "prefers-color-scheme", "value": theme}]
        command = self.driver.execute_cdp_cmd
        command("Emulation.setDeviceMetricsOverride", size)
        command("Emulation.setEmulatedMedia", {"features": chosen})
        command("Emulation.setScriptExecutionDisabled", {"value": not script})
        for kind in "performance", "browser":
            self.driver.get_log(kind)  # of the page before
        self.driver.get(f"{self.address}/{page}.html")
        if script:
            self.wait("return !window.MathJax || !!MathJax.startup?.promise")
            self.driver.execute_async_script(
                "const done = arguments[0];"
                "(window.MathJax ? MathJax.startup.promise : Promise.resolve()).then(() => done())"
            )
        time.sleep(0.5)

    def wait(self, script, seconds=30):
        """Wait until a script returns something true, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.run(script)
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"{script} did not come true in {seconds} seconds")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def scroll_through(self):
        """Show every part of the page once, so that everything in it loads.

        The page grows meanwhile, and a slow browser notices only what stood for two frames.
        """
        top = 0
        while top < self.run("return document.documentElement.scrollHeight") + 700:
            self.run(f"window.scrollTo({{top: {top}, behavior: 'instant'}})")  # not the theme's way
            self.driver.execute_async_script(TWO_FRAMES)
            top += 700
        late = "const image = [...document.images].find(image => !image.complete);"
        self.wait(f"{late} image?.scrollIntoView({{behavior: 'instant'}}); return !image")
        self.wait("return !document.querySelector('.gan-widget[aria-busy]')")

    def asked(self):
        """Return what was asked for since the last call: {address: bytes}."""
        addresses, sizes = {}, {}
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            parameters = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                addresses[parameters["requestId"]] = parameters["request"]["url"]
            elif message["method"] == "Network.loadingFinished":
                sizes[parameters["requestId"]] = parameters["encodedDataLength"]
        found = {}
        for number, address in addresses.items():
            found[address] = found.get(address, 0) + sizes.get(number, 0)
        return found

    def errors(self):
        return [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def shoot(self, name):
        """Save what the page shows, from its title to its end."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        height = self.run("return document.documentElement.scrollHeight")
        for number, top in enumerate(range(0, int(height), 900)):
            self.run(f"window.scrollTo({{top: {top}, behavior: 'instant'}})")
            time.sleep(0.2)
            self.driver.save_screenshot(SHOTS / f"site_{name}_{number:02d}.png")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser, and a server of a site that was built for it."""
    pytest.importorskip("myst_nb", reason="Sphinx is not installed: make test-site")
    site = build.build(tmp_path_factory.mktemp("build"))
    with serve.server(site, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = Browser(f"http://127.0.0.1:{server.server_port}")
        yield found
        found.driver.quit()
        server.shutdown()


def pages_of_the_site():
    lessons = pages.lessons()
    solutions = [f"notebooks/solutions/{lesson}" for lesson in lessons]
    return ["index", "README", *(f"notebooks/{lesson}" for lesson in lessons), *solutions]


@pytest.mark.parametrize("page", pages_of_the_site())
def test_a_page_on_a_telephone(browser, page):
    """It asks no other host, has no error, all formulas, and nothing that is too wide."""
    browser.open(page, TELEPHONE)
    first = browser.asked()
    size = sum(n for address, n in first.items() if "mathjax/" not in address)
    assert 0 < size <= measure.FIRST_VIEW
    browser.scroll_through()
    asked = first | browser.asked()
    foreign = [a for a in asked if not a.startswith((browser.address, "data:", "blob:"))]
    assert not foreign
    assert not browser.errors()
    formulas = browser.run("return document.querySelectorAll('.math').length")
    drawn = browser.run("return document.querySelectorAll('.math mjx-container').length")
    assert drawn == formulas
    assert not browser.run("return document.querySelectorAll('mjx-merror').length")
    assert browser.run("return document.documentElement.scrollWidth") <= TELEPHONE
    broken = "return [...document.images].filter(i => !i.naturalWidth).map(i => i.src)"
    assert not browser.run(broken)


@pytest.mark.parametrize("page", LOOKED_AT)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [TELEPHONE, DESKTOP])
def test_a_page_in_both_themes(browser, page, theme, width):
    browser.open(page, width, theme)
    ground = browser.run("return getComputedStyle(document.body).backgroundColor")
    brightness = [int(n) for n in ground[4:-1].split(",")]
    assert (max(brightness) < 64) == (theme == "dark")
    grounds = "return [...document.querySelectorAll('.cell_output img')].map(i => "
    grounds += "getComputedStyle(i).backgroundColor)"
    assert set(browser.run(grounds)) <= {"rgb(255, 255, 255)"}  # drawings have a light one
    assert browser.run("return document.documentElement.scrollWidth") <= width
    browser.scroll_through()
    assert not browser.errors()
    browser.shoot(f"{page.split('/')[-1]}_{theme}_{width}")


def test_pictures_keep_their_place_and_load_late(browser):
    browser.open("notebooks/07_cyclegan")
    before = len([address for address in browser.asked() if "/pictures/" in address])
    heights = (
        "[...document.querySelectorAll('.gan-widget')].reduce((n, w) => n + w.offsetHeight, 0)"
    )
    place = "return document.querySelector('#references').getBoundingClientRect().top + scrollY - "
    place += heights  # of widgets: they start meanwhile, and may then be less high
    top = browser.run(place)
    browser.scroll_through()
    after = before + len([address for address in browser.asked() if "/pictures/" in address])
    assert before < after / 2
    assert browser.run(place) == pytest.approx(top, abs=3)


@pytest.mark.parametrize("lesson", pages.lessons())
def test_widgets_start_when_they_are_near(browser, lesson):
    browser.open(f"notebooks/{lesson}")
    there = browser.run(WIDGETS)
    first = [address for address in browser.asked() if "/gan/" in address]
    assert [a.split("/gan/")[1].split("?")[0] for a in first] == ["start.js"] or any(there)
    browser.scroll_through()
    assert set(browser.run(WIDGETS)) <= {"started"}


@pytest.mark.parametrize("width", [TELEPHONE, DESKTOP])
@pytest.mark.parametrize("lesson", sorted({widget.lesson for widget in widgets.TABLE}))
def test_a_link_leads_to_its_widget(browser, lesson, width):
    """Also to the last one of a page, while those above it start and grow."""
    place = [widget for widget in widgets.TABLE if widget.lesson == lesson][-1].place
    browser.open("index", width)
    browser.driver.get(f"{browser.address}/notebooks/{lesson}.html#{place}")
    browser.wait("return !document.querySelector('.gan-widget[aria-busy]')")
    time.sleep(2)
    top = browser.run(f"return document.getElementById('{place}').getBoundingClientRect().top")
    assert 20 <= top <= 120
    browser.run("window.dispatchEvent(new WheelEvent('wheel'))")  # the reader takes over
    browser.run("window.scrollTo({top: 0, behavior: 'instant'})")
    browser.run("document.body.append(document.createElement('hr'))")  # something comes late
    time.sleep(0.3)
    assert browser.run("return scrollY") == 0


@pytest.mark.parametrize("lesson", sorted({widget.lesson for widget in widgets.TABLE}))
def test_without_javascript_saved_pictures_stand_in_place_of_widgets(browser, lesson):
    browser.open(f"notebooks/{lesson}", script=False)
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert set(browser.run(WIDGETS)) == {""}  # none has started
    for image in browser.driver.find_elements("css selector", ".gan-widget img"):
        browser.run("arguments[0].scrollIntoView()", image)
        assert image.is_displayed()
        assert image.get_attribute("alt")
        browser.wait("return [...document.querySelectorAll('.gan-widget img')][0].naturalWidth")


def test_words_are_found(browser):
    browser.open("search")
    browser.driver.get(f"{browser.address}/search.html?q=wasserstein")
    found = "return [...document.querySelectorAll('#search-results li a')].map(a => a.href)"
    browser.wait(f"{found.replace('return ', 'return (')}).length > 0")
    assert any("05_wgan_gp" in address for address in browser.run(found))
    assert not browser.errors()


def test_a_widget_that_fails_says_so_below_its_picture(browser):
    browser.open("notebooks/02_dcgan")
    browser.run(
        "const w = document.createElement('div'); w.dataset.widget = 'nothing';"
        'w.innerHTML = \'<img src="pictures/02_dcgan/01.png" alt="saved">\';'
        "document.querySelector('article').prepend(w); window.broken = w;"
        "const name = document.querySelector('script[src*=\"gan/start.js\"]').src;"
        "import(name).then(module => module.start(w))"
    )
    browser.wait("return window.broken.dataset.state === 'failed'")
    assert browser.run("return window.broken.querySelector('img').alt") == "saved"
    assert "saved picture" in browser.run("return window.broken.textContent")
