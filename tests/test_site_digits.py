"""The widgets digit.js, timemachine.js, classes.js and faces.js in a headless Chromium.

They stand in a page of their own here, between the variables of the theme. Screenshots go to the
folder that SHOTS names, if it is set.
"""

import base64
import functools
import http.server
import io
import json
import shutil
import socketserver
import threading
import time
import urllib.parse
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from tests.site_pages import BROWSER, MARKS, MODULES, PAGE, SHOTS
from tests.test_site_networks import TOLERANCE, generator_of, inputs_of
from tools.site import weights
from utils.evaluation import in_batches

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
pytestmark = MARKS
LIMIT = 20.0  # milliseconds a digit
KEYS = {"right": "\ue014", "left": "\ue012", "up": "\ue013", "home": "\ue011", "end": "\ue010"}
NOTE_WORDS = """
window.seen = [];
const words = document.querySelector(".gan-words");
new MutationObserver(() => window.seen.push(words.textContent)).observe(words, {childList: true});
"""
WIDGETS = {
    "digit": 'data-widget="digit"',
    "01": 'data-widget="timemachine" data-network="01_gan" data-second="01_gan_collapse"',
    "02": 'data-widget="timemachine" data-lesson="02_dcgan"',
    "04": 'data-widget="timemachine" data-network="04_lsgan"',
    "classes": 'data-widget="classes" data-network="06_cgan"',
    "faces": 'data-widget="faces"',
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the widgets and their networks, and a server that notes what is asked for."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(MODULES, folder / "_static" / "gan")
    weights.write(folder / "_static" / "gan" / "weights")
    for name, data in WIDGETS.items():
        for theme in "light", "dark":
            text = PAGE.replace("THEME", theme).replace("DATA", data)
            (folder / f"{name}-{theme}.html").write_text(text, encoding="utf-8")
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path.rsplit("/", 1)[-1])

        def end_headers(self):
            self.send_header("Cache-Control", "no-store")  # so that every load is seen
            super().end_headers()

    handler = functools.partial(Handler, directory=folder)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Site(folder, f"http://127.0.0.1:{server.server_address[1]}", asked)
        server.shutdown()


class Site:
    def __init__(self, folder, address, asked):
        self.folder = folder
        self.address = address
        self.asked = asked

    def weights_asked(self):
        """Return the files of weights that were asked for since the last call."""
        found = [name for name in self.asked if name.endswith(".bin")]
        self.asked.clear()
        return found


class Browser:
    def __init__(self, site, width=1200):
        options = webdriver.ChromeOptions()
        options.binary_location = BROWSER
        names = "headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"
        for name in names:
            options.add_argument(f"--{name}")
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options, service)
        self.driver.set_script_timeout(120)
        self.site = site
        self.resize(width)

    def resize(self, width, height=1000):
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, what, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := what():
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come in {seconds} seconds")

    def open(self, name, theme="light"):
        self.driver.get(f"{self.site.address}/{name}-{theme}.html")
        state = "return document.querySelector('.gan-widget').dataset.state"
        self.wait(lambda: self.run(state))
        assert self.run(state) == "started", self.find(".gan-widget").text
        assert not self.all(".saved")
        self.still()

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def button(self, text):
        (found,) = [b for b in self.all("button") if text in (b.text, b.accessible_name)]
        return found

    def pixels(self, selector="canvas.gan-picture"):
        """Return what a canvas shows, grey (height, width)."""
        script = "return document.querySelector(arguments[0]).toDataURL()"
        url = self.run(script, selector)
        return iio.imread(io.BytesIO(base64.b64decode(url.split(",")[1])))[..., 0].astype(int)

    def still(self, selector="canvas.gan-picture", seconds=0.4):
        """Wait until a picture no longer changes, and return it."""
        last = self.pixels(selector)
        since = time.monotonic()
        while time.monotonic() - since < seconds:
            time.sleep(0.1)
            now = self.pixels(selector)
            if not np.array_equal(now, last):
                last, since = now, time.monotonic()
        return last

    def words(self):
        return self.find(".gan-words").text

    def errors(self):
        return [e for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def hosts(self):
        """Return the addresses that pages asked for, without their paths."""
        found = set()
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                address = urllib.parse.urlsplit(message["params"]["request"]["url"])
                found.add(f"{address.scheme}://{address.netloc}")
        return found - {"data://"}  # pictures that the page made itself

    def shot(self, name):
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            height = self.run("return document.documentElement.scrollHeight")
            width = self.run("return innerWidth")
            self.resize(width, int(height))
            time.sleep(0.3)
            self.driver.save_screenshot(str(Path(SHOTS) / f"{name}.png"))
            self.resize(width)

    def overflows(self):
        """Tell how many pixels are to the right of the window."""
        return self.run("return document.documentElement.scrollWidth - innerWidth")


@pytest.fixture(scope="module")
def shared(site):
    found = Browser(site)
    yield found
    found.driver.quit()


@pytest.fixture
def browser(shared, site):
    """One Chromium for all tests; no test may leave an error or ask another host."""
    shared.resize(1200)
    site.asked.clear()
    yield shared
    assert not shared.errors()
    assert shared.hosts() <= {site.address}


# Networks


RUN = """
const [name, inputs, done] = arguments;
const { load } = await import("/_static/gan/network.js");
const network = await load(name);
const outputs = inputs.map((x) => [...network.run(x)]);
const times = [];
for (let i = 0; i < 200; i++) {
  const begin = performance.now();
  network.run(inputs[i % inputs.length]);
  times.push(performance.now() - begin);
}
done([outputs, times]);
"""


@pytest.mark.parametrize("name", [n for n, source in weights.SOURCES.items() if source.page])
def test_a_generator_computes_what_keras_computes(browser, name):
    network = generator_of(name)
    inputs = inputs_of(network)
    browser.driver.get(f"{browser.site.address}/digit-light.html")
    given = np.concatenate(inputs, axis=1).tolist()
    script = f"(async (...arguments) => {{{RUN}}})(...arguments)"
    outputs, times = browser.driver.execute_async_script(script, name, given)
    expected = in_batches(network, *inputs).reshape(100, -1)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=TOLERANCE)
    print(f"{name}: median {np.median(times):.2f} ms, least {min(times):.2f} ms a picture")
    assert np.median(times) <= LIMIT or name == "11_faces"  # a face takes about as long


# A digit


def test_sliders_move_the_digit_and_can_be_set_back(browser):
    browser.open("digit")
    first = browser.still()
    assert "The classifier reads a" in browser.words()
    sliders = browser.all(".gan-digit .gan-slider input")
    assert len(sliders) == 16
    assert [s.is_displayed() for s in sliders] == [True] * 3 + [False] * 13
    assert sliders[0].accessible_name == "direction 1"
    for slider, keys in (sliders[0], KEYS["right"] * 15), (sliders[1], KEYS["end"]):
        before = browser.still()
        slider.send_keys(keys)
        assert np.abs(browser.still() - before).mean() > 1
    assert sliders[0].get_attribute("value") == "1.5"
    assert sliders[0].get_attribute("aria-valuetext") == "+1.5"
    browser.find(".gan-digit summary").click()
    before = browser.still()
    sliders[15].send_keys(KEYS["home"])
    assert np.abs(browser.still() - before).max() > 1
    browser.button("All sliders to 0").click()
    np.testing.assert_array_equal(browser.still(), first)


def test_a_digit_is_what_keras_draws_for_the_same_z(browser):
    """From the seed by random.js, moved along directions: the whole way of a number."""
    browser.open("digit")
    script = """
      const done = arguments[0];
      import("/_static/gan/random.js").then(({ normal }) => done([...normal(96, 2)]));
    """
    z = np.array(browser.driver.execute_async_script(script)[:32], "float32")
    latent = browser.site.folder / "_static" / "gan" / "weights" / "02_dcgan.latent.json"
    directions = np.array(json.loads(latent.read_text(encoding="utf-8"))["directions"])
    sliders = browser.all(".gan-digit .gan-slider input")
    sliders[0].send_keys(KEYS["right"] * 12)
    sliders[2].send_keys(KEYS["left"] * 7)
    moved = z * np.sqrt(32) / np.linalg.norm(z) + 1.2 * directions[0] - 0.7 * directions[2]
    expected = in_batches(generator_of("02_dcgan"), moved[None].astype("float32"))[0, ..., 0]
    np.testing.assert_allclose(browser.still(), (expected + 1) * 127.5, atol=1)


def test_a_new_digit_comes_from_its_seed(browser):
    browser.open("digit")
    first = browser.still()
    browser.button("New digit").click()
    seed = browser.find(".gan-digit input[type=number]")
    second = browser.still()
    assert np.abs(second - first).mean() > 1
    number = seed.get_attribute("value")
    seed.clear()
    seed.send_keys("2\n")
    np.testing.assert_array_equal(browser.still(), first)
    seed.clear()
    seed.send_keys(number + "\n")
    np.testing.assert_array_equal(browser.still(), second)


def test_a_walk_by_keyboard_pointer_and_touch(browser):
    browser.open("digit")
    pad = browser.find(".gan-pad")
    start = browser.still()
    pad.send_keys(KEYS["right"] * 6)
    pad.send_keys(KEYS["up"] * 3)
    assert np.abs(browser.still() - start).mean() > 1
    for kind in "mouse", "touch":
        before = browser.still()
        drag(browser, pad, kind)
        assert np.abs(browser.still() - before).mean() > 1
    browser.button("Walk to 1").click()
    assert np.abs(browser.still() - start).max() <= 2  # rounded on the way
    browser.button("Walk to 2").click()
    assert np.abs(browser.still() - start).mean() > 5


def drag(browser, element, kind):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    pointer = PointerInput(kind, kind)
    actions = ActionChains(browser.driver)
    actions.w3c_actions.devices = [d for d in actions.w3c_actions.devices if d.type != "pointer"]
    actions.w3c_actions.add_pointer_input(kind, kind)
    pointer = actions.w3c_actions.devices[-1]
    browser.run("arguments[0].scrollIntoView({block: 'center'})", element)
    pointer.create_pointer_move(origin=element, x=0, y=0)
    pointer.create_pointer_down(button=0)
    for _ in range(4):
        pointer.create_pointer_move(origin="pointer", x=15, y=-8, duration=50)
    pointer.create_pointer_up(button=0)
    actions.w3c_actions.perform()


def test_a_digit_becomes_the_one_that_is_asked_for(browser):
    browser.open("digit")
    for wanted in "a 3", "an 8":
        for _ in range(6):
            browser.button(f"Into {wanted}").click()
            browser.still()
            time.sleep(0.4)
            if f"reads {wanted} " in browser.words():
                break
        assert f"reads {wanted} " in browser.words()
        assert f"reads {wanted} " in browser.find("canvas.gan-picture").accessible_name


def test_arithmetic_with_means(browser):
    browser.open("digit")
    pictures = browser.all(".gan-sum canvas")
    names = [p.accessible_name for p in pictures]
    assert names[:3] == ["The term slanted 3", "The term upright 3", "The term upright 0"]
    assert names[3].startswith("The sum. The classifier reads a ")
    selects = browser.all(".gan-sum select")
    assert len(selects) == 6
    assert selects[0].accessible_name == "a: which slant"
    count = browser.find(".gan-arithmetic .gan-row select")
    assert count.accessible_name == "Each term is the mean of"
    for value in "1", "10", "all":
        set_select(browser, count, value)
    words = browser.find(".gan-arithmetic .gan-words")
    assert words.text.startswith("Sum: slanted 3 − upright 3 + upright 0. The classifier reads a 0")
    sums = browser.still(".gan-sum > :last-child canvas")
    set_select(browser, selects[5], "4")
    assert np.abs(browser.still(".gan-sum > :last-child canvas") - sums).mean() > 5
    assert "reads a 4" in words.text
    other = browser.button("Other z")
    assert not other.is_enabled()
    set_select(browser, count, "1")
    sums = browser.still(".gan-sum > :last-child canvas")
    other.click()
    assert np.abs(browser.still(".gan-sum > :last-child canvas") - sums).mean() > 1


def set_select(browser, element, value):
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"
    browser.run(script, element, value)


# The time machine


def test_the_scrubber_loads_one_snapshot_more(browser):
    browser.open("02")
    assert browser.site.weights_asked() == ["02_dcgan.bin"]
    scrubber = browser.find(".gan-scrubber input")
    assert scrubber.get_attribute("aria-valuetext") == "round 64 of 64"
    last = browser.still()
    scrubber.send_keys(KEYS["left"])
    browser.wait(lambda: "After round 48: 60,000 updates." in browser.words())
    assert browser.site.weights_asked() == ["02_dcgan-00048.bin"]
    assert np.abs(browser.still() - last).mean() > 0.5
    scrubber.send_keys(KEYS["right"])
    browser.wait(lambda: "After round 64" in browser.words())
    np.testing.assert_array_equal(browser.still(), last)
    scrubber.send_keys(KEYS["home"])
    browser.wait(lambda: "After round 1: 1,250 updates." in browser.words())
    assert browser.site.weights_asked() == ["02_dcgan-00001.bin"]
    browser.button("Other z").click()
    browser.still()
    assert browser.site.weights_asked() == []


@pytest.mark.parametrize(
    ("page", "name"), [("01", "01_gan"), ("02", "02_dcgan"), ("04", "04_lsgan")]
)
def test_pictures_are_what_keras_draws_with_the_snapshot(browser, page, name):
    browser.open(page)
    browser.find(".gan-scrubber input").send_keys(KEYS["home"] + KEYS["right"] * 2)
    browser.wait(lambda: "After round 3" in browser.words())
    seed = browser.find("input[type=number]")
    seed.clear()
    seed.send_keys("42\n")
    found = browser.still()
    network = generator_of(name)
    with np.load(weights.RECORDS / name / "snapshot-00003.npz") as file:
        for i, variable in enumerate(network.variables):
            variable.assign(file[f"averaged_generator/{i:03d}"])
    size = network.input_shape[1]
    script = """
      const [size, done] = arguments;
      import("/_static/gan/random.js").then(({ normal }) => done([...normal(36 * size, 42)]));
    """
    z = np.array(browser.driver.execute_async_script(script, size), "float32").reshape(36, size)
    expected = (in_batches(network, z)[..., 0] + 1) * 127.5
    for place in range(36):
        top, left = 29 * (place // 6), 29 * (place % 6)
        np.testing.assert_allclose(found[top : top + 28, left : left + 28], expected[place], atol=1)


def test_curves_move_with_the_scrubber_and_say_their_values(browser):
    browser.open("04")
    charts = browser.all(".gan-curves")
    assert len(charts) == 2
    text = charts[0].text
    for word in "loss", "round", "loss of D", "loss of G":
        assert word in text
    history = json.loads(
        (browser.site.folder / "_static/gan/weights/04_lsgan.json").read_text(encoding="utf-8")
    )["history"]
    scrubber = browser.find(".gan-scrubber input")
    for keys, number in (KEYS["home"], 1), (KEYS["right"] * 6, 12):
        scrubber.send_keys(keys)
        browser.wait(lambda number=number: f"After round {number}:" in browser.words())
        row = history[number - 1]
        said = browser.all("figcaption")[0].text
        assert said == f"loss of D: {row['d_loss']:.2f}, loss of G: {row['g_loss']:.2f}."
        assert said[:-1] in browser.all(".gan-curves svg")[0].get_attribute("aria-label")
    assert browser.all("figcaption")[1].text == f"score: {history[11]['score']:.2f}."
    place = "return Number(document.querySelector('.gan-now').getAttribute('x1'))"
    right = browser.run(place)
    scrubber.send_keys(KEYS["left"])
    assert browser.run(place) < right


def test_the_training_that_collapses_is_loaded_when_it_is_chosen(browser):
    browser.open("01")
    browser.site.weights_asked()
    browser.all("input[type=radio]")[1].click()
    browser.wait(lambda: "After round 60: 3,000 updates." in browser.words())
    assert browser.site.weights_asked() == ["01_gan_collapse.bin"]
    found = browser.still()
    cells = [found[29 * i : 29 * i + 28, :28] for i in range(6)]
    assert all(np.abs(cell - cells[0]).max() <= 2 for cell in cells)  # all are alike
    assert "diversity: 0.00." in browser.all("figcaption")[1].text
    browser.find(".gan-scrubber input").send_keys(KEYS["home"])
    browser.wait(lambda: "After round 1: 50 updates." in browser.words())
    browser.all("input[type=radio]")[0].click()
    browser.wait(lambda: "After round 1: 1,500 updates." in browser.words())


def test_it_plays_to_the_end_and_can_be_stopped(browser):
    browser.open("02")
    browser.run(NOTE_WORDS)
    seen = "return window.seen"
    browser.button("Play").click()
    browser.wait(lambda: len([w for w in browser.run(seen) if w.startswith("After")]) >= 2)
    browser.button("Stop").click()
    scrubber = browser.find(".gan-scrubber input")
    stopped = scrubber.get_attribute("value")
    time.sleep(1.5)
    assert scrubber.get_attribute("value") == stopped
    scrubber.send_keys(KEYS["end"] + KEYS["left"] * 2)
    browser.wait(lambda: "After round 32" in browser.words())
    browser.button("Play").click()
    browser.wait(lambda: browser.find(".gan-scrubber button").text == "Play")
    told = [words.split(":")[0] for words in browser.run(seen) if words.startswith("After")]
    assert told[:2] == ["After round 1", "After round 2"]
    assert told[-3:] == ["After round 32", "After round 48", "After round 64"]


def test_with_less_motion_it_goes_on_by_a_press_only(browser):
    emulated = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
    try:
        browser.open("02")
        browser.button("Next").click()
        browser.wait(lambda: "After round 1:" in browser.words())
        time.sleep(1.5)
        assert "After round 1:" in browser.words()
        browser.button("Next").click()
        browser.wait(lambda: "After round 2:" in browser.words())
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_weights_that_are_missing_are_named_in_a_sentence(site, browser):
    file = site.folder / "_static" / "gan" / "weights" / "04_lsgan-00001.bin"
    file.rename(file.with_suffix(".gone"))
    try:
        browser.open("04")
        scrubber = browser.find(".gan-scrubber input")
        scrubber.send_keys(KEYS["home"])
        wanted = "The file 04_lsgan-00001.bin could not be loaded (404)."
        browser.wait(lambda: wanted in browser.words())
        assert all("404" in error["message"] for error in browser.errors())
    finally:
        file.with_suffix(".gone").rename(file)
    scrubber.send_keys(KEYS["right"])
    browser.wait(lambda: "After round 2" in browser.words())
    scrubber.send_keys(KEYS["left"])
    browser.wait(lambda: "After round 1:" in browser.words())


# Classes


def test_classes_and_style(browser):
    browser.open("classes")
    large = ".gan-digit canvas"
    three = browser.still(large)
    buttons = browser.all(".gan-classes button")
    assert [b.accessible_name for b in buttons] == [f"Class {k}" for k in range(10)]
    pressed = [b.get_attribute("aria-pressed") for b in buttons]
    assert pressed == ["true" if k == 3 else "false" for k in range(10)]
    buttons[8].send_keys(" ")
    eight = browser.still(large)
    assert np.abs(eight - three).mean() > 5
    assert browser.find(large).accessible_name == "The digit that was asked for: an 8."
    in_row = browser.still(".gan-classes button:nth-child(9) canvas")
    np.testing.assert_array_equal(in_row, eight)
    script = """
      const done = arguments[0];
      import("/_static/gan/random.js").then(({ normal }) => done([...normal(32, 3)]));
    """
    z = np.array(browser.driver.execute_async_script(script), "float32")
    latent = browser.site.folder / "_static" / "gan" / "weights" / "06_cgan.latent.json"
    directions = np.array(json.loads(latent.read_text(encoding="utf-8"))["directions"])
    sliders = browser.all(".gan-slider input")
    assert len(sliders) == 6
    sliders[1].send_keys(KEYS["right"] * 20)
    moved = (z + 2.0 * directions[1])[None].astype("float32")
    label = np.eye(10, dtype="float32")[[8]]
    expected = in_batches(generator_of("06_cgan"), moved, label)[0, ..., 0]
    np.testing.assert_allclose(browser.still(large), (expected + 1) * 127.5, atol=1)
    browser.button("New style").click()
    assert np.abs(browser.still(large) - eight).mean() > 1


# Faces


def test_a_face_moves_along_the_directions_of_the_page(browser):
    browser.open("faces")
    first = browser.still()
    assert first.shape == (64, 64)
    assert browser.words() == "The face of seed 24."
    sliders = browser.all(".gan-slider input")
    assert [s.accessible_name for s in sliders] == ["smile", "glasses", "woman – man", "blond hair"]
    script = """
      const done = arguments[0];
      import("/_static/gan/random.js").then(({ normal }) => done([...normal(64, 24)]));
    """
    z = np.array(browser.driver.execute_async_script(script))
    latent = browser.site.folder / "_static" / "gan" / "weights" / "11_faces.latent.json"
    directions = np.array(json.loads(latent.read_text(encoding="utf-8"))["directions"])
    sliders[1].send_keys(KEYS["right"] * 30)
    sliders[2].send_keys(KEYS["left"] * 15)
    moved = 8 * z / np.linalg.norm(z) + 3.0 * directions[1] - 1.5 * directions[2]
    moved = 8 * moved / np.linalg.norm(moved)
    expected = in_batches(generator_of("11_faces"), moved[None].astype("float32"))[0, ..., 0]
    np.testing.assert_allclose(browser.still(), (expected + 1) * 127.5, atol=1)
    said = "The face of seed 24, glasses +3.0, woman – man −1.5."
    assert browser.words() == browser.find("canvas").accessible_name == said
    browser.button("All sliders to 0").click()
    np.testing.assert_array_equal(browser.still(), first)
    browser.button("New face").click()
    assert np.abs(browser.still() - first).mean() > 1


# What is seen


@pytest.mark.parametrize("name", WIDGETS)
def test_every_width_and_theme(browser, name):
    for width in 360, 1200:
        browser.resize(width)
        for theme in "light", "dark":
            browser.open(name, theme)
            assert browser.overflows() <= 0
            if name in ("digit", "classes", "faces"):
                sees_the_digit_beside_each_slider(browser)
            browser.shot(f"{name}_{width}_{theme}")
            named = "button, select, input, canvas, svg[role=img], [role=application]"
            for element in browser.all(named):
                hidden = element.get_attribute("aria-hidden") == "true"
                assert hidden or not element.is_displayed() or element.accessible_name
            small = [b for b in browser.all("button") if b.is_displayed() and b.size["height"] < 24]
            assert not small


def sees_the_digit_beside_each_slider(browser):
    for summary in browser.all(".gan-digit summary"):
        summary.click()
    box = "const box = arguments[0].getBoundingClientRect(); return [box.top, box.bottom]"
    for slider in browser.all(".gan-digit .gan-slider input"):
        browser.run("arguments[0].scrollIntoView({block: 'center'})", slider)
        top, bottom = browser.run(box, browser.find(".gan-digit canvas"))
        assert 0 <= top < bottom <= 1000
    browser.run("scrollTo(0, 0)")


def test_where_the_network_is_missing_the_saved_picture_stays(site, browser):
    weights_of = site.folder / "_static" / "gan" / "weights"
    weights_of.rename(site.folder / "gone")
    try:
        browser.driver.get(f"{site.address}/classes-light.html")
        state = "return document.querySelector('.gan-widget').dataset.state"
        browser.wait(lambda: browser.run(state) == "failed")
        text = browser.find(".gan-widget").text
        assert "The saved picture." in text
        assert "could not be loaded (404)" in text
        browser.errors()
    finally:
        (site.folder / "gone").rename(weights_of)
