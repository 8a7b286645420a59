"""The size of the site, and of what a reader of a page loads first."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

WHOLE, FIRST_VIEW = 100e6, 1.5e6  # bytes, at most
# Browsers load pictures that are near the window, too. Of a lesson, the first two are: that of
# the title, and the drawing.
PICTURES_AT_FIRST = 2
_RESOURCE = re.compile(
    r'<link\b[^>]*?\brel="(?:stylesheet|icon)[^>]*?\bhref="([^"]+)"|<script\b[^>]*?\bsrc="([^"]+)"'
)
_PICTURE = re.compile(r'<img\b[^>]*?\bsrc="([^"]+)"')


def total(site: Path) -> int:
    """Return the bytes of all files of the site."""
    return sum(path.stat().st_size for path in site.rglob("*") if path.is_file())


def first_view(site: Path, page: str) -> int:
    """Return the bytes that a reader loads before scrolling, without MathJax.

    Args:
        site: its folder.
        page: path of the page in it, such as "notebooks/02_dcgan.html".
    """
    text = (site / page).read_text(encoding="utf-8")
    resources = [link or script for link, script in _RESOURCE.findall(text)]
    needed = [name for name in resources if "mathjax/" not in name]
    needed += _PICTURE.findall(text)[:PICTURES_AT_FIRST]
    paths = {posixpath.normpath(posixpath.join(posixpath.dirname(page), _bare(n))) for n in needed}
    return sum((site / path).stat().st_size for path in {page, *paths})


def lessons(site: Path) -> dict[str, int]:
    """Return the first view of each page of a lesson or of its solutions, in bytes."""
    found = sorted(site.glob("notebooks/**/[0-9][0-9]_*.html"))
    names = [path.relative_to(site).as_posix() for path in found]
    return {name: first_view(site, name) for name in names}


def _bare(address: str) -> str:
    return re.split(r"[?#]", address)[0]
