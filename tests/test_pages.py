"""A page as an object: changed, executed in part, saved; no tool loses its metadata."""

import base64
import json
import re
import shlex
import subprocess
import sys

import imageio.v3 as iio
import nbformat
import numpy as np
import pytest

from tools import pages
from utils.options import ROOT

FIRST = 'ADDRESS = ""\nraise RuntimeError("this cell has nothing to do in this process")'
CONSTANTS = """import math

RATE = max(
    1.0, 2.0
)  # für alle; SEED = 5
NAME = "ä"; SEED = 1  # decides
"""
FUNCTIONS = """def doubled(x):
    data = [name for name in [weight]]  # of their own, not the page's
    return 2 * x * data[0]


weight = unit * RATE
network = doubled(SEED)
"""
SHOWN = """print("made", network)
data = fetched  # not there
"""
FOLDED = {"jupyter": {"source_hidden": True, "outputs_hidden": True}, "tags": ["long"]}


@pytest.fixture
def page(tmp_path, monkeypatch):
    """A page in place of the real ones, with metadata that stay and others that do not."""
    monkeypatch.setattr(pages, "NOTEBOOKS", tmp_path)
    sources = FIRST, CONSTANTS, "unit = 1.0  # a half", FUNCTIONS, SHOWN, "print('the end')"
    cells = [nbformat.v4.new_code_cell(source, execution_count=1) for source in sources]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 00 · Title"), *cells])
    book.metadata |= {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "version": "3.11.1", "pygments_lexer": "ipython3"},
        "lesson": {"outline": "own", "edition": 3},
        "widgets": {"state": {}},
    }
    for cell in book.cells:
        cell.metadata |= FOLDED | {"collapsed": True, "execution": {"iopub.execute_input": "now"}}
        cell.metadata |= {"scrolled": True, "ExecuteTime": {"start_time": "now"}}
    panel = {"panel": {"ends_round": True, "folder": "x"}}
    cells[1].outputs = [nbformat.v4.new_output("display_data", {}, metadata=panel)]
    nbformat.write(book, tmp_path / "00_page.ipynb")
    return pages.Page("00_page")


def test_a_text_is_changed_where_it_stands_once(page):
    page.change("SEED = 1", "SEED = 3")
    assert "SEED = 3  # decides" in page.code[1].source
    for text, number in ("nothing", 0), ("print(", 2), ("x", 2), ("ADDRESS", 0):
        with pytest.raises(ValueError, match=rf"stands in {number} cells of 00_page: name one"):
            page.change(text, "")


def test_constants_take_other_values_and_keep_their_comments(page):
    page.set(RATE=0.5, SEED=7, NAME="ö", ADDRESS="there")
    assert page.code[1].source == (
        'import math\n\nRATE = 0.5  # für alle; SEED = 5\nNAME = "ö"; SEED = 7  # decides\n'
    )
    assert page.code[0].source.startswith('ADDRESS = "there"\n')
    with pytest.raises(ValueError, match="WIDTH is assigned in 0 lines of 00_page"):
        page.set(WIDTH=1)


def test_definitions_are_made_and_nothing_else(page, capsys):
    found = page.definitions("network")
    assert (found.network, found.RATE, found.NAME) == (4.0, 2.0, "ä")
    assert not hasattr(found, "data")
    assert capsys.readouterr().out == ""
    found = page.definitions()
    assert not hasattr(found, "network")
    assert not hasattr(found, "weight")
    found = page.definitions("network", weight=10, SEED=2)  # these are given, not made
    assert (found.network, found.SEED) == (40, 2)
    assert not hasattr(found, "unit")


def test_it_is_executed_up_to_a_text_and_without_others(page, capsys):
    page.drop("a half")
    names = page.execute({"fetched": 5, "unit": 1.0}, until=["made"])
    assert capsys.readouterr().out == "made 4.0\n"
    assert (names["data"], names["__name__"]) == (5, "__main__")
    with pytest.raises(ValueError, match="'a half' stands nowhere in the code of 00_page"):
        page.execute({}, until=["a half"])
    with pytest.raises(NameError, match="fetched"):
        page.execute({"unit": 1.0})


def test_a_changed_lesson_shows_what_is_asked_for(page, capsys):
    found = pages.run("00_page", ("SEED = 1", "SEED = 2"), ("= fetched", "= 3"), show=("made",))
    assert capsys.readouterr().out == "made 8.0\n"
    assert found["data"] == 3
    names = pages.run("00_page", ("= fetched", "= 3"), show=("the end",))
    assert capsys.readouterr().out == "the end\n"
    assert names["network"] == 4.0
    pages.run("00_page", skip=("made",))  # nothing is asked for
    assert capsys.readouterr().out == ""
    for wrong in {"show": ("nothing",)}, {"skip": ("nothing",)}:
        with pytest.raises(ValueError, match="'nothing' stands nowhere in the code of 00_page"):
            pages.run("00_page", **wrong)
    with pytest.raises(ValueError, match="'SEED = 9' stands in 0 cells of 00_page"):
        pages.run("00_page", ("SEED = 9", ""))


def test_an_error_shows_the_line_of_the_page(page):
    page.change("2 * x * data[0]", "1 / 0")
    with pytest.raises(ZeroDivisionError) as error:
        page.execute({})
    assert "return 1 / 0" in str(error.getrepr())


def stays(page):
    assert page.facts == {"outline": "own", "edition": 3}
    for cell in page.notebook.cells:
        assert cell.metadata == FOLDED | {"collapsed": True}
    assert page.notebook.metadata["language_info"] == {"name": "python"}
    assert set(page.notebook.metadata) == {"kernelspec", "language_info", "lesson"}


def test_cleaning_removes_what_changes_from_run_to_run(page):
    page.clean()
    page.save()
    stays(pages.Page("00_page"))
    assert page.code[1].outputs[0].metadata == {}
    assert all(cell.execution_count == 1 for cell in page.code)


def test_large_pictures_become_jpeg_where_the_page_says_so(page):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3)).astype("uint8")
    large, small = (
        base64.b64encode(iio.imwrite("<bytes>", x, extension=".png")).decode()
        for x in (noise, noise[:9])
    )
    for content in large, small:
        output = nbformat.v4.new_output("display_data", {"image/png": content})
        page.code[1].outputs = [output]
        page.clean()
        assert output.data == {"image/png": content}  # nothing is said
    page.notebook.metadata["lesson"] = {"pictures": "jpeg"}
    page.clean()
    assert output.data == {"image/png": small}
    output.data = {"image/png": large}
    page.clean()
    (content,) = output.data.values()
    found = iio.imread(base64.b64decode(output.data["image/jpeg"]))
    assert found.shape == noise.shape
    assert len(content) < len(large)


def test_the_hook_removes_the_same(page):
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    command = shlex.split(re.search(r"entry: \S+python (-m nbstripout.*)", text)[1])
    subprocess.run([sys.executable, *command, str(page.path)], check=True)
    found = pages.Page("00_page")
    stays(found)
    assert all(cell.execution_count == 1 for cell in found.code)
    assert found.code[1].outputs


def test_what_is_saved_is_what_was_read():
    for path in sorted(ROOT.glob("notebooks/**/*.ipynb")):
        text = path.read_text(encoding="utf-8")
        written = nbformat.writes(pages.Page(path).notebook) + "\n"
        assert written == text, path
        assert json.loads(text)["nbformat"] == 4


def test_a_lessons_step_is_made_without_its_data():
    found = pages.Page("02_dcgan").definitions("train_step")
    assert found.generator.count_params() > 0
    assert not {"dataset", "real", "test", "trainer", "z"} & set(vars(found))
