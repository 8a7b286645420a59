"""Form of the solutions: each lesson has them, for each of its exercises, in the same words."""

import json
import re

import nbformat
import pytest

from tests import pages

pytestmark = pytest.mark.parametrize("lesson", pages.LESSONS)


def solution(lesson):
    return nbformat.read(pages.NOTEBOOKS / "solutions" / f"{lesson}.ipynb", as_version=4)


def sources(cells, kind):
    return [cell.source for cell in cells if cell.cell_type == kind]


def test_each_exercise_has_its_answer(lesson):
    tasks = next(t for t in pages.cells(lesson, "markdown") if t.source.startswith("## Try it"))
    exercises = re.findall(r"^\d\. (.+)$", tasks.source, re.MULTILINE)
    page = "\n".join(sources(solution(lesson).cells, "markdown"))
    assert re.findall(r"^## (\d) · .+$\n+> (.+)$", page, re.MULTILINE) == [
        (str(number), text) for number, text in enumerate(exercises, start=1)
    ]
    assert "!" not in re.sub(r"!\[|!=", "", page)


def test_solutions_are_saved_with_what_they_show_or_say_so(lesson):
    code = [cell for cell in solution(lesson).cells if cell.cell_type == "code"]
    assert code[0].source == pages.cells(lesson)[0].source
    assert max(len(line) for cell in code for line in cell.source.splitlines()) <= 88
    outputs = [output for cell in code for output in cell.outputs]
    if "saved without what it shows" in solution(lesson).cells[0].source:
        assert not outputs
        return
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    text = json.dumps(outputs)
    assert 0 < len(text) <= 1_500_000
    assert "STAND-IN" not in text


def test_links_resolve(lesson):
    text = "\n".join(sources(solution(lesson).cells, "markdown"))
    assert f"](../{lesson}.ipynb)" in text
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (pages.NOTEBOOKS / "solutions" / target).exists(), target
