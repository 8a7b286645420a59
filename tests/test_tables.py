"""Tables of results."""

import pytest

from utils import tables


def test_a_table_is_markdown_that_is_aligned():
    text = tables.markdown(["", "score", "seconds"], [["lesson 01", 11, "1.5"], ["02", "3", ""]])
    assert text.splitlines() == [
        "|           | score | seconds |",
        "| --------- | ----: | ------: |",
        "| lesson 01 |    11 |     1.5 |",
        "| 02        |     3 |         |",
    ]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="zip"):
        tables.markdown(["", "score"], [["lesson 01"]])


def test_it_is_printed_where_there_is_no_notebook(capsys):
    tables.show(["name", "n"], [["a", 1]])
    assert capsys.readouterr().out.startswith("| name |")


def test_a_notebook_gets_a_real_table(monkeypatch):
    shown = []
    monkeypatch.setattr(tables, "get_ipython", lambda: type("Shell", (), {"kernel": 1}))
    monkeypatch.setattr(tables.display, "display", lambda data, raw: shown.append((data, raw)))
    tables.show(["name", "n"], [["a", 1]])
    text = tables.markdown(["name", "n"], [["a", 1]])
    assert shown == [({"text/plain": text, "text/markdown": text}, True)]
