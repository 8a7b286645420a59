"""features: SqueezeNet against a second implementation that reads the same file."""

import h5py
import keras
import numpy as np
import pytest
import skimage.data
import tensorflow as tf

from utils import sources
from utils.evaluation import in_batches
from utils.topics import features, superresolution

PATH = features.SQUEEZENET / features.SQUEEZENET_FILE


def photographs(side=64):
    cat, coffee = skimage.data.chelsea(), skimage.data.coffee()
    return np.stack(
        [cat[:side, :side], cat[-side:, -side:], coffee[100 : 100 + side, 200 : 200 + side]]
    )


def test_squeezenet_is_what_its_file_says():
    """The fire modules written out with tf.nn, by the names of the file, on Caffe's input."""
    with h5py.File(PATH) as file:
        weights = {
            name: [np.array(file[name][part]) for part in file[name].attrs["weight_names"]]
            for name in (
                n.decode() if isinstance(n, bytes) else n for n in file.attrs["layer_names"]
            )
        }

    def convolve(x, name, stride=1, padding="SAME"):
        kernel, bias = weights[name]
        return tf.nn.relu(tf.nn.conv2d(x, kernel, stride, padding) + bias)

    images = photographs()
    x = images[..., ::-1].astype("float32") - [103.939, 116.779, 123.68]
    x = convolve(x.astype("float32"), "conv1", 2, "VALID")
    for number in range(2, 10):
        if number in (2, 4, 6):
            x = tf.nn.max_pool2d(x, 3, 2, "VALID")
        x = convolve(x, f"fire{number}/squeeze1x1")
        x = tf.concat([convolve(x, f"fire{number}/expand{k}x{k}") for k in (1, 3)], axis=-1)
        if number == 5:
            middle = x
    for last, expected in (5, middle), (9, x):
        found = in_batches(features.squeezenet(last), images)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-2)


def test_squeezenet_has_its_parameters_and_does_not_learn():
    network = features.squeezenet()
    assert network.count_params() == 722_496
    assert not network.trainable_variables


def test_the_shipped_squeezenet_measures_without_asking_anybody(monkeypatch):
    monkeypatch.setattr(sources, "download", None)
    network = features.of_photographs()
    assert network.name == "SqueezeNet"
    found = in_batches(network, photographs(128))
    assert found.shape == (3, 512)
    assert 0.5 < np.sqrt(np.square(found).mean()) < 2


def test_damaged_weights_are_named(monkeypatch, tmp_path):
    for path in features.SQUEEZENET.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / features.SQUEEZENET_FILE).write_bytes(b"")
    monkeypatch.setattr(features, "SQUEEZENET", tmp_path)
    with pytest.raises(ValueError, match=r"notop.h5 is damaged.*git checkout"):
        features.squeezenet()


@pytest.fixture
def fetched(monkeypatch, tmp_path):
    """What is asked of the one way of fetching; it gives an empty file."""
    asked = []

    def download(name, urls, check):
        asked.append((name, urls))
        return tmp_path / name

    monkeypatch.setattr(sources, "download", download)
    return asked


def test_inception_by_name_sees_its_size(monkeypatch, fetched, tmp_path):
    def inception(include_top, weights, pooling):
        assert (include_top, pooling) == (False, "avg")
        assert weights == str(tmp_path / features.INCEPTION_FILE)
        inputs = keras.layers.Input((299, 299, 3))
        return keras.Model(inputs, keras.layers.GlobalMaxPooling2D()(inputs))

    monkeypatch.setattr(keras.applications, "InceptionV3", inception)
    network = features.of_photographs("InceptionV3")
    assert network.name == "InceptionV3"
    ((name, urls),) = fetched
    assert urls == [f"{features.KERAS_URL}/inception_v3/{name}"]
    found = in_batches(network, photographs(128))
    assert found.min() > -1
    assert found.max() <= 1.01


@pytest.mark.parametrize(
    ("make", "name"),
    [(features.of_photographs, "InceptionV3"), (features.content_network, "VGG19")],
)
def test_a_network_asked_for_by_name_is_never_another_one(make, name, monkeypatch):
    """Nobody answers."""
    monkeypatch.setattr(features, "KERAS_URL", "http://127.0.0.1:1")
    with pytest.raises(OSError, match=f"Put {name.lower().split('v3')[0]}.*DATA_DIR"):
        make(name)
    with pytest.raises(ValueError, match=r"'VGG16' is not known. Use one of: SqueezeNet"):
        make("VGG16")


def test_the_content_network_is_vgg_with_its_own_preprocessing(monkeypatch, fetched):
    """Blue first, the means of ImageNet taken off, the layer of phi 5,4, divided by 12.75."""

    def vgg(**options):
        inputs = keras.layers.Input((None, None, 3))
        x = keras.layers.Activation("linear", name="block5_conv4")(inputs)
        return keras.Model(inputs, keras.layers.Rescaling(7)(x))

    monkeypatch.setattr(keras.applications, "VGG19", vgg)
    network = features.content_network("VGG19")
    assert network.name == "VGG19"
    images = photographs()
    expected = (images[..., ::-1] - np.array([103.939, 116.779, 123.68])) / 12.75
    np.testing.assert_allclose(in_batches(network, images), expected, atol=1e-4)


def crops():
    """Return crops of three photographs, and the same enlarged with bicubic interpolation."""
    photos = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.astronaut()]
    data = superresolution.Crops(
        name="three", standin=False, batch_size=24, seed=1, photographs=photos, size=96
    )
    lr, hr = next(iter(data.from_step(0)))
    small = np.rint(lr.numpy() * 255).astype("uint8")
    blurred = np.stack([superresolution.bicubic(x) for x in small]) / np.float32(127.5) - 1
    return hr, blurred


def test_squeezenet_gives_a_content_loss_like_that_of_pixels():
    """Measured on other photographs than its factor comes from, so within a factor of 2."""
    network = features.content_network()
    assert network.name == "SqueezeNet"
    assert not network.trainable_variables
    hr, blurred = crops()
    content = [in_batches(network, x) for x in (hr, blurred)]
    assert content[0].shape == (24, 23, 23, 256)
    ratio = np.mean((content[0] - content[1]) ** 2) / np.mean((hr - blurred) ** 2)
    assert 0.5 < ratio < 2


def test_the_gradient_of_the_content_loss_reaches_all_pixels_alike():
    """By their place in a square of 4 x 4; SqueezeNet as it was trained prefers some."""
    hr, blurred = (tf.constant(x) for x in crops())
    uneven = []
    for network in features.content_network(), features.squeezenet(5):
        with tf.GradientTape() as tape:
            tape.watch(blurred)
            loss = tf.reduce_mean((network(hr) - network(blurred)) ** 2)
        inside = np.abs(tape.gradient(loss, blurred))[:, 16:80, 16:80]
        places = inside.reshape(-1, 16, 4, 16, 4, 3).mean((0, 1, 3, 5))
        uneven.append(places.max() / places.min())
    assert uneven[0] < 1.3 < 3 < uneven[1]
