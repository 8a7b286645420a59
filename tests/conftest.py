"""Every test has folders of its own and reads no option from outside."""

import os
import tempfile

import pytest

OPTIONS = ("PRESET", "PRECISION", "RESTART", "STANDIN", "OUTPUT_DIR")
for name in OPTIONS:
    os.environ.pop(name, None)
os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="keras-")  # read once, when Keras is imported


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "outputs"))
    monkeypatch.setenv("PRESET", "smoke")


@pytest.fixture
def in_float32():
    """Set the precision of training back after a test that calls `runtime.start`."""
    from utils import runtime

    yield
    runtime._training_precision = "float32"
