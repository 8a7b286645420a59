"""Reads lessons: their cells, and the functions and networks that a page defines."""

import ast
import types
from pathlib import Path

import nbformat

from tools import exercises

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
PARTS = ("generator", "discriminator", "g_optimizer", "d_optimizer", "rng")
CYCLEGAN_NETWORKS = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")
CYCLEGAN_PARTS = (*CYCLEGAN_NETWORKS, "g_optimizer", "d_optimizer", "pool_a", "pool_b", "rng")
CYCLEGAN_NAMES = {*CYCLEGAN_PARTS, "schedule", "g_variables", "d_variables"}


def cells(lesson, kind="code"):
    notebook = nbformat.read(NOTEBOOKS / f"{lesson}.ipynb", as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def definitions(lesson, names, changes=(), **given):
    """Execute a page's imports, functions, constants and the assignments to `names`.

    `changes` are pairs of texts: the first, which the page holds once, becomes the second.
    What is `given` is there from the start.
    Nothing is shown, downloaded or trained. Returns the module that holds the result.
    """
    source = "\n".join(cell.source for cell in cells(lesson)[1:])
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)

    def wanted(node):
        if isinstance(node, ast.Assign):
            found = {n.id for n in ast.walk(node.targets[0]) if isinstance(n, ast.Name)}
            return found & set(names) or any(n.isupper() and len(n) > 1 for n in found)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return getattr(node.value.func, "attr", "") == "build"
        return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)

    tree = ast.parse(source)
    tree.body = [node for node in tree.body if wanted(node)]
    module = types.ModuleType(f"page_{lesson}")
    vars(module).update(given)
    exercises.execute(source, f"<{lesson}>", module.__dict__, tree)
    return module
