"""Generators in every format compute the same, in the program that the format is for."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from tools import pages
from utils import device, record
from utils.topics import export

# Of the page's size, then a batch of another size, where the network leaves it free.
SHAPES = {
    "02_dcgan": ((1, 100), (2, 100)),
    "07_cyclegan": ((1, 128, 128, 3), (2, 128, 128, 3)),
    "09_srgan": ((1, 24, 24, 3), (2, 20, 28, 3)),
}


def generator(lesson):
    """Build a page's generator for its size, with few channels and blocks, and no weight at 0."""
    page = pages.Page(lesson)
    if lesson == "02_dcgan":
        network = page.definitions("generator").generator
        record.load_networks(lesson, best_generator=network)
        return network
    page = page.definitions()
    if lesson == "07_cyclegan":
        network = page.resnet_generator(page.IMAGE_SIZE, width=8, blocks=1)
    else:
        network = page.srresnet(width=8, blocks=1, batch_norm=True)
    rng = np.random.default_rng(0)
    for variable in network.variables:
        variable.assign(variable + rng.normal(0, 0.02, variable.shape))
    return network


def in_saved_model(file):
    loaded = tf.saved_model.load(file)
    return lambda x: loaded.serve(x).numpy()


def in_onnx_runtime(file):
    session = pytest.importorskip("onnxruntime").InferenceSession(file)
    return lambda x: session.run(None, {session.get_inputs()[0].name: x})[0]


def in_litert(file):
    interpreter = tf.lite.Interpreter(str(file))
    image, made = (
        x()[0]["index"] for x in (interpreter.get_input_details, interpreter.get_output_details)
    )

    def run(x):
        interpreter.resize_tensor_input(image, x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(image, x)
        interpreter.invoke()
        return interpreter.get_tensor(made)

    return run


PROGRAMS = {"tf_saved_model": in_saved_model, "onnx": in_onnx_runtime, "litert": in_litert}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Write all generators; return {lesson: (files, inputs, what the network makes of them)}."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRESET", "long")
        for lesson, shapes in SHAPES.items():
            network = generator(lesson)
            folder = tmp_path_factory.mktemp(lesson)
            rng = np.random.default_rng(0)
            inputs = [rng.uniform(-1, 1, shape).astype("float32") for shape in shapes]
            expected = [network(x, training=False).numpy() for x in inputs]
            found[lesson] = export.write(network, folder / "generator"), inputs, expected
    return found


def imported(lesson):
    """Return the modules that a page's text imports to load the file; most say nothing of it."""
    texts = "\n".join(pages.Page(lesson).texts)
    lines = re.findall(r"^from (utils[\w.]*) import ([\w, ]+)", texts, re.MULTILINE)
    return {f"{package}.{name.strip()}" for package, names in lines for name in names.split(",")}


@pytest.mark.parametrize("lesson", SHAPES)
def test_a_keras_file_is_the_same_network(lesson, written, monkeypatch):
    """In safe mode, with no layers of ours known but those of the modules that the page imports."""
    files, inputs, expected = written[lesson]
    known = keras.saving.get_custom_objects()
    modules = imported(lesson)
    assert bool(modules) == (lesson == "07_cyclegan")
    for name, layer in list(known.items()) if modules else ():
        if layer.__module__ not in modules:
            monkeypatch.delitem(known, name)
    network = keras.models.load_model(files["keras"], safe_mode=True)
    for x, here in zip(inputs, expected, strict=True):
        np.testing.assert_array_equal(network(x, training=False), here)


@pytest.mark.parametrize("kind", PROGRAMS)
@pytest.mark.parametrize("lesson", SHAPES)
def test_what_is_exported_computes_the_same(lesson, kind, written):
    """At the page's size, and at another; LiteRT takes one image at a time."""
    if export.missing(kind):
        pytest.skip(f"{kind}: {export.missing(kind)}")
    files, inputs, expected = written[lesson]
    run = PROGRAMS[kind](files[kind])
    for x, here in zip(inputs, expected, strict=True):
        assert here.std() > 0.05  # no blank image
        n = 1 if kind == "litert" else len(x)
        made = run(x[:n])
        np.testing.assert_allclose(made, here[:n], rtol=0, atol=1e-4)


@pytest.fixture
def small():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])


def test_what_is_missing_is_named(small, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    monkeypatch.setattr(keras, "__version__", "3.10.0")
    assert set(export.write(small, tmp_path / "small")) == {"keras", "tf_saved_model"}
    assert {file.name for file in tmp_path.iterdir()} == {"small", "small.keras"}
    printed = capsys.readouterr().out
    assert "small.onnx       is not written: run `pip install -e .[export]`" in printed
    assert "small.tflite     is not written: it needs Keras 3.13 or newer" in printed


def test_what_several_devices_trained_runs_on_one(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "FORMATS", {"tf_saved_model": ("", "TensorFlow")})
    monkeypatch.setenv("DEVICES", "all")
    device.set_strategy()
    try:
        network = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        x = np.ones((2, 3), "float32")
        expected = network(x).numpy()
        export.write(network, tmp_path / "small")
        assert device.replicas() == 2
    finally:
        monkeypatch.delenv("DEVICES")
        device.set_strategy()
    np.testing.assert_allclose(in_saved_model(tmp_path / "small")(x), expected, atol=1e-6)
