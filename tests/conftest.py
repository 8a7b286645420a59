"""Every test has folders of its own and reads no option from outside."""

import os
import tempfile

import pytest

# Keras reads this once, when it is imported. It is set back, because the lessons, which pytest
# runs in the same process, must see the environment as it is.
KERAS_HOME = tempfile.mkdtemp(prefix="keras-")
before = os.environ.get("KERAS_HOME")
os.environ["KERAS_HOME"] = KERAS_HOME
import keras  # noqa: E402, F401

if before is None:
    del os.environ["KERAS_HOME"]
else:
    os.environ["KERAS_HOME"] = before


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    for name in ("PRECISION", "RESTART", "STANDIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "outputs"))
    monkeypatch.setenv("PRESET", "smoke")


@pytest.fixture
def in_float32():
    """Set the precision of training back after a test that calls `runtime.start`."""
    from utils import runtime

    yield
    runtime._training_precision = "float32"
