"""Generators go to one .keras file and come back equal, in safe mode, without the page."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from tools import pages
from utils.layers import dcgan_generator

SCRIPT = """
import sys
import keras, numpy as np
import utils.layers
network = keras.models.load_model(sys.argv[1], safe_mode=True)
np.save(sys.argv[3], network(np.load(sys.argv[2]), training=False))
"""


GENERATORS = {
    "01_gan": lambda: pages.Page("01_gan").definitions("generator").generator,
    "02_dcgan": lambda: dcgan_generator(64, 8),
    "07_cyclegan": lambda: pages.Page("07_cyclegan").definitions("generator_ab").generator_ab,
    "09_srgan": lambda: pages.Page("09_srgan").definitions().srresnet(8, 1, True),
}


@pytest.mark.parametrize("lesson", GENERATORS)
def test_a_generator_saves_and_loads(lesson, tmp_path):
    generator = GENERATORS[lesson]()
    shape = (2, *(n or 12 for n in generator.input_shape[1:]))
    inputs = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
    generator.save(tmp_path / "generator.keras")
    np.save(tmp_path / "inputs.npy", inputs)
    files = [str(tmp_path / n) for n in ("generator.keras", "inputs.npy", "outputs.npy")]
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", SCRIPT, *files], check=True, cwd=root)
    expected = keras.ops.convert_to_numpy(generator(inputs, training=False))
    np.testing.assert_array_equal(np.load(files[2]), expected)
