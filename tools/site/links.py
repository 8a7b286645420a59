"""Links of the project's texts, so that they hold on the site.

The site has the shape of the repository: `notebooks/02_dcgan.ipynb` becomes
`notebooks/02_dcgan.html`. So a link from one text to another stays as it is. This file changes
the others.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from utils.options import ROOT

INDEX = "index.md"  # the page of a folder
# Code, in which nothing is changed; pictures; links. The first that fits counts.
_CODE = r"(?P<code>^ *```.*?^ *```|`[^`\n]+`)"
_TARGET = r"\((?P<{0}>[^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)"
_PICTURE = r"!\[(?P<alternative>[^\]]*)\]" + _TARGET.format("picture")
_LINK = r"(?<!!)\[(?P<text>(?:!\[[^\]]*\]\([^)]*\)|`[^`\n]*`|[^\[\]])*)\]" + _TARGET.format(
    "target"
)
_FOUND = re.compile(f"{_CODE}|{_PICTURE}|{_LINK}", re.MULTILINE | re.DOTALL)


@dataclass
class Links:
    """Changes the links of texts.

    Attributes:
        pages: paths of the texts that are pages of the site, from the root of the project. A
            path that ends in `index.md` is the page of its folder.
        address: the project's address at its code host, "" where it has none.
        shown: files that no page was made of, and that a text links to: the site shows their
            text. Collected by `change`.
    """

    pages: Collection[str]
    address: str = ""
    shown: set[str] = field(default_factory=set)

    def change(self, text: str, page: str, picture: Callable[[str, str], str]) -> str:
        """Return a text whose links hold on the site.

        Args:
            text: Markdown.
            page: path of its file, from the root of the project.
            picture: takes where a picture lies and its alternative text, and returns what is
                written in its place. Pictures of other hosts are not shown: their alternative
                text takes their place.

        Raises:
            ValueError: a link to a file that does not exist.
        """

        def changed(found: re.Match) -> str:
            if found["code"] is not None:
                return found[0]
            if found["picture"] is not None:
                is_of_others = _is_address(found["picture"])
                alternative = found["alternative"]
                return alternative if is_of_others else picture(found["picture"], alternative)
            words = self.change(found["text"], page, picture)
            target = self.target(found["target"], page)
            return f"[{words}]({target})" if target else words

        return _FOUND.sub(changed, text)

    def change_html(self, html: str, page: str) -> str:
        """Return HTML of an output whose links hold on the site; arguments as in `change`."""

        def changed(found: re.Match) -> str:
            target = self.target(found[1], page)
            finished = re.sub(r"\.(?:md|ipynb)(?=#|$)", ".html", target)
            return f'href="{target if _is_address(target) else finished}"'

        return re.sub(r'\bhref="([^"]*)"', changed, html)

    def target(self, target: str, page: str) -> str:
        """Return where a link leads on the site, "" where it leads nowhere.

        Raises:
            ValueError: there is no such file.
        """
        path, mark, place = target.partition("#")
        if _is_address(target) or not path:
            return target
        full = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        if not (ROOT / full).exists():
            raise ValueError(f"{page} links to {target}, and there is no such file.")
        if full in self.pages:
            return target
        if f"{full}/{INDEX}" in self.pages:
            return f"{path.rstrip('/')}/{INDEX}{mark}{place}"
        if self.address:
            return f"{self.address}/blob/main/{full}{mark}{place}"
        if not _is_text(full):
            return ""
        self.shown.add(full)
        return f"{path}.md{mark}{place}"


def _is_address(target: str) -> bool:
    return re.match(r"[a-z][a-z0-9+.-]*:|//", target) is not None


def _is_text(path: str) -> bool:
    """Tell whether a file of the project can be shown as text."""
    if not (ROOT / path).is_file():
        return False
    try:
        (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True
