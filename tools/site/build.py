"""Builds the site in docs/_build/html from the saved pages; no page is executed."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from tools.project import project_address
from tools.site import measure, npm
from tools.site.texts import Texts
from utils.options import ROOT

DOCS = ROOT / "docs"
BUILD = DOCS / "_build"
SITE = BUILD / "html"
MATHJAX = {
    "package": "mathjax",
    "version": "3.2.2",
    "integrity": "sha512-Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZG"
    "JvtRZM1vO+geW0OhGw==",
    "wanted": ("es5/tex-chtml.js", "es5/output/chtml/fonts/woff-v2/*.woff", "LICENSE"),
}


def build(folder: Path = BUILD) -> Path:
    """Build the site, and print how large it is.

    Args:
        folder: where the site and what it is made of lie.

    Returns:
        The folder of the site itself.

    Raises:
        ValueError: what the site needs is not there; Sphinx stopped; or the site is too large.
    """
    if importlib.util.find_spec("myst_nb") is None:
        raise ValueError("Sphinx is not installed. Use make site, or pip install -e .[site].")
    mathjax = npm.files(**MATHJAX) / "es5"
    source, site = folder / "source", folder / SITE.name
    Texts(source, site, project_address()).write()
    _sphinx(source, site, folder / "doctrees")
    shutil.copytree(mathjax, site / "_static" / "mathjax", dirs_exist_ok=True)
    _networks(site / "_static" / "gan")
    _report(site)
    return site


def _sphinx(source: Path, site: Path, doctrees: Path) -> None:
    from sphinx.cmd.build import build_main

    options = ["-q", "-b", "html", "-c", str(DOCS), "-d", str(doctrees)]
    if build_main([*options, str(source), str(site)]) != 0:
        raise ValueError("Sphinx could not build the site: see its message above.")


def _networks(folder: Path) -> None:
    """Write the networks of the widgets.

    Raises:
        ValueError: a package that reads the records, or writes ONNX files, is not installed.
    """
    try:
        from tools.site import onnx, weights  # these import TensorFlow

        weights.write(folder / "weights")
        onnx.write(folder / "photo")
    except ModuleNotFoundError as error:
        raise ValueError(
            f"The networks of the widgets need {error.name}, which is not installed: use make site."
        ) from None


def _report(site: Path) -> None:
    """Print the size of the site and its largest first view.

    Raises:
        ValueError: one of them is too large.
    """
    size = measure.total(site)
    views = measure.lessons(site)
    largest = max(views, key=views.get)
    place = site.relative_to(ROOT) if site.is_relative_to(ROOT) else site
    print(f"The site is in {place}: {size / 1e6:.1f} MB.")
    print(f"Largest first view: {largest}, {views[largest] / 1e6:.2f} MB without MathJax.")
    if size > measure.WHOLE or views[largest] > measure.FIRST_VIEW:
        raise ValueError(
            f"Too large: the whole site may have {measure.WHOLE / 1e6:g} MB, and the first view "
            f"of a page {measure.FIRST_VIEW / 1e6:g} MB."
        )
