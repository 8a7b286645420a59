"""Networks trained on ImageNet, whose features photographs are compared in."""

from __future__ import annotations

import keras
from keras import layers
from keras.applications import imagenet_utils

from utils import sources
from utils.options import ROOT, one_of

SQUEEZENET = ROOT / "outputs" / "pretrained" / "squeezenet"
SQUEEZENET_FILE = "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"
KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications"
INCEPTION_FILE = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
INCEPTION_HASH = "bcbd6486424b2319ff4ef7d526e38f63"
VGG19_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
VGG19_HASH = "253f8cb515780f3b799900260a226db6"
FIRES = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}  # module: squeezed channels


def squeezenet(last: int = 9, pooling: type[keras.Layer] = layers.MaxPooling2D) -> keras.Model:
    """Build SqueezeNet 1.1 without its top, up to a fire module (Iandola et al. 2016).

    Its weights lie in outputs/pretrained/squeezenet; they are those of the public repository
    keras-squeezenet (MIT). They want what Caffe gave: blue first, means taken off.

    Args:
        last: number of the last module, 2 to 9.
        pooling: layer that halves the features.

    Returns:
        A network: images (n, height, width, 3) in [-1, 1] -> (n, rows, columns, channels).

    Raises:
        ValueError: the file of weights is damaged.
    """
    sources.check_sums(SQUEEZENET)
    inputs = layers.Input((None, None, 3))
    x = imagenet_utils.preprocess_input((inputs + 1) * 127.5, mode="caffe")
    x = layers.Conv2D(64, 3, 2, activation="relu")(x)
    ends = {}
    for number, squeezed in FIRES.items():
        if number in (2, 4, 6):
            x = pooling(3, 2)(x)
        x = layers.Conv2D(squeezed, 1, activation="relu")(x)
        wide = {"filters": 4 * squeezed, "padding": "same", "activation": "relu"}
        sides = [layers.Conv2D(kernel_size=k, **wide)(x) for k in (1, 3)]
        x = ends[number] = layers.Concatenate()(sides)
    whole = keras.Model(inputs, x)
    whole.load_weights(SQUEEZENET / SQUEEZENET_FILE)  # by order: the file's names hold a slash
    network = keras.Model(inputs, ends[last], name="SqueezeNet")
    network.trainable = False
    return network


def content_network(network: str = "SqueezeNet") -> keras.Model:
    """Return the network whose features the content loss compares: images in [-1, 1] -> features.

    VGG19 up to its last convolution, after the activation, divided by 12.75 (Ledig et al. 2017,
    section 3.2: phi 5,4), is the paper's. SqueezeNet up to its fifth fire module has a thirtieth
    of the arithmetic. It halves images at once and passes the largest of nine on, so some pixels
    would get five times the gradient of their neighbours, and a generator would draw a grid: it
    sees them twice enlarged, and averages (as Gatys et al. 2016, section 2). Divided by 68, its
    loss of bicubic enlargement is the mean squared error of the pixels, in [-1, 1], as the
    paper's factor is meant to give.

    Args:
        network: "SqueezeNet", which the project ships, or "VGG19", 80 MB, which is downloaded.

    Raises:
        OSError: VGG19 cannot be downloaded.
        ValueError: another name.
    """
    one_of(("SqueezeNet", "VGG19"), network=network)
    inputs = layers.Input((None, None, 3))
    if network == "VGG19":
        path = _fetched("vgg19", VGG19_FILE, VGG19_HASH)
        vgg = keras.applications.VGG19(include_top=False, weights=path)
        vgg.trainable = False
        last = keras.Model(vgg.input, vgg.get_layer("block5_conv4").output)
        x = imagenet_utils.preprocess_input((inputs + 1) * 127.5, mode="caffe")
        return keras.Model(inputs, layers.Rescaling(1 / 12.75)(last(x)), name=network)
    x = layers.UpSampling2D(interpolation="bilinear")(inputs)
    x = squeezenet(last=5, pooling=layers.AveragePooling2D)(x)
    return keras.Model(inputs, layers.Rescaling(1 / 68)(x), name=network)


def of_photographs(network: str = "SqueezeNet") -> keras.Model:
    """Return the network that photographs are measured with: images in [-1, 1] -> (n, features).

    Images of any size are resized to the network's own, 224 or 299. Numbers of the two networks
    do not compare, so the same one measures everywhere unless another is asked for by name.

    Args:
        network: "SqueezeNet", which the project ships, its features divided by 6, so that their
            mean square is about 1; or "InceptionV3", 88 MB, which is downloaded.

    Raises:
        OSError: InceptionV3 cannot be downloaded.
        ValueError: another name.
    """
    one_of(("SqueezeNet", "InceptionV3"), network=network)
    inputs = layers.Input((None, None, 3))
    if network == "InceptionV3":
        path = _fetched("inception_v3", INCEPTION_FILE, INCEPTION_HASH)
        inception = keras.applications.InceptionV3(include_top=False, weights=path, pooling="avg")
        inception.trainable = False
        return keras.Model(inputs, inception(layers.Resizing(299, 299)(inputs)), name=network)
    x = squeezenet()(layers.Resizing(224, 224)(inputs))
    x = layers.Rescaling(1 / 6)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, x, name=network)


def _fetched(folder: str, file: str, md5: str) -> str:
    """Return the path of weights that Keras publishes."""
    return str(sources.download(file, [f"{KERAS_URL}/{folder}/{file}"], sources.has_hash(md5)))
