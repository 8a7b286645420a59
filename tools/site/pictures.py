"""Pictures out of the pages, into files of their own, which load when they are scrolled to."""

from __future__ import annotations

import base64
import binascii
import html
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from PIL import Image

ENDINGS = {"PNG": "png", "JPEG": "jpg", "GIF": "gif", "WEBP": "webp"}
KINDS = "image/png", "image/jpeg", "image/gif"  # outputs that are pictures
# A picture that is wider than a telephone is reduced there, so a click shows it by itself.
TELEPHONE, WIDE = 330, 600  # pixels; the text in a wide one is too small there
_EMBEDDED = re.compile(r"data:image/[a-z+]+;base64,([A-Za-z0-9+/=\s]+)")
_IMG = re.compile(r"<img\b[^>]*?\bsrc\s*=\s*([\"'])(data:image/.*?)\1[^>]*>", re.DOTALL)


@dataclass
class Pictures:
    """Writes the pictures of one page.

    Attributes:
        folder: where the files go.
        prefix: what leads from the page to this folder, such as "pictures/02_dcgan/".
        alternatives: for a text that stands in one cell of code, what its pictures show, one
            after the other.
        written: names of the files, in the order of the page.
    """

    folder: Path
    prefix: str
    alternatives: dict[str, list[str]] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)

    def add(self, data: bytes, alternative: str, width: int | None = None) -> str:
        """Write a picture to a file, and return the HTML that shows it.

        Args:
            data: the content of an image file.
            alternative: what is read where it cannot be seen.
            width: in pixels of the screen; by default its own.
        """
        ending = ENDINGS[Image.open(io.BytesIO(data)).format]
        name = f"{len(self.written) + 1:02d}.{ending}"
        write(self.folder / name, data)
        self.written.append(name)
        return tag(self.prefix + name, alternative, data, width)

    def take_out(self, notebook: nbformat.NotebookNode) -> None:
        """Exchange the pictures in a page's outputs for HTML that shows their files."""
        heading = ""
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                found = re.findall(r"^##+ +(.*)$", cell.source, re.MULTILINE)
                heading = found[-1] if found else heading
            words = self._alternatives(cell, heading)
            for output in cell.get("outputs", ()):
                if "data" in output:
                    self._exchange(output, words)

    def attachment(self, cell: nbformat.NotebookNode, name: str, alternative: str) -> str:
        """Write a picture that is attached to a cell of text, and return its HTML.

        Raises:
            ValueError: nothing of this name is attached.
        """
        found = cell.get("attachments", {}).get(name)
        if not found:
            raise ValueError(f"A cell shows attachment:{name}, which is not attached to it.")
        return self.add(_decoded(next(iter(found.values()))), alternative)

    def embedded(self, address: str, alternative: str) -> str:
        """Write a picture that stands in its own address (data:image/...); return its HTML."""
        return self.add(_decoded(_EMBEDDED.fullmatch(address)[1]), alternative)

    def _exchange(self, output: nbformat.NotebookNode, words: list[str]) -> None:
        """Exchange the pictures of an output; the first words are taken, the last one stays."""
        data = output.data
        kind = next((kind for kind in KINDS if kind in data), None)
        found = "".join(data.get("text/html", ""))
        if kind is not None:
            width = output.get("metadata", {}).get(kind, {}).get("width")
            output.data = {"text/html": self.add(_decoded(data[kind]), _next(words), width)}
        elif "<progress" in found:  # the panel of a training
            made = "The samples of the last round"
            output.data = {"text/html": _IMG.sub(lambda x: self.embedded(x[2], made), found)}
        elif found:
            changed = _IMG.sub(lambda x: self.embedded(x[2], _next(words)), found)
            output.data = {"text/html": changed}

    def _alternatives(self, cell: nbformat.NotebookNode, heading: str) -> list[str]:
        """Return what the pictures of a cell show."""
        given = [words for text, words in self.alternatives.items() if text in cell.source]
        if cell.cell_type == "code" and given:
            return list(given[0])
        kind = "Animation" if "save_gif" in cell.source else "Picture"
        return [f"{kind} made by the code above, under “{plain(heading)}”"]


def _next(words: list[str]) -> str:
    return words.pop(0) if len(words) > 1 else words[0]


def tag(source: str, alternative: str, data: bytes, width: int | None = None) -> str:
    """Return the HTML of a picture that loads when it is scrolled to, and keeps its place.

    Args:
        source: its address, from the page.
        alternative: what is read where it cannot be seen.
        data: the content of its file.
        width: in pixels of the screen; by default its own.
    """
    own_width, own_height = Image.open(io.BytesIO(data)).size
    width = width or own_width
    height = round(own_height * width / own_width)
    words = html.escape(alternative)
    shown = (
        f'<img src="{source}" alt="{words}" width="{width}" height="{height}" loading="lazy" '
        'decoding="async">'
    )
    kind = "picture wide" if width > WIDE else "picture"
    return f'<a class="{kind}" href="{source}">{shown}</a>' if width > TELEPHONE else shown


def plain(text: str) -> str:
    """Return a line of Markdown without its marks."""
    return re.sub(r"[$*`]|\]\([^)]*\)|\[", "", text).strip()


def write(path: Path, content: bytes | str) -> None:
    """Write a file, unless it holds this already: so Sphinx sees what has changed."""
    content = content.encode() if isinstance(content, str) else content
    if not (path.exists() and path.read_bytes() == content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def drop_unshown(notebook: nbformat.NotebookNode) -> None:
    """Leave out outputs that need a kernel: the sliders of ipywidgets."""
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not _needs_kernel(output)]


def _needs_kernel(output: dict[str, Any]) -> bool:
    return any("widget-view" in kind for kind in output.get("data", ()))


def _decoded(text: str | list[str]) -> bytes:
    try:
        return base64.b64decode("".join(text))
    except binascii.Error as error:
        raise ValueError(f"A picture in a page is damaged: {error}.") from None
