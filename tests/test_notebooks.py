"""Outline, budgets and manners of every lesson.

What a page may do differently stands in its metadata, under `lesson`:
    outline      "own": the headings between Setup and Results are its own
    photographs  true: its saved outputs show photographs, which take more room
    pictures     "jpeg": they are saved as JPEG
    saved        "quick": its outputs are of this preset, because its record is being trained
"""

import ast
import base64
import json
import re

import pytest

from tools import pages
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
    "Remember",
    "Try it",
    "References",
]
LIMITS = {  # at most
    "cells": 60,
    "lines of code": 260,
    "lines a cell": 30,
    "characters a line": 88,
    "words a cell": 120,
    "words": 2600,
    "bytes of outputs": 700_000,
    "bytes with photographs": 2_500_000,
}
METADATA = {"kernelspec", "language_info", "lesson"}
CELL_METADATA = {"jupyter", "collapsed", "tags"}  # what is folded; what tools look for
pytestmark = pytest.mark.parametrize("lesson", pages.lessons())


def texts(lesson):
    return pages.Page(lesson).texts


def sizes(page):
    """Count what LIMITS limits."""
    sources = [cell.source for cell in page.code]
    lines = [line for source in sources for line in source.splitlines()]
    lines = [line for line in lines if line.strip() and not line.strip().startswith("#")]
    words = [len(text.split()) for text in page.texts]
    photographs = page.facts.get("photographs")
    outputs = "bytes with photographs" if photographs else "bytes of outputs"
    return {
        "cells": len(page.notebook.cells),
        "lines of code": len(lines),
        "lines a cell": max(len(source.splitlines()) for source in sources),
        "characters a line": max(map(len, lines)),
        "words a cell": max(words),
        "words": sum(words),
        outputs: sum(len(json.dumps(cell.outputs)) for cell in page.code),
    }


def test_outline(lesson):
    page = pages.Page(lesson)
    title, *found = re.findall(r"^##? .+", "\n".join(page.texts), re.MULTILINE)
    assert title.startswith(f"# {lesson[:2]} · ")
    expected = OUTLINE
    if page.facts.get("outline") == "own":
        results = expected.index("Results")
        found = found[:2] + found[results - len(expected) :]
        expected = expected[:2] + expected[results:]
    assert len(found) == len(expected)
    for heading, pattern in zip(found, expected, strict=True):
        assert re.fullmatch(f"## ({pattern})", heading)


def test_title_cell(lesson):
    title = texts(lesson)[0]
    for part in "**Paper:**", "**Data:**", "**Builds on:**", "**Time:**", "![":
        assert part in title


def test_budgets(lesson):
    page = pages.Page(lesson)
    found = sizes(page)
    assert {k: v for k, v in found.items() if v > LIMITS[k]} == {}


def test_saved_outputs(lesson):
    page = pages.Page(lesson)
    code = page.code
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    text = json.dumps(outputs)
    assert "STAND-IN" not in text
    preset = page.facts.get("saved", "long")
    assert f"Preset:    {preset} " in text
    if preset != "long":
        assert f"The saved page is from `{preset}`" in page.texts[0]


def test_metadata_are_those_that_stay(lesson):
    notebook = pages.Page(lesson).notebook
    assert set(notebook.metadata) <= METADATA
    assert notebook.metadata["language_info"] == {"name": "python"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= CELL_METADATA
        assert not any("panel" in output.get("metadata", {}) for output in cell.get("outputs", ()))


def test_shapes_and_parameters_are_checked_outputs(lesson):
    checked = [c.source for c in pages.Page(lesson).code if "# NBVAL_CHECK_OUTPUT" in c.source]
    assert any("summary(" in source for source in checked)


def test_every_figure_of_data_names_the_data(lesson):
    """So that nobody takes a stand-in's result for the real one."""
    for cell in pages.Page(lesson).code:
        for node in ast.walk(ast.parse(cell.source)):
            call = ast.unparse(node) if isinstance(node, ast.Call) else ""
            if re.match(r"(images\.show|panel\.plot)\(", call) and not re.search(
                "untrained|textures", call
            ):
                named = r"title=(f'\{(title|dataset\.name)\}|title\b|dataset\.name|crops\.name)"
                assert re.search(named, call), call
            if call.startswith("images.save_png("):  # a Trainer's frames say it themselves
                assert re.search(r"caption=(dataset|crops)\.name", call), call


def test_names_and_imports(lesson):
    source = "\n".join(cell.source for cell in pages.Page(lesson).code)
    assert "tf.keras" not in source
    assert "@tf.function" not in source
    assert "!" not in re.sub(r"!\[|!=", "", "\n".join(texts(lesson)))


def test_first_cell_is_the_same_everywhere(lesson):
    assert pages.Page(lesson).code[0].source == pages.Page(pages.lessons()[0]).code[0].source


def test_links_inside_the_project_resolve(lesson):
    for target in re.findall(r"\]\((?!http)([^)#]+)", "\n".join(texts(lesson))):
        assert (pages.NOTEBOOKS / target).exists(), target


def test_lesson_stands_in_the_readme(lesson):
    assert f"notebooks/{lesson}.ipynb" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_saved_drawing_is_that_of_the_file(lesson):
    """A page shows its drawing as it was when the page was saved; the file may be newer."""
    drawing = f"{lesson[:2]}.png"
    holders = [cell for cell in pages.Page(lesson).code if f'"{drawing}"' in cell.source]
    for cell in holders:
        saved = [output.data["image/png"] for output in cell.outputs]
        file = pages.NOTEBOOKS / "drawings" / drawing
        assert [base64.b64decode(image) for image in saved] == [file.read_bytes()]
    assert bool(holders) == (pages.NOTEBOOKS / "drawings" / drawing).exists()
