"""Outline, budgets and manners of every lesson, and the size of the house."""

import ast
import json
import re

import pytest

from tests import pages
from utils.options import ROOT

OUTLINE = [
    "Idea",
    "Setup",
    "Data",
    "Generator",
    "Discriminator|Critic",
    "Losses",
    "Training step",
    "Training",
    "Results",
    "Try it",
    "References",
]
OWN_MIDDLE = ("03_latent_space",)
PHOTOGRAPHS = ("07_cyclegan", "08_stargan", "09_srgan", "10_pggan")
pytestmark = pytest.mark.parametrize("lesson", pages.LESSONS)


def texts(lesson):
    return [cell.source for cell in pages.cells(lesson, "markdown")]


def lines_of_code(lesson):
    lines = [line for cell in pages.cells(lesson) for line in cell.source.splitlines()]
    return [line for line in lines if line.strip() and not line.strip().startswith("#")]


def test_outline(lesson):
    title, *headings = re.findall(r"^##? .+", "\n".join(texts(lesson)), re.MULTILINE)
    assert title.startswith(f"# {lesson[:2]} · ")
    expected = OUTLINE[:2] + OUTLINE[-3:] if lesson in OWN_MIDDLE else OUTLINE
    found = headings[:2] + headings[-3:] if lesson in OWN_MIDDLE else headings
    assert len(found) == len(expected)
    for heading, pattern in zip(found, expected, strict=True):
        assert re.fullmatch(f"## ({pattern})", heading)


def test_title_cell(lesson):
    title = texts(lesson)[0]
    for part in "**Paper:**", "**Data:**", "**Builds on:**", "**Time:**", "![":
        assert part in title


def test_budgets(lesson):
    code = pages.cells(lesson)
    words = [len(text.split()) for text in texts(lesson)]
    lines = lines_of_code(lesson)
    assert len(code) + len(words) <= 40
    assert len(lines) <= 200
    assert max(len(cell.source.splitlines()) for cell in code) <= 30
    assert max(len(line) for line in lines) <= 88
    assert 3 <= sum(words) / len(lines) <= 8
    assert max(words) <= 180


def test_saved_outputs(lesson):
    code = pages.cells(lesson)
    size = sum(len(json.dumps(cell.outputs)) for cell in code)
    assert 0 < size <= (1_500_000 if lesson in PHOTOGRAPHS else 500_000)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    text = json.dumps(outputs)
    assert "STAND-IN" not in text
    assert "Preset:    long" in text


def test_no_volatile_metadata(lesson):
    path = pages.NOTEBOOKS / f"{lesson}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert all(cell["metadata"] == {} for cell in notebook["cells"])


def test_shapes_and_parameters_are_checked_outputs(lesson):
    checked = [c.source for c in pages.cells(lesson) if "# NBVAL_CHECK_OUTPUT" in c.source]
    assert any("summary(" in source for source in checked)


def test_every_figure_of_data_names_the_data(lesson):
    """So that nobody takes a stand-in's result for the real one."""
    for cell in pages.cells(lesson):
        for node in ast.walk(ast.parse(cell.source)):
            call = ast.unparse(node) if isinstance(node, ast.Call) else ""
            if re.match(r"(images\.show|monitor\.plot)\(", call) and not re.search(
                "untrained|textures", call
            ):
                named = r"title=(f'\{(title|dataset\.name)\}|title\b|dataset\.name|crops\.name)"
                assert re.search(named, call), call
            if call.startswith("images.save_") and "game.frames" not in call:  # not the toy
                assert re.search(r"caption=dataset\.name|steps|captions", call), call


def test_names_and_imports(lesson):
    source = "\n".join(cell.source for cell in pages.cells(lesson))
    assert "tf.keras" not in source
    assert "@tf.function" not in source
    assert "!" not in re.sub(r"!\[|!=", "", "\n".join(texts(lesson)))


def test_first_cell_is_the_same_everywhere(lesson):
    assert pages.cells(lesson)[0].source == pages.cells(pages.LESSONS[0])[0].source


def test_links_inside_the_project_resolve(lesson):
    for target in re.findall(r"\]\((?!http)([^)#]+)", "\n".join(texts(lesson))):
        assert (pages.NOTEBOOKS / target).exists(), target


def test_lesson_stands_in_the_readme(lesson):
    assert f"notebooks/{lesson}.ipynb" in (ROOT / "README.md").read_text(encoding="utf-8")


def lines_of(path):
    """Count lines of code: not docstrings, comments and blank lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = ast.Module | ast.FunctionDef | ast.ClassDef
    strings = [
        node.body[0]
        for node in ast.walk(tree)
        if isinstance(node, kinds) and ast.get_docstring(node) is not None
    ]
    texts = {n for string in strings for n in range(string.lineno, string.end_lineno + 1)}
    lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
    return sum(1 for n, line in lines if n not in texts and line.strip() and line.strip()[0] != "#")


def test_the_house_stays_small(lesson):
    sizes = {path.name: lines_of(path) for path in (ROOT / "utils").glob("*.py")}
    assert sum(sizes.values()) <= 1950
    assert max(sizes.values()) <= 210, sizes
