"""Networks trained on ImageNet, whose features photographs are compared in."""

from __future__ import annotations

import keras
from keras import layers
from keras.applications import imagenet_utils

from utils import sources
from utils.options import option

SQUEEZENET_FILE = "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"
SQUEEZENET_URLS = (
    f"https://github.com/rcmalli/keras-squeezenet/releases/download/v1.0/{SQUEEZENET_FILE}",
    f"https://github.com/DeepCognition/keras-squeezenet/releases/download/v0.3/{SQUEEZENET_FILE}",
)
SQUEEZENET_HASH = "17154246284f555591549ac2c83e127abfbf4307dc4b0060fdaa2931d0fa38da"
FIRES = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}  # module: squeezed channels


def squeezenet(
    last: int = 9, trained: bool = True, pooling: type[keras.Layer] = layers.MaxPooling2D
) -> keras.Model:
    """Build SqueezeNet 1.1 without its top, up to a fire module (Iandola et al. 2016).

    Its weights are those of the public repository keras-squeezenet (MIT), from DATA_DIR, Keras'
    cache or a download. They want what Caffe gave: blue first, means taken off.

    Args:
        last: number of the last module, 2 to 9.
        trained: False leaves the random weights of the start.
        pooling: layer that halves the features.

    Returns:
        A network: images (n, height, width, 3) in [-1, 1] -> (n, rows, columns, channels).

    Raises:
        OSError: the weights could not be had.
    """
    inputs = layers.Input((None, None, 3))
    x = imagenet_utils.preprocess_input((inputs + 1) * 127.5, mode="caffe")
    x = layers.Conv2D(64, 3, 2, activation="relu")(x)
    ends = {}
    for number in FIRES:
        if number in (2, 4, 6):
            x = pooling(3, 2)(x)
        x = layers.Conv2D(FIRES[number], 1, activation="relu")(x)
        wide = {"filters": 4 * FIRES[number], "padding": "same", "activation": "relu"}
        sides = [layers.Conv2D(kernel_size=k, **wide)(x) for k in (1, 3)]
        x = ends[number] = layers.Concatenate()(sides)
    if trained:
        path = sources.download(SQUEEZENET_FILE, SQUEEZENET_URLS, sources.has_hash(SQUEEZENET_HASH))
        keras.Model(inputs, x).load_weights(path)  # by order: the file's names hold a slash
    network = keras.Model(inputs, ends[last], name="SqueezeNet")
    network.trainable = False
    return network


def content_network(light: bool = True) -> keras.Model:
    """Return the network whose features the content loss compares: images in [-1, 1] -> features.

    VGG19 up to its last convolution, after the activation, divided by 12.75 (Ledig et al. 2017,
    section 3.2: phi 5,4), where Keras' weights can be had. Or SqueezeNet up to its fifth fire
    module, a thirtieth of the arithmetic. It halves images at once and passes the largest of
    nine on, so some pixels would get five times the gradient of their neighbours, and a
    generator would draw a grid: it sees them twice enlarged, and averages (as Gatys et al. 2016,
    section 2). Divided by 68, its loss of bicubic enlargement is the mean squared error of the
    pixels, in [-1, 1], as the paper's factor is meant to give. Else the pixels themselves, which
    is the paper's SRGAN-MSE. The name of the network says which.

    Args:
        light: take SqueezeNet even where VGG19 can be had.
    """
    inputs = layers.Input((None, None, 3))
    if not light:
        try:
            vgg = keras.applications.VGG19(include_top=False)
            vgg.trainable = False
            x = imagenet_utils.preprocess_input((inputs + 1) * 127.5, mode="caffe")
            x = keras.Model(vgg.input, vgg.get_layer("block5_conv4").output)(x)
            return keras.Model(inputs, layers.Rescaling(1 / 12.75)(x), name="VGG19")
        except Exception as error:  # get_file raises bare Exception for HTTP errors
            print(f"VGG19 could not be had. {error}")
    try:
        x = layers.UpSampling2D(interpolation="bilinear")(inputs)
        x = squeezenet(last=5, pooling=layers.AveragePooling2D)(x)
        x = layers.Rescaling(1 / 68)(x)
        return keras.Model(inputs, x, name="SqueezeNet")
    except OSError as error:
        print(f"SqueezeNet could not be had. {error}")
    return keras.Model(inputs, inputs, name="pixels")


def of_photographs() -> keras.Model:
    """Return the network that photographs are measured with: images in [-1, 1] -> (n, features).

    InceptionV3, as Keras trained it, where its weights can be had; else SqueezeNet, its features
    divided by 6, so that their mean square is about 1. Images of any size are resized to the
    network's own, 299 or 224. The name of the network says which; numbers of the two do not
    compare. Where neither is to be had, an untrained SqueezeNet stands in.

    Raises:
        OSError: neither is to be had, and STANDIN=never.
    """
    inputs = layers.Input((None, None, 3))
    try:
        network = keras.applications.InceptionV3(include_top=False, pooling="avg")
        return keras.Model(inputs, network(layers.Resizing(299, 299)(inputs)), name="InceptionV3")
    except Exception as error:  # get_file raises bare Exception for HTTP errors
        print(f"InceptionV3 could not be had, so SqueezeNet measures. {error}")
    try:
        network, name = squeezenet(), "SqueezeNet"
    except OSError as error:
        if option("STANDIN") == "never":
            raise
        print(f"SqueezeNet's weights could not be had either. {error}")
        network, name = squeezenet(trained=False), "STAND-IN-untrained-SqueezeNet"
    x = layers.GlobalAveragePooling2D()(network(layers.Resizing(224, 224)(inputs)))
    return keras.Model(inputs, layers.Rescaling(1 / 6)(x), name=name)
