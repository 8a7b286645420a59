"""Photographs through networks of lessons 07 and 09 in the page: ONNX Runtime equals Keras."""

import base64
import json
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

from tests import site_pages
from tools.site import onnx as site_onnx
from utils import images
from utils.topics import export

pytest.importorskip("selenium", reason="selenium is not installed")
TOLERANCE = 1e-3
SIZES = [(360, "light"), (360, "dark"), (1200, "light"), (1200, "dark")]
RUN = """
const [network, file, dims, done] = arguments;
const { Runner } = await import("./_static/gan/photo-runner.js");
const input = new Float32Array(await (await fetch(file)).arrayBuffer());
window.runner ??= new Runner();
try {
    const made = await window.runner.run(network, { input, dims });
    const bytes = new Uint8Array(made.values.buffer);
    let text = "";
    for (let i = 0; i < bytes.length; i += 8192)
        text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    done([btoa(text), made.dims, made.seconds]);
} catch (error) {
    done(String(error));
}
"""
STATUS = "return document.querySelector('.photo-status').textContent"


def needs_export():
    if lacking := export.missing("onnx"):
        pytest.skip(lacking)


def small_network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(16, 3, activation="relu")(inputs)
    network = keras.Model(inputs, keras.layers.Conv2DTranspose(3, 3)(x))
    return network


def initializers(content):
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(content)
    return [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]


def run(content, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(content)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


@pytest.mark.parametrize("halved", [True, False])
def test_weights_are_halved_only_where_nothing_is_lost(halved):
    needs_export()
    network = small_network()
    if halved:
        network.set_weights([w.astype("float16").astype("float32") for w in network.get_weights()])
    content = site_onnx._onnx(network)
    large = [array for array in initializers(content) if array.size >= 100]
    assert len(large) == 2
    assert {array.dtype.name for array in large} == {"float16" if halved else "float32"}
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(run(content, x), network(x, training=False), atol=1e-5)


def test_a_missing_converter_is_named(monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"lessons 07 and 09.*pip install -e .\[export\]"):
        site_onnx._onnx(small_network())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a site with the modules, the networks and the program."""
    needs_export()
    folder = tmp_path_factory.mktemp("site")
    photo = folder / "_static" / "gan" / "photo"
    assert set(site_onnx.write(photo)) == set(site_onnx.SOURCES)
    assert site_onnx.write(photo) == []  # all is up to date
    return folder


@pytest.fixture(scope="module")
def site(folder):
    with site_pages.served(folder) as address:
        yield folder, address


@pytest.fixture
def opened(site):
    """Return a function that opens a page; after the test, nothing was sent or wrong."""
    pages = []

    def open_page(network="zebra", **options):
        data = f'data-widget="photo" data-network="{network}"'
        pages.append(site_pages.Page(*site, data, **options))
        return pages[-1]

    yield open_page
    for page in pages:
        sent, others, errors = page.sent(), page.others(), page.errors()
        page.close()
        assert not sent + others + errors


def inputs(name):
    """Return five random inputs of a network."""
    rng = np.random.default_rng(3)
    if name == "srgan":
        shapes = [(1, height, width, 3) for height, width in ((128, 96), (31, 50), (16, 128))]
        shapes += [(1, 64, 64, 3), (1, 20, 20, 3)]
        return [rng.uniform(0, 1, shape).astype("float32") for shape in shapes]
    return [rng.uniform(-1, 1, (1, 256, 256, 3)).astype("float32") for _ in range(5)]


@pytest.mark.parametrize("name", site_onnx.SOURCES)
class TestNetworks:
    pytestmark = site_pages.MARKS

    def test_chromium_equals_keras(self, name, opened, site):
        page = opened()
        network = site_onnx.network(name)
        seconds, largest = [], 0.0
        for i, x in enumerate(inputs(name)):
            file = f"{name}-{i}.bin"  # a name of its own: browsers keep what they loaded
            (site[0] / file).write_bytes(x.astype("<f4").tobytes())
            script = f"(async () => {{ {RUN} }})()".replace("arguments", "args")
            script = f"const args = [...arguments]; {script}"
            found = page.driver.execute_async_script(script, name, file, list(x.shape))
            assert isinstance(found, list), found
            made = np.frombuffer(base64.b64decode(found[0]), "<f4").reshape(found[1])
            expected = network(x, training=False).numpy()
            assert made.shape == expected.shape
            assert expected.std() > 0.1  # no blank picture
            largest = max(largest, np.abs(made - expected).max())
            seconds.append(found[2])
        print(f"{name}: differs by {largest:.1e} at most; seconds {seconds}")
        assert largest < TOLERANCE

    def test_it_is_the_network_of_the_lesson(self, name, folder):
        """The file at the size that the page names gives what the page's network gives."""
        facts = json.loads((folder / "_static/gan/photo/networks.json").read_text(encoding="utf-8"))
        file = folder / "_static/gan/photo" / facts[name]["file"]
        assert file.stat().st_size == facts[name]["bytes"]
        halves = [x for x in initializers(file.read_bytes()) if x.dtype == np.float16]
        assert sum(x.size for x in halves) > 0.95 * site_onnx.network(name).count_params()


class TestWidget:
    pytestmark = site_pages.MARKS

    @pytest.mark.parametrize("network", ["zebra", "srgan"])
    @pytest.mark.parametrize(("width", "theme"), SIZES)
    def test_it_fits(self, opened, network, width, theme):
        page = opened(network, width=width, theme=theme)
        text = page.script("return document.querySelector('.gan-widget').textContent")
        assert "never leaves your machine" in text
        page.button("Use a drawn picture").click()
        page.shot(f"photo_{network}_{width}_{theme}")
        assert page.script("return document.documentElement.scrollWidth") <= width
        for control in page.driver.find_elements("css selector", ".photo :is(input, select)"):
            assert page.script("return arguments[0].labels.length", control) == 1

    @pytest.mark.parametrize("network", ["zebra", "srgan"])
    def test_a_drawn_picture(self, opened, network):
        page = opened(network)
        page.button("Use a drawn picture").click()
        page.button({"zebra": "Translate", "srgan": "Enlarge"}[network]).click()
        page.wait(f"{STATUS}.startsWith('Done.')", 300)
        page.shot(f"photo_{network}_done")
        sizes = page.script("""
        return [...document.querySelectorAll(".photo canvas")].map((one) => one.width);
        """)
        assert sizes == {"zebra": [256, 256], "srgan": [512, 512, 512]}[network]
        link = page.driver.find_element("css selector", ".photo a[download]")
        assert link.get_attribute("href").startswith("data:image/png")

    def test_a_photograph_of_the_reader(self, opened, tmp_path):
        """It is resized to a square as in the lesson; the result is that of Keras."""
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 256, (6, 9, 3), "uint8")
        photo = Image.fromarray(noise).resize((256, 256), Image.Resampling.BICUBIC)
        photo.save(tmp_path / "one.png")
        page = opened()
        page.control("Your photograph").send_keys(str(tmp_path / "one.png"))
        page.wait(f"{STATUS} === 'Press Translate.'")
        page.button("Translate").click()
        page.wait(f"{STATUS}.startsWith('Done.')", 300)
        pixels = page.script("""
        const [, canvas] = document.querySelectorAll(".photo canvas");
        return [...canvas.getContext("2d").getImageData(0, 0, 256, 256).data];
        """)
        found = np.reshape(pixels, (256, 256, 4))[..., :3]
        x = np.asarray(photo)[None] / np.float32(127.5) - 1
        expected = images.to_uint8(site_onnx.network("zebra")(x, training=False).numpy())[0]
        assert np.abs(found - expected.astype(int)).max() <= 1  # where it lies between two

    def test_what_is_no_picture_is_named(self, opened, tmp_path):
        (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
        page = opened()
        page.control("Your photograph").send_keys(str(tmp_path / "notes.txt"))
        page.wait(f"{STATUS} === 'notes.txt is no picture that this browser can read.'")
        assert not page.button("Translate").is_enabled()

    def test_it_can_be_stopped_and_started_again(self, opened):
        page = opened()
        page.button("Use a drawn picture").click()
        page.button("Translate").click()
        page.wait("return !document.querySelector('.photo progress').hidden")
        page.button("Stop").click()
        page.wait(f"{STATUS} === 'Stopped.'")
        page.button("Translate").click()
        page.wait(f"{STATUS}.startsWith('Done.')", 300)

    def test_a_network_that_cannot_be_loaded_is_said(self, site, tmp_path):
        shutil.copytree(site[0], tmp_path / "site")
        (tmp_path / "site/_static/gan/photo/zebra.onnx").unlink()
        with site_pages.served(tmp_path / "site") as address:
            data = 'data-widget="photo" data-network="zebra"'
            page = site_pages.Page(tmp_path / "site", address, data)
            page.button("Use a drawn picture").click()
            page.button("Translate").click()
            page.wait(f"{STATUS}.startsWith('The network could not be loaded')", 120)
            assert page.button("Translate").is_enabled()
            page.close()
