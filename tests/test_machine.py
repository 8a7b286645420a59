"""The machine around a lesson: the true cause is shown, and nothing computed is lost."""

import ast
import contextlib
import errno
import importlib
import io
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import fontTools.fontBuilder
import fontTools.pens.ttGlyphPen
import keras
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from matplotlib import font_manager
from nbclient.exceptions import CellExecutionError
from PIL import Image, ImageFont

from tests import toy
from tools import headless, pages
from utils import device, images, photographs, runtime, sources
from utils.options import ROOT

# Where the project is found, and what its import says


def first_cell(address="", lesson="02_dcgan"):
    return pages.Page(lesson).code[0].source.replace('ADDRESS = ""', f'ADDRESS = "{address}"')


def in_python(code, folder, *paths, **environment):
    """Run code in a new Python that finds modules in `paths` only; give (status, what it says)."""
    start = f"import sys\nsys.path = {[str(p) for p in paths]} + [p for p in sys.path if p]\n"
    command = [sys.executable, "-S", "-I", "-c", start + code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


def broken_project(folder, error):
    """Write a project whose runtime fails at its import; return its folder."""
    (folder / "utils").mkdir(parents=True)
    (folder / "utils" / "__init__.py").touch()
    (folder / "utils" / "runtime.py").write_text(error, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("import tensorflow_that_is_not_here", "No module named 'tensorflow_that_is_not_here'"),
        ("raise ImportError('libcuda.so.1: cannot open')", "libcuda.so.1: cannot open"),
        ("raise RuntimeError('Keras was imported on jax')", "Keras was imported on jax"),
    ],
)
def test_what_fails_in_the_project_is_shown_in_its_own_words(error, words, tmp_path):
    project = broken_project(tmp_path / "project", error)
    status, said = in_python(first_cell(), tmp_path, project)
    assert status == 1
    assert words in said
    assert "Set ADDRESS" not in said


@pytest.mark.parametrize("kind", ["file", "package", "folder"])
def test_another_utils_is_named(kind, tmp_path):
    place = tmp_path / "mine"
    place.mkdir()
    if kind in ("package", "folder"):
        (place / "utils").mkdir()
    found = {"package": "utils/__init__.py", "folder": "utils"}.get(kind, "utils.py")
    if kind != "folder":
        (place / found).touch()
    status, said = in_python(first_cell(), tmp_path, place)
    assert status == 1
    assert "RuntimeError: Set ADDRESS, above. Found as utils: <module 'utils' " in said
    assert kind == "folder" or str(place / found) in said  # a folder alone is no other project


def test_another_utils_that_fails_does_so_in_its_own_words(tmp_path):
    (tmp_path / "utils.py").write_text("import a_module_of_mine", encoding="utf-8")
    status, said = in_python(first_cell(), tmp_path, tmp_path)
    assert status == 1
    assert f'File "{tmp_path / "utils.py"}", line 1' in said
    assert "No module named 'a_module_of_mine'" in said
    assert "Set ADDRESS" not in said


def test_another_utils_gives_way_to_a_project_that_was_fetched(tmp_path):
    mine = tmp_path / "mine" / "utils"
    mine.mkdir(parents=True)
    (mine / "__init__.py").touch()
    (mine / "images.py").touch()
    project = broken_project(tmp_path / "lessons", "print('fetched')")
    (project / "utils" / "images.py").write_text("print('its own images')", encoding="utf-8")
    (project / "tools").mkdir()
    (project / "tools" / "project.py").touch()
    code = f"import utils.images\n{first_cell('https://somewhere')}\n"
    code += "import utils.images, utils.runtime"
    status, said = in_python(code, tmp_path, mine.parent)
    assert (status, said.split()) == (0, ["its", "own", "images", "fetched"])


def test_another_backend_is_set_aside_in_a_sentence():
    code = "import os, utils\nprint(os.environ['KERAS_BACKEND'])"
    sentence = "KERAS_BACKEND='jax' is ignored: the lessons run on TensorFlow."
    for backend, expected in ("jax", [sentence]), ("", []), ("tensorflow", []):
        _, said = in_python(code, ROOT, ROOT, KERAS_BACKEND=backend)
        assert said.splitlines() == [*expected, "tensorflow"]


def test_another_backend_that_was_imported_before_is_refused(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match=r"runs on jax, not TensorFlow: restart the kernel"):
        device.check_keras()


@pytest.fixture
def settings():
    """Keras' own settings, set back after a test that changes them."""
    before = {name: getattr(keras.config, name)() for name in device.SETTINGS}
    yield before
    for name, value in before.items():
        getattr(keras.config, f"set_{name}")(value)


@pytest.mark.parametrize(
    ("name", "value"), [("image_data_format", "channels_first"), ("epsilon", 0.1)]
)
def test_what_keras_json_has_otherwise_is_set_aside(name, value, settings, capsys):
    getattr(keras.config, f"set_{name}")(value)
    device.check_keras()
    assert f"{name} {value!r} is ignored: the lessons use" in capsys.readouterr().out
    assert getattr(keras.config, name)() == device.SETTINGS[name]
    device.check_keras()
    assert not capsys.readouterr().out


def test_settings_are_those_that_keras_has_by_itself(settings):
    assert settings == device.SETTINGS


# What TensorFlow says


def test_what_native_code_says_is_kept_back_unless_the_import_fails(capfd):
    with device._native_stderr_kept():
        os.write(2, b"a greeting\n")
    assert not capfd.readouterr().err

    @device._native_stderr_kept()
    def fail():
        os.write(2, b"libthis.so: undefined symbol\n")
        raise ImportError

    with pytest.raises(ImportError):
        fail()
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "libthis.so: undefined symbol\nlater\n"


def test_a_process_without_stderr_can_import_utils():
    code = "import os, subprocess, sys; os.close(2); import utils.device; utils.device.say('in')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout.strip()) == (0, b"in")


SAID = """I0000 00:00:17.63 86 port.cc:153] oneDNN custom operations are on, for a CPU.
E0000 00:00:17.64 86 cuda_platform.cc:52] failed call to cuInit: CUDA_ERROR_UNKNOWN (999)
2026-11-28 13:10:40.9: W tensorflow/core/gpu/gpu_device.cc:2348] Cannot dlopen some GPU libraries.
E0000 00:00:17.65 86 cuda_platform.cc:52] failed call to cuInit: CUDA_ERROR_UNKNOWN (999)
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A driver that is there; gives the processes that asked TensorFlow."""
    asked = []

    def run(command, env, **options):
        asked.append(env["TF_CPP_MIN_LOG_LEVEL"])
        return subprocess.CompletedProcess(command, 0, "", SAID)

    (tmp_path / "version").touch()
    monkeypatch.setattr(device, "DRIVERS", [str(tmp_path / "version")])
    monkeypatch.setattr(device, "GPUS", [])
    monkeypatch.setattr(device.subprocess, "run", run)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return asked


def test_a_gpu_that_cannot_be_opened_is_explained_by_tensorflow(driver, capsys):
    device.tell_why_no_gpu.__wrapped__()
    assert driver == ["0"]
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "A driver of a GPU is there, but TensorFlow finds no GPU. It says:"
    assert lines == [
        "  failed call to cuInit: CUDA_ERROR_UNKNOWN (999)",
        "  Cannot dlopen some GPU libraries.",
    ]


@pytest.mark.parametrize("why", ["there is one", "none is wanted", "no driver"])
def test_nothing_is_said_where_nothing_is_wrong(why, driver, monkeypatch, capsys):
    if why == "there is one":
        monkeypatch.setattr(device, "GPUS", ["one"])
    elif why == "none is wanted":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    else:
        monkeypatch.setattr(device, "DRIVERS", [])
    device.tell_why_no_gpu.__wrapped__()
    assert (capsys.readouterr().out, driver) == ("", [])


# What a terminal cannot show


@pytest.mark.parametrize("encoding", ["cp949", "ascii", "cp1252"])
def test_letters_that_a_terminal_lacks_end_nothing(encoding):
    code = f"sys.stdout.reconfigure(encoding={encoding!r}, errors='strict')\nimport utils\n"
    code += "print('█ 1 · ½ → 한글 \\udcff')\nprint('end')"
    status, said = in_python(code, ROOT, ROOT)
    assert (status, said.split()[-1]) == (0, "end")


# What is no picture that is read


@pytest.mark.parametrize(
    "name",
    ["photo.heic", "a.AVIF", "a.raw", "a.mp4", "a.rar", "a.7z", "a.txt", "photo"],
)
def test_a_file_of_another_kind_is_named_with_what_is_read(name, tmp_path):
    (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic")
    words = rf"{name} cannot be opened: .*convert it: read are archives \(zip, tar\), \.jpg, "
    with pytest.raises(ValueError, match=words):
        photographs.load(tmp_path / name, 16)


def test_photographs_of_a_telephone_are_not_left_out_in_silence(tmp_path, capsys):
    Image.effect_noise((8, 8), 50).save(tmp_path / "a.png")
    for name in "IMG_1.HEIC", "IMG_2.heic", ".hidden.heic", "notes.txt":
        (tmp_path / name).touch()
    assert photographs.load(tmp_path, 16).names == ("a.png",)
    said = capsys.readouterr().out
    assert f"{tmp_path}: 3 other files left out, such as IMG_1.HEIC. Replace it, or con" in said
    (tmp_path / "a.png").unlink()
    with pytest.raises(ValueError, match="holds no image that can be used"):
        photographs.load(tmp_path, 16)
    assert "IMG_1.HEIC" in capsys.readouterr().out


def test_a_path_that_is_not_there_says_so(tmp_path):
    with pytest.raises(ValueError, match=r"none cannot be opened.*No such file or directory"):
        photographs.load(tmp_path / "none", 16)


# What `make run` computed


class Client:
    """Stands for what executes a page: its only cell shows a result, then `ends` is raised."""

    interrupted = False
    folders = ()

    def __init__(self, page, ends):
        self.page = page
        self.ends = ends

    def execute(self):
        output = nbformat.v4.new_output("stream", text="a result")
        self.page.notebook.cells[0].outputs = [output]
        if self.ends:
            raise self.ends


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """Write a lesson that ends as it is told to; gives what to call for that."""
    cell = nbformat.v4.new_code_cell("1 + 1")
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "notebooks/00_toy.ipynb")
    monkeypatch.setattr(pages, "NOTEBOOKS", tmp_path / "notebooks")

    def run(ends=None, **options):
        monkeypatch.setattr(pages.Page, "client", lambda page, kind: Client(page, ends))
        return headless.run("00_toy", **options)

    return run


def shown_in(page):
    return [output.text for output in nbformat.read(page, 4).cells[0].outputs]


FAILED = CellExecutionError("", "ImportError", "libcudart.so.12: cannot open")


@pytest.mark.parametrize(
    "ends",
    [UnicodeEncodeError("cp949", "½", 0, 1, "no such letter"), KeyboardInterrupt(), FAILED],
    ids=lambda error: type(error).__name__,
)
def test_whatever_ends_a_run_its_page_is_saved(ends, lesson, tmp_path):
    with contextlib.suppress(type(ends)):
        lesson(ends)
    assert shown_in(tmp_path / "outputs/00_toy/smoke/00_toy.ipynb") == ["a result"]


def test_a_page_that_its_folder_does_not_take_is_saved_elsewhere(
    lesson, tmp_path, monkeypatch, capsys
):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "a file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert lesson(FAILED) == 1
    said = capsys.readouterr().err
    assert "smoke cannot be written to: " in said
    assert "libcudart.so.12: cannot open" in said
    elsewhere = re.search(r"The executed page is in (.*)\.", said)[1]
    assert shown_in(f"{elsewhere}/00_toy.ipynb") == ["a result"]


def test_a_run_ends_with_its_own_error_where_tensorflow_does_not_load(
    lesson, tmp_path, monkeypatch, capsys
):
    monkeypatch.delenv("PRESET")
    monkeypatch.setitem(sys.modules, "utils.runtime", None)
    monkeypatch.delattr("utils.runtime")
    assert lesson(FAILED) == 1
    assert "libcudart.so.12: cannot open" in capsys.readouterr().err
    assert shown_in(tmp_path / "outputs/00_toy/quick/00_toy.ipynb") == ["a result"]


def test_a_report_that_fails_hides_no_error(lesson, tmp_path, capsys):
    (tmp_path / "outputs/00_toy/smoke").mkdir(parents=True)
    (tmp_path / "outputs/00_toy/smoke/metrics.json").write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="Expecting property name"):
        lesson(FAILED)
    assert "libcudart.so.12: cannot open" in capsys.readouterr().err


def test_a_full_disk_leaves_the_page_of_a_lesson_whole(lesson, tmp_path, monkeypatch):
    page = tmp_path / "notebooks" / "00_toy.ipynb"
    before = page.read_bytes()

    def write(notebook, path):
        path.write_text("{", encoding="utf-8")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pages.nbformat, "write", write)
    with pytest.raises(OSError, match="No space left"):
        pages.Page("00_toy").save()
    assert page.read_bytes() == before
    assert list(page.parent.iterdir()) == [page]


def test_a_reader_who_goes_away_ends_nothing(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    client = headless._Headless(nbformat.v4.new_notebook())
    client._print("a line")


def test_pages_are_saved_where_the_kernel_trained(lesson, tmp_path, monkeypatch):
    monkeypatch.setattr(Client, "folders", (str(tmp_path / "elsewhere" / "00_toy" / "quick"),))
    assert lesson() == 0
    assert shown_in(tmp_path / "elsewhere/00_toy/quick/00_toy.ipynb") == ["a result"]


# Options that change while a page runs


@pytest.fixture
def started(in_float32, capsys):
    runtime.start(1)
    capsys.readouterr()


def test_a_preset_that_changes_within_a_page_is_set_aside(started, monkeypatch, capsys):
    monkeypatch.setenv("PRESET", "long")
    assert runtime.pick(smoke=1, quick=2, long=3, paper=4) == 1
    said = capsys.readouterr().out
    assert said == "PRESET=long is ignored: set it above runtime.start, and run from there.\n"
    assert runtime.facts()["preset"] == "smoke"
    assert not capsys.readouterr().out
    monkeypatch.setenv("PRESET", "long")
    runtime.start(1)
    assert runtime.preset() == "long"


def test_a_run_stays_in_one_place_when_output_dir_changes(started, tmp_path, monkeypatch, capsys):
    trainer = toy.make()
    toy.fit(trainer, 1)
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "other"))
    toy.fit(trainer, 2)
    assert f"OUTPUT_DIR={tmp_path / 'other'} is ignored" in capsys.readouterr().out
    assert trainer.folder == tmp_path / "outputs/toy/smoke"
    assert [row["round"] for row in trainer.history] == [1, 2]
    assert not (tmp_path / "other").exists()
    monkeypatch.setenv("OUTPUT_DIR", str(tmp_path / "other"))
    runtime.start(1)
    toy.fit(toy.make(), 1)
    assert (tmp_path / "other/toy/smoke/rounds/round-00001.npz").exists()


def test_a_relative_output_dir_stays_where_it_was(in_float32, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTPUT_DIR", "here")
    runtime.start(1)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    trainer = toy.make()
    toy.fit(trainer, 1)
    assert trainer.folder == tmp_path / "here/toy/smoke"


# Letters


@pytest.fixture
def korean(tmp_path, monkeypatch):
    """A font that has 한 alone, as a filled square, under a name that is looked for."""
    builder = fontTools.fontBuilder.FontBuilder(1000)
    pen = fontTools.pens.ttGlyphPen.TTGlyphPen(None)
    for corner in (0, 0), (0, 800), (800, 800), (800, 0):
        (pen.lineTo if pen.points else pen.moveTo)(corner)
    pen.closePath()
    square = pen.glyph()
    builder.setupGlyphOrder([".notdef", "han"])
    builder.setupCharacterMap({ord("한"): "han"})
    builder.setupGlyf({".notdef": square, "han": square})
    builder.setupHorizontalMetrics({".notdef": (900, 0), "han": (900, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "NanumGothic", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.save(tmp_path / "font.ttf")
    fonts = font_manager.fontManager
    monkeypatch.setattr(fonts, "ttflist", list(fonts.ttflist))
    monkeypatch.setitem(plt.rcParams, "font.family", plt.rcParams["font.family"])
    fonts.addfont(tmp_path / "font.ttf")
    importlib.reload(images)
    yield
    monkeypatch.undo()
    importlib.reload(images)


def strip(caption):
    """Return the strip of text below a picture."""
    return images.frame(np.zeros((20, 60), "uint8"), caption)[20:]


def test_a_caption_takes_a_font_that_has_its_letters(korean):
    square = strip("한")
    assert (square == 255).sum() > 40  # all of it is filled
    assert (strip("한한") == 255).sum() == 2 * (square == 255).sum()


def test_a_caption_without_a_font_stays_as_it_is(korean):
    before = strip("a 가")  # this font lacks it
    assert before.shape == (16, 60)
    assert before.any()


def test_captions_in_ascii_are_what_they_were():
    font = ImageFont.load_default(10)
    assert images._font_of("MNIST, step 1,000", 10).getname() == font.getname()
    assert images._font_of("½ of 2 × 3", 10).getname() == ("DejaVu Sans", "Book")


def test_titles_take_letters_that_their_font_lacks(korean, recwarn):
    figure = plt.figure(figsize=(2, 1))
    figure.suptitle("step 1: 한")
    figure.canvas.draw()
    plt.close(figure)
    assert not [w for w in recwarn if "missing from" in str(w.message)]


# A network that does not answer


@pytest.fixture
def silent(monkeypatch):
    """An address that accepts and never answers."""
    for name in "DATA_DIR", "no_proxy", "NO_PROXY":
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # it remembers proxies
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("way", ["server", "proxy", "proxy of https"])
def test_a_server_or_proxy_that_never_answers_is_given_up(way, silent, monkeypatch):
    url = f"{silent}/nowhere.bin"
    if way != "server":
        scheme = "https" if "https" in way else "http"
        monkeypatch.setenv(f"{scheme}_proxy", silent)
        url = f"{scheme}://nowhere.example/nowhere.bin"
    began = time.monotonic()
    with pytest.raises(sources.UnavailableError, match=r"nowhere\.bin: .*timed out"):
        sources.download("nowhere.bin", [url], lambda path: None, timeout=0.2)
    assert time.monotonic() - began < 5
    assert socket.getdefaulttimeout() is None


def test_a_user_without_a_home_can_download(silent, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(sources.Path, "home", no_home)
    with pytest.raises(sources.UnavailableError, match="timed out"):
        sources.download("nowhere.bin", [f"{silent}/nowhere.bin"], lambda path: None, timeout=0.2)


# Files are read and written in one encoding


def text_files_without_encoding(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = getattr(getattr(node, "func", None), "attr", getattr(node, "func", None))
        name = getattr(name, "id", name)
        if name not in ("read_text", "write_text", "open"):
            continue
        values = [a.value for a in node.args if isinstance(a, ast.Constant)]
        is_binary = any(isinstance(v, str) and re.fullmatch("[rwxa]b[+]?", v) for v in values)
        is_module = ast.unparse(node.func).split(".")[0] in OPENERS
        if not is_binary and not is_module and "encoding" not in [k.arg for k in node.keywords]:
            yield f"{path.name}, line {node.lineno}"


# Of other things than text files.
OPENERS = {"Image", "iio", "os", "tarfile", "webbrowser", "browser", "lab", "trainer"}


def test_every_text_file_is_opened_as_utf_8():
    folders = "utils", "tools", "benchmarks", "tests"
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert not [place for path in files for place in text_files_without_encoding(path)]
