"""Every test has folders of its own and reads no option from outside."""

import collections
import functools
import os
import shutil
import tempfile
from pathlib import Path

import pytest

# Keras reads this once, when it is imported. It is set back, because the lessons, which pytest
# runs in the same process, must see the environment as it is.
KERAS_HOME = tempfile.mkdtemp(prefix="keras-")
before = os.environ.get("KERAS_HOME")
os.environ["KERAS_HOME"] = KERAS_HOME
import keras  # noqa: E402, F401
import tensorflow as tf  # noqa: E402

from utils import runtime  # noqa: E402

# Two devices for the tests of several; all others use the first.
CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

if before is None:
    del os.environ["KERAS_HOME"]
else:
    os.environ["KERAS_HOME"] = before


def pytest_addoption(parser):
    parser.addoption("--faults", action="store_true", help="print the table of faults")


@functools.cache
def stays_together(file):
    return file.endswith(".ipynb") or 'scope="module"' in Path(file).read_text(encoding="utf-8")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Hand out tests one by one, so that no process ends long before the other.

    Only the cells of a page, and tests of a file with a slow fixture of its own, stay together.
    """
    from xdist.scheduler import LoadScopeScheduling  # where it is missing, nothing calls this

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            return file if stays_together(file) else nodeid

    return Scheduling(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Hand what the marks say on to the summary."""
    report = yield
    report.faults = [(*mark.args, mark.kwargs["lost"]) for mark in item.iter_markers("fault")]
    return report


def pytest_terminal_summary(terminalreporter, config):
    """Print what the tests marked `fault` tried: a test counts once, or as often as it says."""
    tried = collections.Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for *row, lost in getattr(report, "faults", ()) if report.when == "call" else ():
                row = (*row, lost if outcome == "passed" else "FAILED")
                tried[row] += dict(report.user_properties).get("tried", 1)
    if config.getoption("--faults"):
        print("\n| fault | tried | what happened | lost |\n|---|---|---|---|")
        for (fault, happened, lost), n in tried.items():
            print(f"| {fault} | {n:,} | {happened} | {lost} |")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    for name in ("PRECISION", "RESTART", "STANDIN", "DEVICES", "XLA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "outputs"))
    monkeypatch.setenv("PRESET", "smoke")
    runtime._started.clear()


@pytest.fixture
def empty_cache():
    cache = Path(KERAS_HOME) / "datasets"
    shutil.rmtree(cache, ignore_errors=True)
    yield cache
    shutil.rmtree(cache, ignore_errors=True)


@pytest.fixture
def in_float32():
    """Set the precision of training back after a test that calls `runtime.start`."""
    from utils import device

    yield
    device._training_precision = "float32"
