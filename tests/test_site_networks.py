"""Networks in the page compute what Keras computes with the weights of the records.

`network.js` runs here as it is, in Node. In a browser: tests/test_site_digits.py.
"""

import json
import math
import shutil
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tools.pages import Page
from tools.site import weights
from utils import images, record
from utils.evaluation import digit_classifier, in_batches
from utils.options import ROOT
from utils.topics.faces import judges

MODULES = ROOT / "docs" / "_static" / "gan"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(not NODE, reason="there is no Node to run network.js: apt install")
# Pixels lie in [-1, 1]. The largest difference that was seen is 5e-6: half precision loses
# nothing, because records keep it, and batch normalisation stays in float32.
TOLERANCE = 1e-3
RUN = """
import { readFileSync, writeFileSync } from "node:fs";
import { Network } from "%s/network.js";

const exact = (file) => {
  const { buffer, byteOffset, length } = readFileSync(file);
  return buffer.slice(byteOffset, byteOffset + length);
};
const cases = JSON.parse(readFileSync(process.argv[2]));
for (const { described, content, inputs, outputs } of cases) {
  const network = new Network(JSON.parse(readFileSync(described)), exact(content));
  const given = new Float32Array(exact(inputs));
  const size = network.input.length;
  const found = [];
  for (let i = 0; i < given.length; i += size)
    found.push(...network.run(given.subarray(i, i + size)));
  writeFileSync(outputs, new Float32Array(found));
}
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The networks of the records, as the site gets them."""
    folder = tmp_path_factory.mktemp("weights")
    weights.write(folder)
    return folder


def in_node(folder, *cases):
    """Run networks in Node.

    Args:
        folder: for files.
        *cases: (file of layers, file of weights, inputs (n, numbers)).

    Returns:
        For each case the outputs, (n, numbers).
    """
    written = []
    for i, (described, content, inputs) in enumerate(cases):
        (folder / f"{i}.in").write_bytes(np.ascontiguousarray(inputs, "<f4").tobytes())
        names = {"inputs": f"{i}.in", "outputs": f"{i}.out"}
        paths = {name: str(folder / file) for name, file in names.items()}
        written.append(paths | {"described": str(described), "content": str(content)})
    (folder / "cases.json").write_text(json.dumps(written), encoding="utf-8")
    (folder / "run.mjs").write_text(RUN % MODULES.as_uri(), encoding="utf-8")
    subprocess.run([NODE, folder / "run.mjs", folder / "cases.json"], check=True)
    outputs = [np.fromfile(paths["outputs"], "<f4") for paths in written]
    return [y.reshape(len(x), -1) for y, (_, _, x) in zip(outputs, cases, strict=True)]


def generator_of(name):
    """Return the generator of a record as its page loads it."""
    source = weights.SOURCES[name]
    network = Page(source.page).definitions("generator", CLASSES=10).generator
    record.load_networks(name, **{source.part: network})
    return network


def inputs_of(network, n=100):
    """Return random z for a generator; lesson 06 also gets labels, some between two classes."""
    rng = np.random.default_rng(7)
    z = rng.normal(size=(n, network.inputs[0].shape[1])).astype("float32")
    if len(network.inputs) == 1:
        return [z]
    shares = rng.dirichlet(np.ones(10), n // 2)
    return [z, np.concatenate([np.eye(10)[np.arange(n - n // 2) % 10], shares]).astype("float32")]


# Networks of the records


@needs_node
@pytest.mark.parametrize("name", [n for n, source in weights.SOURCES.items() if source.page])
def test_a_generator_computes_what_keras_computes(exported, tmp_path, name):
    network = generator_of(name)
    inputs = inputs_of(network)
    files = exported / f"{name}.json", exported / f"{name}.bin"
    (found,) = in_node(tmp_path, (*files, np.concatenate(inputs, axis=1)))
    expected = in_batches(network, *inputs).reshape(100, -1)
    assert expected.std() > 0.02  # there is something to compare
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)


@needs_node
def test_the_classifier_of_digits_computes_what_keras_computes(exported, tmp_path):
    network = digit_classifier()
    pictures = in_batches(generator_of("02_dcgan"), *inputs_of(generator_of("02_dcgan")))
    files = exported / "digit_classifier.json", exported / "digit_classifier.bin"
    (found,) = in_node(tmp_path, (*files, pictures.reshape(100, -1)))
    _, logits = in_batches(network, pictures)
    assert len(set(logits.argmax(axis=1))) > 5
    np.testing.assert_allclose(found, logits, rtol=0, atol=TOLERANCE)


@needs_node
@pytest.mark.parametrize("name", ["01_gan", "01_gan_collapse", "02_dcgan", "04_lsgan"])
def test_snapshots_draw_what_the_training_drew_then(exported, tmp_path, name):
    """The pictures that the training saved after each round show the first 64 fixed z."""
    described = json.loads((exported / f"{name}.json").read_text(encoding="utf-8"))
    page = Page(weights.SOURCES[name].page).definitions("fixed_z")
    z = page.fixed_z.numpy()
    snapshots = described["snapshots"]
    assert [s["round"] for s in snapshots] == sorted({s["round"] for s in snapshots})
    assert len(snapshots) == 12
    cases = [(exported / f"{name}.json", exported / s["file"], z) for s in snapshots]
    state = record.load_state(record.record_folder(name))
    for snapshot, found in zip(snapshots, in_node(tmp_path, *cases), strict=True):
        grid = images.grid(found.reshape(64, 28, 28, 1)).astype(int)
        frame = state[f"frame/{snapshot['round']:05d}"]
        frame = frame[: grid.shape[0], : grid.shape[1]]  # without its caption
        # A frame was drawn before the weights were rounded to half precision.
        assert np.abs(grid - frame).mean() < 0.5
    assert snapshots[-1]["round"] == len(described["history"])
    assert snapshots[-1]["file"] == f"{name}.bin"


def test_the_history_is_that_of_the_record(exported):
    for name in "01_gan", "01_gan_collapse", "02_dcgan", "04_lsgan":
        described = json.loads((exported / f"{name}.json").read_text(encoding="utf-8"))
        state = record.load_state(record.record_folder(name))
        assert described["history"] == json.loads(str(state["history"]))


def test_what_is_loaded_first_is_small(exported):
    """A page loads a network with its latent file, that of lesson 03 also the classifier."""
    for name in set(weights.SOURCES) - {"digit_classifier"}:
        names = [f"{name}.json", f"{name}.bin", f"{name}.latent.json"]
        if weights.SOURCES[name].latent == "03_latent_space":
            names += ["digit_classifier.json", "digit_classifier.bin"]
        files = [exported / name for name in names if (exported / name).exists()]
        assert sum(file.stat().st_size for file in files) <= 2e6


# Files


def test_what_is_up_to_date_stays_and_what_is_not_is_written(exported, monkeypatch):
    times = {path: path.stat().st_mtime_ns for path in exported.iterdir()}
    assert weights.write(exported) == []
    (exported / "04_lsgan-00012.bin").unlink()
    (exported / "04_lsgan-00013.bin").write_bytes(b"of an older record")
    small = {name: weights.SOURCES[name] for name in ("04_lsgan", "05_wgan_gp", "06_cgan")}
    monkeypatch.setattr(weights, "SOURCES", small)
    before = {path: path.read_bytes() for path in exported.glob("06_cgan*")}
    described = exported / "06_cgan.json"
    described.write_bytes(before[described].replace(b'"made from":"', b'"made from":"0'))
    assert weights.write(exported) == ["04_lsgan", "06_cgan"]
    assert {path: path.read_bytes() for path in exported.glob("06_cgan*")} == before
    assert (exported / "04_lsgan-00012.bin").exists()
    assert not (exported / "04_lsgan-00013.bin").exists()
    unchanged = [path for path in times if path.name.startswith(("01", "02", "05", "digit"))]
    assert all(path.stat().st_mtime_ns == times[path] for path in unchanged)


# Layers, one by one


def with_random_values(network, half=False):
    rng = np.random.default_rng(3)
    for variable in network.variables:
        value = rng.normal(0.0, 0.5, variable.shape).astype("float16" if half else "float32")
        variable.assign(np.abs(value) + 0.1 if "variance" in variable.path else value)
    return network


def compare(folder, *networks):
    """Run Keras networks in Node, with 5 random inputs each, and compare."""
    cases = []
    expected = []
    for i, network in enumerate(networks):
        described, content = weights.packed(network)
        shapes = [list(x.shape[1:]) for x in network.inputs]
        facts = {"name": "x", "bytes": len(content), "inputs": shapes, "layers": described}
        (folder / f"{i}.json").write_text(json.dumps(facts), encoding="utf-8")
        (folder / f"{i}.bin").write_bytes(content)
        rng = np.random.default_rng(i)
        inputs = [rng.normal(size=(5, *shape)).astype("float32") for shape in shapes]
        flat = np.concatenate([x.reshape(5, -1) for x in inputs], axis=1)
        cases.append((folder / f"{i}.json", folder / f"{i}.bin", flat))
        given = inputs if len(inputs) > 1 else inputs[0]
        made = network(given, training=False)
        expected.append(np.asarray(made[-1] if isinstance(made, list) else made).reshape(5, -1))
    for network, x, y in zip(networks, in_node(folder, *cases), expected, strict=True):
        assert x.shape == y.shape, network.layers
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4, err_msg=str(network.layers))


SIZES = [(5, 7, 3), (8, 6, 2), (1, 9, 4)]
WINDOWS = [
    {"kernel_size": k, "strides": s, "padding": p}
    for k in (1, 2, 3, 4, 5, (3, 2))
    for s in (1, 2, 3)
    for p in ("same", "valid")
]


@needs_node
@pytest.mark.parametrize("kind", [layers.Conv2D, layers.Conv2DTranspose])
@pytest.mark.parametrize("filters", [1, 6])
def test_windows_are_padded_as_in_keras(tmp_path, kind, filters):
    networks = []
    for size in SIZES:
        for window in WINDOWS:
            height = np.ravel(window["kernel_size"])[0]
            if kind is layers.Conv2D and window["padding"] == "valid" and height > size[0]:
                continue  # larger than the image
            made = [layers.Input(size), kind(filters, **window, use_bias=filters > 1)]
            networks.append(with_random_values(keras.Sequential(made)))
    assert len(networks) > 80
    compare(tmp_path, *networks)


@needs_node
def test_the_other_layers_are_those_of_keras(tmp_path):
    chains = [
        [layers.Input((7,)), layers.Dense(9), layers.Dense(5, activation="tanh")],
        [layers.Input((7,)), layers.Dense(9, use_bias=False, activation="relu")],
        [layers.Input((6, 5, 3)), layers.Cropping2D(((1, 2), (0, 3)))],
        [layers.Input((6, 5, 3)), layers.Cropping2D(2)],
        [layers.Input((2, 3, 4)), layers.BatchNormalization(epsilon=0.01)],
        [layers.Input((2, 3, 4)), layers.LeakyReLU(negative_slope=0.2)],
        [layers.Input((2, 3, 4)), layers.ReLU(), layers.Flatten(), layers.Dense(2)],
        [layers.Input((24,)), layers.Reshape((2, 3, 4)), layers.Activation("tanh")],
        [layers.Input((5,)), layers.Dropout(0.5), layers.GaussianNoise(1.0), layers.Dense(3)],
    ]
    networks = [with_random_values(keras.Sequential(chain)) for chain in chains]
    networks += [with_random_values(keras.Sequential(chains[0]), half=True)]
    z, label = layers.Input((4,)), layers.Input((3,))
    inner = keras.Sequential([layers.Input((7,)), layers.Dense(6), layers.ReLU()])
    joined = keras.Model([z, label], inner(layers.Concatenate()([z, label])))
    networks.append(with_random_values(joined))
    compare(tmp_path, *networks)


def test_arrays_are_short_where_nothing_is_lost(tmp_path):
    chain = [layers.Input((7,)), layers.Dense(4), layers.BatchNormalization()]
    for half, kind in (False, "float32"), (True, "float16"):
        found, content = weights.packed(with_random_values(keras.Sequential(chain), half))
        assert found[0]["kernel"]["type"] == kind
        assert found[1]["scale"]["type"] == "float32"
        last = found[1]["offset"]
        assert len(content) == last["at"] + 4 * math.prod(last["shape"])


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (layers.UpSampling2D(), "layer of the kind UpSampling2D"),
        (layers.ReLU(max_value=6), "options of re_lu.*: take a plain ReLU"),
        (layers.Conv2D(1, 3, dilation_rate=2), "dilation_rate or groups of conv2d"),
        (layers.Conv2DTranspose(1, 3, 2, output_padding=1), "output_padding of conv2d_transpose"),
        (layers.Activation("elu"), "activation elu of activation"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_pages_cannot_run_is_refused_in_a_sentence(layer, words):
    with pytest.raises(ValueError, match=f"Pages cannot run .*{words}"):
        weights.packed(keras.Sequential([layers.Input((8, 8, 2)), layer]))


# Random numbers


def in_python(n, seed):
    """Return the normal numbers as the text of random.js says that Python makes them."""
    text = (MODULES / "random.js").read_text(encoding="utf-8")
    lines = [line[7:] for line in text.splitlines() if line.startswith(" *     ") or line == " *"]
    names = {"math": math}
    exec("\n".join(lines), names)
    return names["normal"](n, seed)


@needs_node
def test_random_numbers_are_normal_and_those_of_their_seed(tmp_path):
    script = f"""
import {{ normal }} from "{MODULES.as_uri()}/random.js";
const seeds = [0, 1, 7, 4294967295];
const few = seeds.map((seed) => [...normal(33, seed)]);
console.log(JSON.stringify({{ seeds, few, many: [...normal(100000, 5)] }}));
"""
    (tmp_path / "random.mjs").write_text(script, encoding="utf-8")
    found = subprocess.run([NODE, tmp_path / "random.mjs"], check=True, capture_output=True)
    found = json.loads(found.stdout)
    for seed, few in zip(found["seeds"], found["few"], strict=True):
        np.testing.assert_allclose(few, in_python(33, seed), atol=1e-6)
    many = np.array(found["many"])
    assert abs(many.mean()) < 0.015
    assert many.std() == pytest.approx(1, abs=0.01)
    assert np.mean(np.abs(many) < 1) == pytest.approx(0.6827, abs=0.006)
    assert np.mean(np.abs(many) < 2) == pytest.approx(0.9545, abs=0.003)
    assert abs(np.corrcoef(many[:-1], many[1:])[0, 1]) < 0.015


# What the controls of lessons 03, 06 and 11 get


@pytest.fixture(scope="module")
def latent(exported):
    return json.loads((exported / "02_dcgan.latent.json").read_text(encoding="utf-8"))


def test_directions_are_the_strongest_of_the_first_layer(exported, latent):
    """By their definition: eigenvectors of W W^T, the largest eigenvalues first."""
    other = json.loads((exported / "06_cgan.latent.json").read_text(encoding="utf-8"))
    for name, found, n in ("02_dcgan", latent, 16), ("06_cgan", other, 6):
        directions = np.array(found["directions"])
        kernel = generator_of(name).variables[0].numpy()[:32]
        assert directions.shape == (n, 32)
        np.testing.assert_allclose(directions @ directions.T, np.eye(n), atol=1e-3)
        matrix = kernel @ kernel.T
        values = np.linalg.eigvalsh(matrix)[::-1][:n]
        np.testing.assert_allclose(directions @ matrix, values[:, None] * directions, atol=0.5)


def test_means_and_terms_are_of_digits_as_the_classifier_reads_them(latent):
    generator, network = generator_of("02_dcgan"), digit_classifier()
    means = {name: np.array(found) for name, found in latent["means"].items()}
    assert {name: found.shape for name, found in means.items()} == dict.fromkeys(means, (10, 32))
    assert latent["radius"] == pytest.approx(math.sqrt(32))
    for found in latent["terms"].values():
        z = np.array(found, "float32").reshape(-1, 32)
        _, logits = in_batches(network, in_batches(generator, z))
        np.testing.assert_array_equal(logits.argmax(axis=1), np.repeat(range(10), 10))
        assert tf.nn.softmax(logits).numpy().max(axis=1).min() > 0.9


def test_adding_the_difference_of_means_makes_the_digit_that_is_asked_for(latent):
    """Into k: mean z of k minus mean z of the digit that is read, again until k is read."""
    generator, network = generator_of("02_dcgan"), digit_classifier()
    means = np.array(latent["means"]["any"])
    wanted = np.repeat(range(10), 20)
    z = np.tile(np.random.default_rng(11).normal(size=(20, 32)), (10, 1))
    shares = []
    for _ in range(7):
        z = z * latent["radius"] / np.linalg.norm(z, axis=1, keepdims=True)
        pictures = in_batches(generator, z.astype("float32"))
        read = in_batches(network, pictures)[1].argmax(axis=1)
        shares.append(np.mean(read == wanted))
        z = z + means[wanted] - means[read]
    assert shares[1] > 0.6  # after one press
    assert shares[6] > 0.97


def test_a_direction_of_faces_leads_to_its_attribute(exported):
    """The judge that did not choose it sees the attribute more often, by 40 points or more."""
    found = json.loads((exported / "11_faces.latent.json").read_text(encoding="utf-8"))
    generator, judge = generator_of("11_faces"), judges.judge("second")
    z = np.random.default_rng(5).normal(size=(50, 64))
    assert found["names"] == ["Smiling", "Eyeglasses", "Male", "Blond_Hair"]
    assert found["radius"] == pytest.approx(8)
    for name, direction in zip(found["names"], found["directions"], strict=True):
        assert np.linalg.norm(direction) == pytest.approx(1, abs=1e-3)
        shares = []
        for length in -4, 4:
            moved = z + length * np.array(direction)
            moved = moved * found["radius"] / np.linalg.norm(moved, axis=1, keepdims=True)
            faces = in_batches(generator, moved.astype("float32"))
            shares.append(judges.found(judge, faces)[name].mean())
        assert shares[1] - shares[0] > 0.4, (name, shares)
