"""A lesson's page as an object: read it, change it, execute it, save it.

The one way for all who do: tests, benchmarks, the solutions in notebooks/solutions/, student
copies, `make run`. Imports nothing heavy, so that a wrong name is refused at once.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import linecache
import os
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat

from utils.options import ROOT

if TYPE_CHECKING:
    from nbclient import NotebookClient

NOTEBOOKS = ROOT / "notebooks"
# What the Trainers of lessons on digits, and of lesson 07, are made of.
PARTS = ("generator", "discriminator", "g_optimizer", "d_optimizer", "rng")
CYCLEGAN_NETWORKS = ("generator_ab", "generator_ba", "discriminator_a", "discriminator_b")
CYCLEGAN_PARTS = (*CYCLEGAN_NETWORKS, "g_optimizer", "d_optimizer", "pool_a", "pool_b", "rng")
# Metadata that change from run to run. The hook in .pre-commit-config.yaml removes the same.
VOLATILE_OF_PAGE = ("widgets", "signature")
VOLATILE_OF_LANGUAGE = (
    "version",
    "codemirror_mode",
    "file_extension",
    "mimetype",
    "nbconvert_exporter",
    "pygments_lexer",
)
VOLATILE_OF_CELL = ("execution", "ExecuteTime", "scrolled")
JPEG_FROM = 60_000  # bytes of a picture, in pages whose metadata say `pictures: jpeg`


def lessons() -> list[str]:
    """Return the names of the lessons, in order."""
    return sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def trained() -> list[str]:
    """Return the names of the lessons that train, in order."""
    return [name for name in lessons() if "training.Trainer(" in str(Page(name).code)]


class Page:
    """A page of a lesson or of its solutions, or a copy of one.

    Changes are made to this object; the file stays as it is until `save`.

    Args:
        page: the name of a lesson, or the path of a file.
    """

    def __init__(self, page: str | Path) -> None:
        self.path = Path(page) if Path(page).suffix else NOTEBOOKS / f"{page}.ipynb"
        self.lesson = self.path.stem
        self.notebook = nbformat.read(self.path, as_version=4)

    @property
    def code(self) -> list[nbformat.NotebookNode]:
        """The cells of code; the first finds the project or fetches it (Colab)."""
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    @property
    def texts(self) -> list[str]:
        """The sources of the cells of text."""
        return [cell.source for cell in self.notebook.cells if cell.cell_type == "markdown"]

    @property
    def facts(self) -> dict[str, Any]:
        """What the page's metadata say under `lesson`, such as its exceptions to the outline."""
        return self.notebook.metadata.get("lesson", {})

    def change(self, old: str, new: str) -> None:
        """Exchange a text that stands in one place of the code, below its first cell.

        Raises:
            ValueError: it stands nowhere, or in two places.
        """
        holders = [cell for cell in self.code[1:] if old in cell.source]
        if len(holders) != 1 or holders[0].source.count(old) != 1:
            raise ValueError(
                f"{old!r} stands in {len(holders)} cells of {self.lesson}: name one place."
            )
        holders[0].source = holders[0].source.replace(old, new)

    def set(self, **values: Any) -> None:
        """Give constants other values; comments beside them stay.

        Raises:
            ValueError: the page has no line `NAME = ...`, or two.
        """
        for name, value in values.items():
            found = [(cell, span) for cell in self.code for span in _values_of(cell.source, name)]
            if len(found) != 1:
                raise ValueError(f"{name} is assigned in {len(found)} lines of {self.lesson}.")
            cell, (start, end) = found[0]
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
            cell.source = cell.source[:start] + text + cell.source[end:]

    def drop(self, *texts: str) -> None:
        """Leave out the cells of code that hold one of these texts.

        Raises:
            ValueError: a text stands nowhere.
        """
        left_out = [id(cell) for text in texts for cell in self._holders(text)]
        self.notebook.cells = [x for x in self.notebook.cells if id(x) not in left_out]

    def execute(
        self,
        names: dict[str, Any],
        until: Sequence[str] = (),
        show: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Execute the cells of code in this process; the first one has nothing to do here.

        Args:
            names: what the cells may use. They add what they make, as to `globals()`.
            until: texts; what follows the last cell that holds one of them is left out.
            show: texts; only what a cell that holds one of them displays is shown. None: all.

        Returns:
            The names.

        Raises:
            ValueError: a text stands nowhere.
        """
        names.setdefault("__name__", "__main__")
        shown = [id(cell) for text in show or () for cell in self._holders(text)]
        last = [id(cell) for text in until for cell in self._holders(text)]
        cells = self.code[1:]
        end = max((i for i, cell in enumerate(cells, start=1) if id(cell) in last), default=None)
        for number, cell in enumerate(cells[:end], start=2):
            file = f"<{self.lesson}, cell {number}>"
            if show is None:
                _execute(cell.source, file, names)
            else:
                _execute_captured(cell.source, file, names, id(cell) in shown)
        return names

    def definitions(self, *names: str, **given: Any) -> types.ModuleType:
        """Execute imports, functions, constants, and what makes these names; nothing else.

        So nothing is shown, downloaded or trained. Seeds are set where the page sets them.

        Args:
            *names: of networks, optimizers and so on; all that they are made of is made too.
            **given: what is there from the start, and is not made.

        Returns:
            A module that holds the result.
        """
        source = "\n".join(cell.source for cell in self.code[1:])
        tree = ast.parse(source)
        wanted = _needed(tree, set(names), set(given))
        tree.body = [node for node in tree.body if _defines(node, wanted, set(given))]
        module = types.ModuleType(f"page_{self.lesson}")
        vars(module).update(given)
        _execute(source, f"<{self.lesson}>", vars(module), tree)
        return module

    def client(self, kind: type[NotebookClient] | None = None) -> NotebookClient:
        """Return what executes the whole page in a kernel of its own; outputs go to its cells.

        Its `execute(env=...)` does so, in `notebooks/`.

        Args:
            kind: a kind of NotebookClient, for what shall happen meanwhile.
        """
        if kind is None:
            from nbclient import NotebookClient as kind
        resources = {"metadata": {"path": str(NOTEBOOKS)}}
        made = kind(self.notebook, timeout=None, coalesce_streams=True, resources=resources)
        made.extra_arguments = ["--log-level=40"]  # newer kernels warn about their transport
        return made

    def clean(self) -> None:
        """Remove the metadata that change from run to run; all others stay.

        Pictures become JPEG where the page's metadata say so: many faces are large as PNG.
        """
        metadata = self.notebook.metadata
        for name in VOLATILE_OF_PAGE:
            metadata.pop(name, None)
        for name in VOLATILE_OF_LANGUAGE:
            metadata.get("language_info", {}).pop(name, None)
        for cell in self.notebook.cells:
            for name in VOLATILE_OF_CELL:
                cell.metadata.pop(name, None)
            for output in cell.get("outputs", ()):
                output.get("metadata", {}).pop("panel", None)
                if self.facts.get("pictures") == "jpeg":
                    _to_jpeg(output.get("data", {}))

    def save(self, path: Path | None = None) -> None:
        """Write the page to a file, whole or not at all; without a path to its own."""
        path = path or self.path
        temporary = path.with_name(path.name + ".saving")
        try:
            nbformat.write(self.notebook, temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)  # of no use where the disk is full

    def _holders(self, text: str) -> list[nbformat.NotebookNode]:
        found = [cell for cell in self.code[1:] if text in cell.source]
        if not found:
            raise ValueError(f"{text!r} stands nowhere in the code of {self.lesson}.")
        return found


def run(
    lesson: str,
    *changes: tuple[str, str],
    show: tuple[str, ...] = (),
    skip: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Execute a lesson's cells in this kernel, changed, and show what some of them display.

    Trains in a folder of its own, as a lesson changed by hand does. What follows the last cell
    that is shown is left out.

    Args:
        lesson: its name.
        *changes: (text that stands in one place of the lesson's code, what takes its place).
        show: texts; what a cell that holds one of them displays is shown.
        skip: texts; a cell that holds one of them is left out.

    Returns:
        The lesson's names, as `globals()` has them then.

    Raises:
        ValueError: a text stands nowhere, or is to be changed and stands in two places.
    """
    page = Page(lesson)
    for old, new in changes:
        page.change(old, new)
    page.drop(*skip)
    return page.execute({}, until=show, show=show)


def _execute(source: str, file: str, names: dict[str, Any], tree: ast.Module | None = None) -> None:
    """Execute source, or what is left of it in a tree; errors and `inspect` find its lines."""
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    exec(compile(tree or source, file, "exec"), names)


def _execute_captured(source: str, file: str, names: dict[str, Any], shown: bool) -> None:
    """Execute a cell and keep back what it displays, figures too, or show it at the end."""
    import matplotlib.pyplot as plt
    from IPython.core import displaypub
    from IPython.utils import capture

    # A page's ipywidgets call it, and what captures has none.
    displaypub.CapturingDisplayPublisher.set_parent = lambda self, parent: None
    with capture.capture_output() as displayed:
        _execute(source, file, names)
        if plt.get_fignums():
            plt.show()  # as a cell does at its end
    if shown:
        displayed.show()


def _to_jpeg(data: dict[str, str]) -> None:
    """Make the pictures of an output JPEG, but for small ones, such as drawings."""
    from PIL import Image

    png = base64.b64decode(data.get("image/png", ""))
    if len(png) > JPEG_FROM:
        file = io.BytesIO()
        picture = Image.open(io.BytesIO(png)).convert("RGB")
        picture.save(file, "JPEG", quality=85, subsampling=0)
        del data["image/png"]
        data["image/jpeg"] = base64.b64encode(file.getvalue()).decode() + "\n"


def _assigned(node: ast.stmt) -> set[str]:
    """Return the names that a statement gives values to."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    found = [n for target in targets if target is not None for n in ast.walk(target)]
    return {n.id for n in found if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _used(node: ast.stmt) -> set[str]:
    """Return the names that a statement takes from the page: not its own variables, arguments."""
    within = list(ast.walk(node))
    own = {n.arg for n in within if isinstance(n, ast.arg)}
    names = [n for n in within if isinstance(n, ast.Name)]
    own |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
    return {n.id for n in names} - own


def _prepares(node: ast.stmt) -> str:
    """Return the X of a line `X.build(...)`, "" for another line."""
    call = node.value if isinstance(node, ast.Expr) else None
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        return call.func.value.id if ast.unparse(call.func).endswith(".build") else ""
    return ""


def _needed(tree: ast.Module, names: set[str], given: set[str]) -> set[str]:
    """Return the names, and all that is used to make them, but what is given."""
    needed, waiting = set(), names - given
    while waiting:
        name = waiting.pop()
        needed.add(name)
        for node in tree.body:
            if name in _assigned(node) | {_prepares(node)}:
                waiting |= _used(node) - needed - given
    return needed


def _defines(node: ast.stmt, wanted: set[str], given: set[str]) -> bool:
    """Tell whether a statement belongs to the definitions of a page."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef):
        return True
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        made = _assigned(node) - given
        return bool(made & wanted) or any(name.isupper() and len(name) > 1 for name in made)
    is_seed = isinstance(node, ast.Expr) and "set_random_seed(" in ast.unparse(node)
    return is_seed or _prepares(node) in wanted


def _values_of(source: str, name: str) -> list[tuple[int, int]]:
    """Return where, in a cell's source, the values of lines `name = ...` begin and end."""
    lines = source.splitlines(keepends=True)
    starts = [sum(map(len, lines[:i])) for i in range(len(lines))]

    def place(line: int, column: int) -> int:  # columns are counted in bytes
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    found = []
    for node in ast.parse(source).body if name in source else ():
        if isinstance(node, ast.Assign) and [ast.unparse(x) for x in node.targets] == [name]:
            value = node.value
            ends = (value.lineno, value.col_offset), (value.end_lineno, value.end_col_offset)
            found.append(tuple(place(*end) for end in ends))
    return found
