"""Generators go to one .keras file and come back equal, in safe mode, without the page."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from tools import pages
from utils.layers import dcgan_generator
from utils.options import ROOT

SCRIPT = """
import sys
import keras, numpy as np
import utils.layers
import utils.topics.cyclegan
import utils.topics.upscaling
for folder in sys.argv[1:]:
    network = keras.models.load_model(f"{folder}/generator.keras", safe_mode=True)
    made = network(np.load(f"{folder}/inputs.npy"), training=False)
    np.save(f"{folder}/outputs.npy", made)
"""
GENERATORS = {
    "01_gan": lambda: pages.Page("01_gan").definitions("generator").generator,
    "02_dcgan": lambda: dcgan_generator(64, 8),
    "07_cyclegan": lambda: pages.Page("07_cyclegan").definitions("generator_ab").generator_ab,
    "09_srgan": lambda: pages.Page("09_srgan").definitions().srresnet(8, 1, True),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Save all in this process, load all in one other; return what each makes, here and there."""
    folders, expected = {}, {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRESET", "smoke")
        for lesson, make in GENERATORS.items():
            generator = make()
            folder = folders[lesson] = tmp_path_factory.mktemp(lesson)
            shape = (2, *(n or 12 for n in generator.input_shape[1:]))
            inputs = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
            generator.save(folder / "generator.keras")
            np.save(folder / "inputs.npy", inputs)
            expected[lesson] = keras.ops.convert_to_numpy(generator(inputs, training=False))
    command = [sys.executable, "-c", SCRIPT, *map(str, folders.values())]
    subprocess.run(command, check=True, cwd=ROOT)
    return {x: (expected[x], np.load(folders[x] / "outputs.npy")) for x in GENERATORS}


@pytest.mark.parametrize("lesson", GENERATORS)
def test_a_generator_saves_and_loads(lesson, found):
    here, there = found[lesson]
    np.testing.assert_array_equal(there, here)
