"""What a person types: make run, its errors and interrupts, nbval on a broken lesson, Colab."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import venv

import nbformat
import pytest

from tests import toy
from tools import headless, pages, project
from utils import device, options, photographs, runtime
from utils.options import ROOT
from utils.topics import cyclegan, pairs, superresolution

TOY_LESSON = """
from tests import toy
from utils import panel, runtime
runtime.start(1)
trainer = toy.make(lesson="00_toy")
panel.EVERY = 0
toy.fit(trainer, ROUNDS)
"""
WRONG_NAME = pytest.mark.fault(
    "wrong lesson, preset or option",
    "refused at once; lists the known ones",
    lost="nothing",
)


def notebook(*sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title"), *cells])


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """Write a lesson of its own in place of the real ones; its output goes to `toy`."""
    folder = tmp_path / "note books"
    folder.mkdir()
    monkeypatch.setattr(pages, "NOTEBOOKS", folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "script.py").write_text(
        "import sys\nfrom pathlib import Path\nfrom tools import headless, pages\n"
        f"pages.NOTEBOOKS = Path({str(folder)!r})\nsys.exit(headless.run('00_toy'))\n",
        encoding="utf-8",
    )

    def write(*sources):
        nbformat.write(notebook(*sources), folder / "00_toy.ipynb")
        return [sys.executable, str(tmp_path / "script.py")]

    return write


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Run a lesson once, with folders relative to where the command is typed.

    It is saved in its page, and its picture in the gallery. Gives the home of all folders, and
    what was printed.
    """
    home = tmp_path_factory.mktemp("home")
    for name in "note books", "typed/data", "project/outputs/gallery":
        (home / name).mkdir(parents=True)
    book = notebook(
        TOY_LESSON.replace("ROUNDS", "2"),
        "import os\nprint(os.environ['DATA_DIR'])",
        "(trainer.folder / 'training_small.gif').write_bytes(b'a picture')\n"
        "from utils import tables\ntables.show(['', 'score'], [['best', '5.3 ×']])",
    )
    book.metadata |= {"lesson": {"outline": "own"}, "widgets": {}}
    book.cells[1].metadata |= {"jupyter": {"source_hidden": True}, "tags": ["long"]}
    nbformat.write(book, home / "note books" / "00_toy.ipynb")
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(pages, "NOTEBOOKS", home / "note books")
        patch.setattr(headless, "ROOT", home / "project")
        patch.chdir(home / "typed")
        for name in "PRECISION", "RESTART", "STANDIN":
            patch.delenv(name, raising=False)
        for name, value in {"PYTHONPATH": ROOT, "OUTPUT_DIR": "here", "DATA_DIR": "data"}.items():
            patch.setenv(name, str(value))
        assert headless.run("00_toy", "smoke", to_page=True) == 0
    return home, printed.getvalue()


def test_run_streams_progress_and_lists_what_it_left(finished):
    home, out = finished
    assert re.search(r"round 1/2 · .* left · d_loss .* g_loss .* D\(x\) ", out)
    assert "round 2/2" in out
    folder = home / "typed" / "here" / "00_toy" / "smoke"
    for name in "00_toy.ipynb", "history.csv", "metrics.json":
        assert name in out
        assert (folder / name).exists()
    assert "\n| best | 5.3 × |\n" in out  # a table, as in the page
    assert "noise: done, 2 of 2 rounds" in out
    executed = nbformat.read(folder / "00_toy.ipynb", 4)
    panels = [o for o in executed.cells[1].outputs if o.output_type == "display_data"]
    assert len(panels) == 1
    assert len(json.dumps(panels)) < 50_000


def test_relative_folders_are_relative_to_where_the_command_was_typed(finished):
    home, out = finished
    assert f"\n{(home / 'typed' / 'data').resolve()}\n" in out
    assert (home / "typed/here/00_toy/smoke/history.csv").exists()


def test_a_page_is_saved_with_outputs_and_counts_and_nothing_volatile(finished):
    page = nbformat.read(finished[0] / "note books" / "00_toy.ipynb", 4)
    code = page.cells[1:]
    assert [cell.execution_count for cell in code] == [1, 2, 3]
    assert code[1].outputs[0].text.endswith("data\n")
    assert all(not o.get("metadata") for cell in code for o in cell.outputs)
    assert page.metadata["language_info"] == {"name": "python"}
    assert page.metadata["lesson"] == {"outline": "own"}
    assert "widgets" not in page.metadata
    folded = {"jupyter": {"source_hidden": True}, "tags": ["long"]}
    assert [cell.metadata for cell in page.cells] == [{}, folded, {}, {}]


def test_the_gallery_takes_the_picture(finished):
    picture = finished[0] / "project" / "outputs" / "gallery" / "00_toy.gif"
    assert picture.read_bytes() == b"a picture"


def test_a_cell_that_fails_is_shown_and_the_rest_is_saved(lesson, capsys, tmp_path):
    lesson("print('before')", "raise KeyError('on purpose')", "print('never')")
    before = (tmp_path / "note books" / "00_toy.ipynb").read_bytes()
    assert headless.run("00_toy", "smoke", to_page=True) == 1
    captured = capsys.readouterr()
    assert "before" in captured.out
    assert "never" not in captured.out
    assert "KeyError: 'on purpose'" in captured.err
    saved = nbformat.read(tmp_path / "outputs" / "00_toy" / "smoke" / "00_toy.ipynb", 4)
    assert saved.cells[2].outputs[0].ename == "KeyError"
    assert (tmp_path / "note books" / "00_toy.ipynb").read_bytes() == before


@pytest.mark.fault(
    "interrupt of `make run`",
    "says how far it came; goes on",
    lost="the round in progress",
)
def test_an_interrupted_run_says_how_far_it_came_and_goes_on(lesson, tmp_path):
    command = lesson(TOY_LESSON.replace("ROUNDS", "100000"), "print('never')")
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("round 3/"):
            break
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(60) == 130
    done = int(re.search(r"saved up to round (\d+) of 100000", rest)[1])
    assert "never" not in rest
    assert f"interrupted at {done} of 100000" in rest
    metrics = json.loads(
        (tmp_path / "outputs/00_toy/smoke/metrics.json").read_text(encoding="utf-8")
    )
    assert metrics["status"] == f"interrupted at {done} of 100000"
    command = lesson(TOY_LESSON.replace("ROUNDS", str(done + 1)))
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert f"Continuing after round {done} of {done + 1}" in out
    assert f"done, {done + 1} of {done + 1} rounds" in out
    page = nbformat.read(tmp_path / "note books" / "00_toy.ipynb", 4)
    assert not any(cell.outputs for cell in page.cells[1:])  # it stays as it was


def test_an_interrupt_before_the_training_ends_the_run_without_a_traceback(lesson):
    command = lesson("import time\nprint('waits', flush=True)\ntime.sleep(600)", "print('never')")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=ROOT, **pipes)
    while "waits" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "never" not in out
    assert "Traceback" not in err
    assert "A cell failed" not in err


@pytest.mark.fault("kernel killed", "says so; its rounds are there", lost="the round in progress")
def test_a_killed_kernel_leaves_its_rounds(lesson, tmp_path, capsys):
    kill = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    source = TOY_LESSON.replace("ROUNDS", "2")
    lesson(source, kill)
    assert headless.run("00_toy", "smoke") == 1
    assert "DeadKernelError" in (err := capsys.readouterr().err) or "Kernel died" in err
    assert (tmp_path / "outputs/00_toy/smoke/rounds/round-00002.npz").exists()


@WRONG_NAME
@pytest.mark.parametrize(
    ("arguments", "known"),
    [
        (["run", "02_dcgann"], "LESSON='02_dcgann' is not known. Known: .*02_dcgan"),
        (["run", "02_dcgan", "fast"], "PRESET='fast' is not known.*smoke, quick, long, paper"),
    ],
)
def test_unknown_names_list_the_known_ones(arguments, known, capsys, monkeypatch):
    monkeypatch.setenv("PRESET", "smoke")
    assert project.main(arguments) == 2
    assert re.search(known, capsys.readouterr().err)


@WRONG_NAME
@pytest.mark.parametrize("name", options.OPTIONS)
def test_a_wrong_option_is_named(name, monkeypatch):
    monkeypatch.setenv(name, "wrong")
    with pytest.raises(ValueError, match=f"{name}='wrong' is not known. Use one of: "):
        runtime.start(1)


def test_start_says_what_was_decided(monkeypatch, capsys, in_float32):
    monkeypatch.setattr(device, "has_bfloat16_units", lambda: True)
    monkeypatch.setattr(device, "GPUS", [])
    runtime.start(1)
    assert "Precision: float32 in training" in capsys.readouterr().out
    runtime.start(1, mixed_precision=True)
    out = capsys.readouterr().out
    assert "Preset:    smoke (set by PRESET" in out
    assert ", with bfloat16 units" in out
    assert "Precision: bfloat16 in training" in out
    monkeypatch.setenv("PRECISION", "float32")
    monkeypatch.delenv("PRESET")
    runtime.start(1)
    out = capsys.readouterr().out
    assert "quick (the default;" in out
    assert "Precision: float32 in training" in out


def test_a_lesson_broken_on_purpose_fails(tmp_path):
    """A wrong shape, and a cell that raises, as `make test` would run them."""
    book = pages.Page("02_dcgan").notebook
    last = next(i for i, cell in enumerate(book.cells) if "summary(generator)" in cell.source)
    book.cells = book.cells[: last + 1]
    wrong = next(cell for cell in book.cells if "*enlarge(at_8)" in cell.source)
    wrong.source = wrong.source.replace("*enlarge(at_8)", "*enlarge(at_16)")
    raising = nbformat.v4.new_code_cell("raise RuntimeError", execution_count=99)
    book.cells.append(raising)
    nbformat.write(book, tmp_path / "broken.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval-lax", str(tmp_path / "broken.ipynb")]
    result = subprocess.run([*command, "-c", os.devnull], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 1
    assert re.search(r"2 failed", result.stdout), result.stdout[-2000:]


@pytest.fixture
def colab(tmp_path):
    """A Python that has all packages but not this project, as a kernel in an empty folder."""
    home = tmp_path / "colab"
    venv.create(home, with_pip=False, symlinks=True)
    packages = next(home.glob("lib/python3*/site-packages"))
    # Files named in a .pth are read as paths only, so the editable install is not seen.
    here = [p for p in sys.path if p.endswith("-packages")]
    (packages / "host.pth").write_text("\n".join(here), encoding="utf-8")
    kernels = tmp_path / "jupyter" / "kernels" / "colab"
    kernels.mkdir(parents=True)
    argv = [str(home / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": argv, "display_name": "colab", "language": "python"}
    (kernels / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*sources):
        from nbclient import NotebookClient

        client = NotebookClient(
            notebook(*sources),
            kernel_name="colab",
            resources={"metadata": {"path": str(empty)}},
            allow_errors=True,
        )
        environment = os.environ | {"JUPYTER_PATH": str(tmp_path / "jupyter")}
        environment.pop("PYTHONPATH", None)
        os.environ["JUPYTER_PATH"] = environment["JUPYTER_PATH"]
        try:
            client.execute(env=environment)
        finally:
            del os.environ["JUPYTER_PATH"]
        return [cell.outputs for cell in client.nb.cells[1:]]

    return run


def first_cells():
    return [cell.source for cell in pages.Page("02_dcgan").code[:2]]


def test_colab_without_an_address_says_what_to_set(colab):
    first = re.sub(r'ADDRESS = ".*?"', 'ADDRESS = ""', first_cells()[0])
    outputs = colab(first)[0]
    assert outputs[-1].evalue == "Set ADDRESS, above. Found as utils: nothing."


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the project's git history")
def test_colab_clones_the_project_and_goes_on(colab, tmp_path):
    """The first cells in an empty folder, from a local git address; a second run clones no more."""
    first, second = first_cells()
    first = re.sub(r'ADDRESS = ".*?"', f'ADDRESS = "file://{ROOT.resolve()}"', first)
    where = "import utils\nprint(utils.__file__)"
    for cells in (first, second, where), (first, where):
        outputs = colab(*cells)
        errors = [o.evalue for cell in outputs for o in cell if o.output_type == "error"]
        assert not errors
        assert outputs[-1][0].text.strip() == str(tmp_path / "empty/lessons/utils/__init__.py")
        if second in cells:
            assert "Preset:    smoke" in outputs[1][0].text
        (tmp_path / "empty/lessons/kept").touch()
    assert (tmp_path / "empty/lessons/kept").exists()


def test_colab_installs_only_what_is_missing(monkeypatch):
    calls = []

    class Distribution:
        def __init__(self, name, version):
            self.metadata, self.version = {"Name": name}, version

    here = ["tensorflow", "keras", "numpy", "matplotlib", "imageio", "jupyter", "nbclient"]
    here += ["pytest", "filelock", "scipy", "scikit_learn", "scikit-image", "ruff"]
    found = [Distribution(name, "1.2.3") for name in here]
    monkeypatch.setattr(project.importlib.metadata, "distributions", lambda: found)
    monkeypatch.setattr(
        project.subprocess,
        "run",
        lambda command, **_: calls.append(command) or subprocess.CompletedProcess(command, 0),
    )
    assert project.install_missing() == 0
    asked = calls[0][calls[0].index("install") + 1 :]
    assert {re.split(r"[><=]", a)[0] for a in asked if not a.startswith("-")} == {
        "tensorflow-docs",
        "nbval",
        "nbstripout",
        "pytest-xdist",
        "tensorflow",
        "keras",
        "numpy",
    }
    assert "tensorflow==1.2.3" in asked


def test_address_goes_to_cells_badges_readme_and_citation(tmp_path, monkeypatch):
    for name in "notebooks", "README.md", "CITATION.cff", "pyproject.toml":
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    monkeypatch.setattr(project, "ROOT", tmp_path)
    pyproject = tmp_path / "pyproject.toml"
    address = "https://github.com/somebody/gan-lessons"
    text = re.sub(
        r'address = ".*"', f'address = "{address}"', pyproject.read_text(encoding="utf-8")
    )
    pyproject.write_text(text, encoding="utf-8")
    folded = {"jupyter": {"source_hidden": True}, "tags": ["long"]}
    with_metadata = pages.Page(tmp_path / "notebooks" / "04_lsgan.ipynb")
    with_metadata.notebook.metadata["lesson"] = {"outline": "own"}
    with_metadata.code[0].metadata |= folded
    with_metadata.save()
    assert project.address() == 0
    found = pages.Page(with_metadata.path)
    assert (found.facts, found.code[0].metadata) == ({"outline": "own"}, folded)
    before = (ROOT / "notebooks" / "02_dcgan.ipynb").read_text(encoding="utf-8")
    page = tmp_path / "notebooks" / "02_dcgan.ipynb"
    book = nbformat.read(page, 4)
    code = next(cell for cell in book.cells if cell.cell_type == "code")
    assert f'ADDRESS = "{address}"' in code.source
    badge = "(https://colab.research.google.com/github/somebody/gan-lessons/blob/main/notebooks/"
    assert badge in book.cells[0].source
    assert f"git clone {address}" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert f'repository-code: "{address}"' in (tmp_path / "CITATION.cff").read_text(
        encoding="utf-8"
    )
    pyproject.write_text(re.sub(r'address = ".*"', 'address = ""', text), encoding="utf-8")
    project.address()
    assert page.read_text(encoding="utf-8") == before
    assert "somebody" not in (tmp_path / "README.md").read_text(encoding="utf-8")


def test_the_address_stands_everywhere_as_in_pyproject():
    here = project.project_address()
    for lesson in pages.lessons():
        assert f'ADDRESS = "{here}"' in pages.Page(lesson).code[0].source


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"\.PHONY: (.*)", makefile)[1].split()
    command = ["make", "--no-print-directory", "help"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout
    assert [line.split()[0] for line in out.splitlines()] == targets


def test_time_is_not_wasted_on_a_wrong_name():
    """TensorFlow takes seconds to import."""
    script = (
        "import sys\nfrom tools import headless\n"
        "try:\n    headless.run('nothing')\n"
        "except ValueError as error:\n    print(error, 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", script]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "is not known" in out
    assert out.endswith("False\n")


def test_lessons_run_at_the_preset_that_make_test_asks_for():
    """The tests' own environment once leaked into the lessons, which then trained for minutes."""
    script = (
        "import os\nos.environ.update(PRESET='smoke', OUTPUT_DIR='kept', STANDIN='always')\n"
        "before = dict(os.environ)\nimport tests.conftest\n"
        "changed = {k for k in before if os.environ.get(k) != before[k]}\n"
        "changed |= os.environ.keys() & {'KERAS_HOME'} - before.keys()\nprint(sorted(changed))"
    )
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.fault("wrong argument", "refused at once; says what to take", lost="nothing")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: toy.fit(toy.make(), 0), "rounds=0: take a whole number, 1 or more"),
        (lambda: toy.fit(toy.make(), 1, steps=2.5), r"steps_per_round=2\.5: take"),
        (lambda: toy.fit(toy.make(), 1, score_every=0), "score_every=0: take"),
        (lambda: cyclegan.ImagePool(0, (4, 4, 3), None), "size=0: take"),
        (lambda: superresolution.crops(0), "size=0: take"),
        (lambda: superresolution.crops(96, 0), "batch_size=0: take"),
        (lambda: pairs.horse2zebra(15), "image_size=15: take a whole number, 16 or more"),
        (lambda: photographs.load("nowhere.png", -1), "size=-1: take"),
    ],
)
def test_wrong_arguments_are_named_at_once(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.fault("wrong argument", "refused at once; says what to take", lost="nothing")
@pytest.mark.parametrize(
    ("typed", "usage"),
    [
        (["student"], "student LESSON"),
        (["record", ""], "record FOLDER"),
        (["record", "a", "b"], "record FOLDER"),
        (["run", "02_dcgan", "smoke", "more"], "run [LESSON] [PRESET]"),
        (["address", "here"], "address"),
        (["install-missing", "here"], "install-missing"),
    ],
    ids=lambda words: "-".join(words) if isinstance(words, list) else "",
)
def test_a_command_says_which_names_it_takes(typed, usage, capsys):
    assert project.main(typed) == 2
    assert capsys.readouterr().err == f"Error: usage: python -m tools.project {usage}\n"


def test_a_command_that_fails_within_shows_where(monkeypatch):
    def student():
        raise TypeError("of its own")

    monkeypatch.setattr(project, "student", student)
    with pytest.raises(TypeError, match="of its own"):
        project.main(["student"])


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("benchmarks/*.md")), ids=lambda p: p.name
)
def test_links_in_the_documents_resolve(path):
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", text):
        assert (path.parent / target).exists(), target
        assert not anchor or target or anchor in anchors, anchor


def test_a_page_of_several_trainings_is_saved_with_its_own():
    """Lesson 01 trains a second time, for its collapse, and lesson 09 has a stage before."""
    first, second, other = "out/01_gan/long", "out/01_gan_collapse/long", "out/09_srresnet/quick"
    assert headless.own_folder([first, first, second, second], "01_gan") == first
    assert headless.own_folder([other, "out/09_srgan/quick"], "09_srgan") == "out/09_srgan/quick"
    assert headless.own_folder([other], "09_srgan") == other  # stopped in its first stage
    assert headless.own_folder([], "03_latent_space") == ""
