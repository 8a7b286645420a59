"""Generators in every format compute the same, in the program that the format is for."""

import re
import resource

import keras
import numpy as np
import pytest
import tensorflow as tf

from tools import pages
from utils import device, record
from utils.topics import export

# Of the page's size, then a batch of another size, where the network leaves it free.
SHAPES = {
    "02_dcgan": ((1, 32), (2, 32)),
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


@pytest.fixture
def limited():
    """Give a function that allows files of so many bytes until the test ends."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def everything(folder):
    return {x.relative_to(folder): x.is_file() and x.read_bytes() for x in folder.rglob("*")}


@pytest.mark.fault(
    "export: disk full, where an earlier file is", "stops in a sentence", lost="nothing"
)
@pytest.mark.parametrize("kind", export.FORMATS)
def test_a_full_disk_leaves_the_export_that_was_there(kind, small, tmp_path, monkeypatch, limited):
    if export.missing(kind):
        pytest.skip(f"{kind}: {export.missing(kind)}")
    monkeypatch.setattr(export, "FORMATS", {kind: export.FORMATS[kind]})
    file = export.write(small, str(tmp_path / "new" / "small"))[kind]
    before = everything(tmp_path)
    small = keras.Sequential([keras.layers.Input((300,)), keras.layers.Dense(300)])
    limited(20_000)
    words = rf"{file.name} could not be written: File too large\. .* is kept\. Make room"
    with pytest.raises(OSError, match=words):
        export.write(small, file.with_name("small"))
    assert everything(tmp_path) == before


def test_a_folder_of_something_else_is_kept(small, tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "thesis.txt").write_text("years", encoding="utf-8")
    with pytest.raises(OSError, match="small could not be written: Directory not empty"):
        export.write(small, tmp_path / "small")
    assert (tmp_path / "small" / "thesis.txt").read_text(encoding="utf-8") == "years"


def test_what_is_written_again_is_the_new_network(small, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "FORMATS", {"tf_saved_model": ("", "TensorFlow")})
    x = np.ones((2, 3), "float32")
    for _ in range(2):
        small.set_weights([w + 1 for w in small.get_weights()])
        export.write(small, tmp_path / "small")
    assert [file.name for file in tmp_path.iterdir()] == ["small"]
    np.testing.assert_allclose(in_saved_model(tmp_path / "small")(x), small(x), atol=1e-6)


class Own(keras.layers.Layer):
    """A layer that nobody registered."""

    def call(self, x):
        return 2 * x


Own.__module__ = "__main__"  # as in a page


@keras.saving.register_keras_serializable("tests")
class Eager(keras.layers.Layer):
    """A layer that no graph can hold, as a bilinear `UpSampling2D` of any size in Keras 3.15."""

    def compute_output_shape(self, shape):
        return shape

    def call(self, x):
        return 2 * x.numpy()


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


Subclassed.__module__ = "__main__"


def layered(*layers, shape=(3,)):
    return keras.Sequential([keras.layers.Input(shape), *layers])


def subclassed():
    network = Subclassed()
    network(np.ones((1, 3), "float32"))
    return network


def half():
    return layered(keras.layers.Dense(2, dtype="bfloat16"))


@pytest.mark.parametrize(
    ("build", "kinds", "words"),
    [
        (lambda: layered(Eager()), {"keras"}, r"one +is not written: Exception .* Eager\.call"),
        (lambda: layered(Own()), {"tf_saved_model", "onnx", "litert"}, r"Could not locate .*'Own'"),
        (
            lambda: layered(keras.layers.Lambda(lambda x: 2 * x)),
            {"tf_saved_model", "onnx", "litert"},
            r"\.keras +is not written: Keras could not load it again: .* `Lambda` layer",
        ),
        (
            subclassed,
            {"tf_saved_model", "onnx", "litert"},
            r"\.keras +is not written: Keras could not load it again: .*'Subclassed'\.\n",
        ),
        (lambda: keras.Sequential([keras.layers.Dense(2)]), set(), "Call it on a batch once"),
        (half, set(), "it is in bfloat16"),
    ],
    ids=["eager", "own", "Lambda", "subclassed", "unbuilt", "half"],
)
def test_a_format_that_cannot_be_written_is_named_and_others_go_on(
    build, kinds, words, tmp_path, capsys
):
    written = export.write(build(), tmp_path / "one")
    kinds = {kind for kind in kinds if not export.missing(kind)}
    assert set(written) == kinds
    assert set(tmp_path.iterdir()) == set(written.values())
    printed = capsys.readouterr().out
    assert re.search(words, printed)
    assert len(printed.splitlines()) == len(export.FORMATS)


def test_several_inputs_are_exported_by_name(tmp_path, capsys):
    z = keras.Input((4,), name="z")
    label = keras.Input((1,), dtype="int32", name="label")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(10, 4)(label))
    joined = keras.layers.Concatenate()([z, embedded])
    network = keras.Model([z, label], keras.layers.Dense(3)(joined))
    x = {"z": np.ones((1, 4), "float32"), "label": np.full((1, 1), 7, "int32")}
    here = network(list(x.values())).numpy()
    files = export.write(network, tmp_path / "both")
    assert set(files) == {kind for kind in export.FORMATS if not export.missing(kind)}
    assert "z (any, 4), label (any, 1)" in capsys.readouterr().out
    made = {"keras": keras.models.load_model(files["keras"])(list(x.values()))}
    made["tf_saved_model"] = in_saved_model(files["tf_saved_model"])(list(x.values()))
    if "onnx" in files:
        session = pytest.importorskip("onnxruntime").InferenceSession(files["onnx"])
        made["onnx"] = session.run(None, x)[0]
    if "litert" in files:
        run = tf.lite.Interpreter(str(files["litert"])).get_signature_runner()
        made["litert"] = next(iter(run(**x).values()))
    for kind, found in made.items():
        np.testing.assert_allclose(found, here, atol=1e-5, err_msg=kind)


def test_mixed_precision_is_written_in_float32(tmp_path):
    mixed = {"dtype": "mixed_bfloat16"}
    wrapped = keras.layers.SpectralNormalization(keras.layers.Dense(4, **mixed), **mixed)
    network = layered(wrapped, keras.layers.Dense(2, **mixed))
    plain = layered(keras.layers.SpectralNormalization(keras.layers.Dense(4)))
    plain.add(keras.layers.Dense(2))
    plain.set_weights(network.get_weights())
    x = np.random.default_rng(0).normal(size=(1, 3)).astype("float32")
    files = export.write(network, tmp_path / "mixed")
    made = {"keras": lambda x: keras.models.load_model(files["keras"])(x)}
    made |= {kind: PROGRAMS[kind](files[kind]) for kind in files if kind != "keras"}
    for kind, run in made.items():
        found = run(x)
        assert found.dtype == "float32"
        np.testing.assert_allclose(found, plain(x), atol=1e-5, err_msg=kind)
    assert network.layers[-1].compute_dtype == "bfloat16"


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
