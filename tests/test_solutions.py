"""Form of the solutions: each lesson has them, for each of its exercises, in the same words."""

import json
import re

import pytest

from tools import pages

pytestmark = pytest.mark.parametrize("lesson", pages.lessons())


def solution(lesson):
    return pages.Page(pages.NOTEBOOKS / "solutions" / f"{lesson}.ipynb")


def test_each_exercise_has_its_answer(lesson):
    tasks = next(text for text in pages.Page(lesson).texts if text.startswith("## Try it"))
    exercises = re.findall(r"^\d\. (.+)$", tasks, re.MULTILINE)
    page = "\n".join(solution(lesson).texts)
    assert re.findall(r"^## (\d) · .+$\n+> (.+)$", page, re.MULTILINE) == [
        (str(number), text) for number, text in enumerate(exercises, start=1)
    ]
    assert "!" not in re.sub(r"!\[|!=", "", page)


def test_solutions_are_saved_with_what_they_show_or_say_so(lesson):
    code = solution(lesson).code
    assert code[0].source == pages.Page(lesson).code[0].source
    assert max(len(line) for cell in code for line in cell.source.splitlines()) <= 88
    outputs = [output for cell in code for output in cell.outputs]
    if "saved without what it shows" in solution(lesson).texts[0]:
        assert not outputs
        return
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    text = json.dumps(outputs)
    assert 0 < len(text) <= 1_500_000
    assert "STAND-IN" not in text


def test_links_resolve(lesson):
    text = "\n".join(solution(lesson).texts)
    assert f"](../{lesson}.ipynb)" in text
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (pages.NOTEBOOKS / "solutions" / target).exists(), target
