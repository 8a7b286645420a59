"""Pages of the site that are made from the project's texts: what Sphinx reads."""

from __future__ import annotations

import posixpath
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import nbformat

from tools import pages
from tools.site import pictures, widgets
from tools.site.links import INDEX, Links
from utils.options import ROOT

TEXTS = "README.md", "docs/guide.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/RESULTS.md"
SOLUTIONS = f"notebooks/solutions/{INDEX}"
ORPHAN = "---\norphan: true\n---\n\n"  # in no table of contents
# A row of README's table of lessons: number, title and file.
_LESSON = re.compile(r"^\| (\d\d) \| \[([^\]]+)\]\(([^)]+)\.ipynb\)", re.MULTILINE)
LANGUAGES = {".py": "python", ".sh": "bash", ".toml": "toml", ".yml": "yaml", ".cff": "yaml"}


class Texts:
    """Writes what Sphinx reads, and the files that stand beside its pages.

    Args:
        source: the folder that Sphinx will read. It gets the shape of the repository.
        site: the folder of the finished site, for pictures and notebooks.
        address: the project's address at its code host, "" where it has none.
    """

    def __init__(self, source: Path, site: Path, address: str = "") -> None:
        self.source = source
        self.site = site
        self.notebooks = sorted(
            path.relative_to(ROOT).as_posix()
            for folder in (pages.NOTEBOOKS, pages.NOTEBOOKS / "solutions")
            for path in folder.glob("[0-9][0-9]_*.ipynb")
        )
        self.links = Links({*self.notebooks, *TEXTS, INDEX, SOLUTIONS}, address)
        self.alternatives = alternatives()
        self.written: set[Path] = set()

    def write(self) -> None:
        """Write all pages.

        Raises:
            ValueError: a link to a file that does not exist, a damaged picture, or a widget whose
                place is not found.
        """
        for name in self.notebooks:
            self._notebook(name)
        for name in TEXTS:
            text = (ROOT / name).read_text(encoding="utf-8")
            if name == "README.md":  # the first page has its title
                text = re.sub(r"\A# .*", "# The project", text)
            self._text(name, text)
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        template = (ROOT / "docs" / INDEX).read_text(encoding="utf-8")
        self._text(INDEX, filled(template, readme))
        self._text(SOLUTIONS, self._solutions())
        for name in sorted(self.links.shown):
            self._save(f"{name}.md", shown(name))
        for path in set(self.source.rglob("*")) - self.written:
            if path.is_file():
                path.unlink()  # of a page that is no longer there

    def _notebook(self, name: str) -> None:
        """Write a page of a lesson or of its solutions."""
        page = pages.Page(ROOT / name)
        notebook = page.notebook
        folder = posixpath.join(posixpath.dirname(name), "pictures", page.lesson)
        shutil.rmtree(self.site / folder, ignore_errors=True)
        words = self.alternatives.get(name.removeprefix("notebooks/").removesuffix(".ipynb"), {})
        found = pictures.Pictures(self.site / folder, f"pictures/{page.lesson}/", words)
        pictures.drop_unshown(notebook)
        self._outputs(name, notebook)
        found.take_out(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                show = self._shower(name, found, cell)
                cell.source = self.links.change(cell.source, name, show)
                cell.pop("attachments", None)
            elif folded(cell):
                cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
        if name == f"notebooks/{page.lesson}.ipynb":
            widgets.insert(page.lesson, notebook, lambda *args: self._picture("", name, *args))
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(offered(page)))
        notebook.metadata.pop("widgets", None)
        self._save(name, nbformat.writes(notebook))
        pictures.write(self.site / name, page.path.read_bytes())

    def _outputs(self, name: str, notebook: nbformat.NotebookNode) -> None:
        """Change the links in a page's outputs."""
        for cell in notebook.cells:
            for output in cell.get("outputs", ()):
                html = "".join(output.get("data", {}).get("text/html", ""))
                if html:
                    output.data["text/html"] = self.links.change_html(html, name)

    def _text(self, name: str, text: str) -> None:
        """Write a page of Markdown."""
        self._save(name, self.links.change(text, name, self._shower(name)))

    def _shower(
        self,
        name: str,
        found: pictures.Pictures | None = None,
        cell: nbformat.NotebookNode | None = None,
    ) -> Callable[[str, str], str]:
        """Return what writes the pictures of a text: see `Links.change`."""

        def show(target: str, alternative: str) -> str:
            if found is not None and target.startswith("attachment:"):
                return found.attachment(cell, target.removeprefix("attachment:"), alternative)
            if found is not None and target.startswith("data:"):
                return found.embedded(target, alternative)
            return self._picture(posixpath.dirname(name), name, target, alternative)

        return show

    def _picture(self, base: str, page: str, target: str, alternative: str) -> str:
        """Copy a picture of the project to the site, and return the HTML that shows it.

        Args:
            base: the folder that `target` starts from, "" for the root of the project.
            page: the file that shows it.
            target: the picture's path.
            alternative: what is read where it cannot be seen.
        """
        path = posixpath.normpath(posixpath.join(base, target))
        if not (ROOT / path).is_file():
            raise ValueError(f"{page} shows {target}, and there is no such file.")
        data = (ROOT / path).read_bytes()
        pictures.write(self.site / path, data)
        address = posixpath.relpath(path, posixpath.dirname(page) or ".")
        return pictures.tag(address, alternative, data)

    def _solutions(self) -> str:
        """Return the page of all solutions."""
        names = [Path(name).stem for name in self.notebooks if "/solutions/" in name]
        return (
            "# Solutions\n\nA page for each lesson: its exercises, and what comes out.\n\n"
            "```{toctree}\n:maxdepth: 1\n\n" + "\n".join(names) + "\n```\n"
        )

    def _save(self, name: str, text: str) -> None:
        path = self.source / name
        pictures.write(path, text)
        self.written.add(path)


def alternatives() -> dict[str, dict[str, list[str]]]:
    """Read what the pictures of pages show: page, a text of a cell, an entry a picture."""
    with (ROOT / "docs" / "alternatives.toml").open("rb") as file:
        given = tomllib.load(file)
    return {
        page: {text: [shows] if isinstance(shows, str) else shows for text, shows in cells.items()}
        for page, cells in given.items()
    }


def folded(cell: nbformat.NotebookNode) -> bool:
    """Tell whether the code of a cell is hidden until a reader asks for it."""
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
    return hidden or cell.source.startswith("ADDRESS = ")


def offered(page: pages.Page) -> str:
    """Return the lines that offer a page's notebook and its widgets."""
    name = page.path.name
    text = f'<a href="{name}" download>Download this page as a notebook</a>'
    found = widgets.links(page.lesson) if page.path.parent == pages.NOTEBOOKS else ""
    return f'<p class="download">{text}{found and f"<br>In your browser: {found}"}</p>'


def section(text: str, heading: str) -> str:
    """Return a section of a text with its heading; "" means all before the first one.

    Raises:
        ValueError: there is no such section.
    """
    parts = re.split(r"^(?=## )", text, flags=re.MULTILINE)
    if not heading:
        return parts[0].strip()
    for part in parts[1:]:
        if part.splitlines()[0] == f"## {heading}":
            return part.strip()
    raise ValueError(f"README.md has no section {heading!r}, which docs/{INDEX} asks for.")


def filled(template: str, readme: str) -> str:
    """Return the site's first page: its template with what stands in README."""
    rows = _LESSON.findall(readme)
    if not rows:
        raise ValueError("README.md has no table of lessons.")
    lessons = "\n".join(f"{number} · {title} <{path}>" for number, title, path in rows)
    names = dict.fromkeys(widget.lesson for widget in widgets.TABLE)
    places = [
        f"- Lesson {name[:2]}: {widgets.links(name, f'notebooks/{name}.html')}" for name in names
    ]
    text = re.sub(r"<!-- README: *(.*?) *-->", lambda found: section(readme, found[1]), template)
    text = text.replace("<!-- lessons -->", lessons)
    return text.replace("<!-- widgets -->", "\n".join(places))


def shown(name: str) -> str:
    """Return the page of a file whose text is shown as it is."""
    text = (ROOT / name).read_text(encoding="utf-8")
    longest = max((len(marks) for marks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    language = LANGUAGES.get(Path(name).suffix, "text")
    return f"{ORPHAN}# {name}\n\nA file of the project.\n\n{fence}{language}\n{text}\n{fence}\n"
