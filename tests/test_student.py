"""The copy to fill in: what it lacks, and what its test answers."""

import keras
import nbformat
import pytest
import tensorflow as tf

from tests import toy
from tools import pages, project, student


@pytest.mark.parametrize("lesson", student.STARS)
def test_the_copy_lacks_what_is_to_be_written(lesson, tmp_path):
    copy = nbformat.read(student.write(lesson, tmp_path), as_version=4)
    nbformat.validate(copy)
    code = [cell for cell in copy.cells if cell.cell_type == "code"]
    assert not any(cell.outputs for cell in code)
    text = "\n".join(cell.source for cell in code)
    compile(text, lesson, "exec")
    for name in student.STARS[lesson]:
        assert text.count(f'raise NotImplementedError("write {name}")') == 1
    original = pages.Page(lesson).code
    checks = [c for c in code if "student.check(" in c.source]
    assert checks
    assert len(code) == len(original) + len(checks)


def test_the_copy_keeps_what_is_folded_and_what_the_page_says(tmp_path, monkeypatch):
    folded = {"jupyter": {"source_hidden": True}, "tags": ["long"]}
    page = pages.Page("04_lsgan")
    page.notebook.metadata["lesson"] = {"edition": 3}
    page.code[1].metadata |= folded
    page.save(tmp_path / "04_lsgan.ipynb")
    monkeypatch.setattr(pages, "NOTEBOOKS", tmp_path)
    copy = pages.Page(student.write("04_lsgan", tmp_path))
    assert copy.facts == {"edition": 3}
    assert copy.code[1].metadata == folded


def test_somebodys_work_is_not_written_over(tmp_path):
    student.write("04_lsgan", tmp_path)
    with pytest.raises(FileExistsError, match=r"student_04_lsgan\.ipynb is there already"):
        student.write("04_lsgan", tmp_path)


def test_the_command_says_how_to_open_the_copy(monkeypatch, capsys):
    monkeypatch.setattr(student, "write", lambda lesson: project.ROOT / f"student_{lesson}.ipynb")
    assert project.main(["student", "04_lsgan"]) == 0
    assert "make lab LESSON=student_04_lsgan\n" in capsys.readouterr().out


def test_a_lesson_without_a_copy_is_named(capsys):
    assert project.main(["student", "03_latent_space"]) == 2
    assert "has no copy to fill in. Known: 01_gan, " in capsys.readouterr().err


@pytest.fixture
def page():
    """The names of lesson 02's page, as they are when its step is checked."""
    keras.utils.set_random_seed(1)
    lesson = pages.Page("02_dcgan")
    lesson.set(BATCH_SIZE=8)
    return vars(lesson.definitions("train_step")) | {"dataset": toy.data()}


def answers(page, capsys, lesson="02_dcgan", **written):
    capsys.readouterr()
    student.check(lesson, page | written, *written)
    return capsys.readouterr().out


def test_what_the_lesson_has_is_right(page, capsys):
    before = [v.numpy() for v in page["generator"].variables]
    said = answers(page, capsys, **{name: page[name] for name in student.STARS["02_dcgan"]})
    assert said == "discriminator_loss: right\ngenerator_loss: right\ntrain_step: right\n"
    after = [v.numpy() for v in page["generator"].variables]
    assert all((x == y).all() for x, y in zip(before, after, strict=True))  # it is taken back


def test_what_is_wrong_is_said(page, capsys):
    def unwritten(real):
        raise NotImplementedError("write it")

    def of_generator_only(real):
        z = page["rng"].normal((8, page["LATENT_DIM"]))
        with tf.GradientTape() as tape:
            logits = page["discriminator"](page["generator"](z, training=True), training=True)
            loss = page["generator_loss"](logits)
        variables = page["generator"].trainable_variables
        page["g_optimizer"].apply(tape.gradient(loss, variables), variables)
        return {"g_loss": loss}

    flat = lambda x: -page["cross_entropy"](tf.zeros_like(x), x)  # noqa: E731
    assert "generator_loss: -" in answers(page, capsys, generator_loss=flat)
    each = lambda x: tf.nn.softplus(-x)  # noqa: E731
    assert "returns numbers of shape (8, 1)" in answers(page, capsys, generator_loss=each)
    nothing = lambda x: None  # noqa: E731
    assert "returns nothing" in answers(page, capsys, generator_loss=nothing)
    assert "still to be written" in answers(page, capsys, train_step=unwritten)
    said = answers(page, capsys, train_step=of_generator_only)
    assert "different from the lesson's: " in said
    assert "discriminator" in said
    wrong = lambda real: 1 / 0  # noqa: E731
    assert "train_step: ZeroDivisionError" in answers(page, capsys, train_step=wrong)


def test_a_penalty_is_compared_with_the_alpha_of_each_point(capsys):
    page = vars(pages.Page("05_wgan_gp").definitions("gradient_penalty"))
    right = page["gradient_penalty"]
    assert answers(page, capsys, "05_wgan_gp", gradient_penalty=right).endswith(": right\n")
    swapped = lambda network, real, fake, alpha: right(network, fake, real, alpha)  # noqa: E731
    first = lambda network, real, fake, alpha: right(network, real, fake, alpha[:1])  # noqa: E731
    for wrong in swapped, first:
        assert "the lesson's gives" in answers(page, capsys, "05_wgan_gp", gradient_penalty=wrong)


def test_targets_that_are_exchanged_are_told_though_they_are_equal(capsys):
    page = vars(pages.Page("04_lsgan").definitions(*student.LOSSES))
    targets = {name: page[name] for name in "ABC"}
    right = {name: page[name] for name in student.LOSSES}
    compiled = tf.function(page["generator_loss"])
    said = answers(page, capsys, "04_lsgan", **right)
    assert said == "discriminator_loss: right\ngenerator_loss: right\n"

    source = """
def discriminator_loss(real_logits, fake_logits):
    real_loss = tf.reduce_mean(tf.square(real_logits - C)) / 2
    return real_loss + tf.reduce_mean(tf.square(fake_logits - A)) / 2


def generator_loss(fake_logits):
    return tf.reduce_mean(tf.square(fake_logits - B)) / 2
"""
    exec(source, page)
    exchanged = {name: page[name] for name in student.LOSSES}
    said = answers(page, capsys, "04_lsgan", **exchanged)
    assert "discriminator_loss: right for these constants, but with A = 0.3, B = 0.8 " in said
    assert "generator_loss: right for these constants, but with C = 0.3 " in said
    said = answers(page, capsys, "04_lsgan", generator_loss=compiled)
    assert said == "generator_loss: right\n"
    assert targets == {name: page[name] for name in "ABC"}  # they are set back
