"""A lesson run with a change: its own folder, what is shown, and changes that fit nowhere."""

import pytest

from tools import exercises

LESSON = "01_gan"


def test_a_changed_lesson_trains_beside_the_unchanged_one(capsys, monkeypatch, in_float32):
    monkeypatch.setenv("STANDIN", "always")
    change, skip = ("PIECES = 5", "PIECES = 1"), ("D on {name} digits",)
    found = exercises.run(LESSON, change, show=("metrics.table",), skip=skip)
    shown = capsys.readouterr().out
    assert "Fréchet distance" in shown
    assert "parameters" not in shown  # what other cells print
    assert "kinds" not in found
    assert found["PIECES"] == 1
    assert found["discriminator"].count_params() < 1_231_441 / 2
    assert found["trainer"].constants["PIECES"] == 1
    assert len(found["trainer"].history) == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((("PIECES = 6", "PIECES = 1"),), "'PIECES = 6' stands in 0 cells of 01_gan"),
        ((("import", "export"),), "'import' stands in"),
    ],
)
def test_a_change_that_fits_nowhere_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        exercises.run(LESSON, *change)


def test_a_cell_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="show or skip: 'nothing' stands nowhere in 01_gan"):
        exercises.run(LESSON, show=("nothing",))
