"""A copy of a lesson in which the reader writes the losses and the step, and a test that answers.

    make student LESSON=02_dcgan

writes notebooks/student_02_dcgan.ipynb: no outputs, the functions below without their bodies, and
under each such cell a call of `check`, which compares what was written with the lesson's own.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import nbformat
import numpy as np

from tools import pages

LOSSES = ("discriminator_loss", "generator_loss")
STARS = {
    "01_gan": (*LOSSES, "train_step"),
    "02_dcgan": (*LOSSES, "train_step"),
    "04_lsgan": LOSSES,
    "05_wgan_gp": ("critic_loss", "generator_loss", "gradient_penalty", "train_step"),
    "06_cgan": (*LOSSES, "train_step"),
    "07_cyclegan": (*LOSSES, "train_step"),
}


def write(lesson: str, folder: Path = pages.NOTEBOOKS) -> Path:
    """Write the copy and return its path.

    Raises:
        ValueError: the lesson has nothing to write.
        FileExistsError: there is a copy already, which may hold somebody's work.
    """
    if lesson not in STARS:
        raise ValueError(f"LESSON={lesson!r} has no copy to fill in. Known: {', '.join(STARS)}.")
    path = folder / f"student_{lesson}.ipynb"
    if path.exists():
        raise FileExistsError(f"{path.name} is there already. Rename or delete it first.")
    page = pages.Page(lesson)
    cells = []
    for cell in page.notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code":
            cell.outputs = []
            cell.execution_count = None
            names = [n.name for n in _functions(cell.source) if n.name in STARS[lesson]]
            cell.source = _without_bodies(cell.source, names)
            if names:
                quoted = ", ".join(f'"{name}"' for name in names)
                call = f'student.check("{lesson}", globals(), {quoted})'
                cells.append(nbformat.v4.new_code_cell(f"from tools import student\n\n{call}"))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    page.notebook.cells = cells
    page.save(path)
    return path


def check(lesson: str, page: dict[str, Any], *names: str) -> None:
    """Print for each function whether it does what the lesson's does, or what differs.

    A loss is tried on eight logits, and a penalty on eight points and a network whose slope
    changes from point to point, with the page's constants and with others. A step makes one
    update, which is taken back, from where the networks stand now.

    Args:
        lesson: the lesson's name.
        page: `globals()` of the copy.
        *names: of the functions.
    """
    for name in names:
        try:
            words = (_compare_steps if name.endswith("_step") else _compare_losses)(
                page[name], _original(lesson, name, page), page
            )
        except NotImplementedError:
            words = "still to be written"
        except Exception as error:  # whatever a reader's function does
            words = f"{type(error).__name__}: {error}"
        print(f"{name}: {words or 'right'}")


def _functions(source: str) -> list[ast.FunctionDef]:
    return [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


def _without_bodies(source: str, names: list[str]) -> str:
    """Replace the bodies of functions with a line that raises."""
    lines = source.splitlines()
    for node in reversed([n for n in _functions(source) if n.name in names]):
        body = f'    raise NotImplementedError("write {node.name}")'
        lines[node.body[0].lineno - 1 : node.end_lineno] = [body]
    return "\n".join(lines)


def _original(lesson: str, name: str, page: dict[str, Any]) -> Any:
    """Return the lesson's function, over the networks of the copy."""
    for cell in pages.Page(lesson).code:
        for node in _functions(cell.source):
            if node.name == name:
                space = dict(page)
                exec(ast.get_source_segment(cell.source, node), space)
                return space[name]
    raise ValueError(f"{lesson} has no function {name}.")


def _compare_losses(written: Any, original: Any, page: dict[str, Any]) -> str:
    """Compare as the constants are, then with others: targets that are equal hide a swap."""
    written = inspect.unwrap(written)  # tf.function keeps constants as they were
    words = _compare_values(written, original)
    used = inspect.getclosurevars(original).globals.items()
    names = sorted(k for k, v in used if k.isupper() and isinstance(v, int | float))
    if words or not names:
        return words
    others = {name: 0.3 + 0.5 * i for i, name in enumerate(names)}
    kept = []
    try:
        for loss in original, written:
            space = getattr(loss, "__globals__", page)
            kept.append((space, {k: space[k] for k in names if k in space}))
            space.update({k: others[k] for k in names if k in space})
        words = _compare_values(written, original)
    finally:
        for space, values in kept:
            space.update(values)
    where = ", ".join(f"{name} = {value:.1f}" for name, value in others.items())
    return f"right for these constants, but with {where} {words}" if words else ""


def _compare_values(written: Any, original: Any) -> str:
    import tensorflow as tf

    arguments = [
        _half_square
        if name == "network"
        else tf.random.stateless_normal((8, 1), (1, i), stddev=2.0)
        for i, name in enumerate(inspect.signature(original).parameters)
    ]
    found, expected = written(*arguments), float(original(*arguments))
    if found is None:
        return "returns nothing"
    if tf.rank(found):
        return (
            f"returns numbers of shape {tuple(tf.shape(found).numpy().tolist())}, a mean is wanted"
        )
    if abs(float(found) - expected) > 1e-4 * max(1.0, abs(expected)):
        return f"{float(found):.4f} where the lesson's gives {expected:.4f}"
    return ""


def _half_square(x: Any, training: bool) -> Any:
    """Answer as a critic whose gradient at x is x."""
    return x**2 / 2


def _compare_steps(written: Any, original: Any, page: dict[str, Any]) -> str:
    import keras
    import tensorflow as tf

    kinds = keras.Model, keras.optimizers.Optimizer, tf.Module
    parts = {n: p.variables for n, p in page.items() if isinstance(p, kinds)}
    generators = {n: p for n, p in page.items() if isinstance(p, tf.random.Generator)}
    parts |= {n: [p.state] for n, p in generators.items()}
    batch = next(iter(page["dataset"].from_step(0)))
    start, ends = _values(parts), []
    for step in original, written:
        try:
            results = step(batch)
            ends.append(_values(parts))
        finally:
            for name, variables in parts.items():
                for variable, value in zip(variables, start[name], strict=True):
                    variable.assign(value)
    if not isinstance(results, dict):
        return "return a dictionary of scalars, as in the lesson"
    same = lambda a, b: all(  # noqa: E731
        np.allclose(x, y, rtol=1e-3, atol=1e-5) for x, y in zip(a, b, strict=True)
    )
    wrong = [name for name in parts if not same(ends[0][name], ends[1][name])]
    return f"after one update, different from the lesson's: {', '.join(wrong)}" if wrong else ""


def _values(parts: dict[str, list]) -> dict[str, list[np.ndarray]]:
    return {name: [np.array(v) for v in variables] for name, variables in parts.items()}
