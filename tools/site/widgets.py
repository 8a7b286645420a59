"""Where the site's widgets stand: a table, and what is written into a page for each.

A widget is a module docs/_static/gan/NAME.js, whose function `mount(element)` fills the element
that is written here. A widget without such a file is left out.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import nbformat

from utils.options import ROOT


@dataclass(frozen=True)
class Widget:
    """A widget in a page.

    Attributes:
        lesson: name of the page.
        after: a text that stands in one cell of the page; the widget follows this cell.
        name: its module is docs/_static/gan/NAME.js.
        title: what a reader can do, in a few words.
        text: one or two sentences above it.
        picture: what is seen until JavaScript has started: a file of the project, such as
            "outputs/gallery/02_dcgan.gif", or a text that stands in the code of the cell whose
            first picture is taken.
        alternative: what is read where this picture cannot be seen.
        data: what the module is told: {"key": "value"} becomes data-key="value".
    """

    lesson: str
    after: str
    name: str
    title: str
    text: str
    picture: str
    alternative: str
    data: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The name of its place in the page, for links: `#widget-timemachine-01-gan`."""
        data = [text for key, text in self.data.items() if key != "begin"]
        return "-".join(["widget", self.name, *data]).replace("_", "-").replace(" ", "-")


TABLE = (
    Widget(
        lesson="01_gan",
        after='panel.plot(curves, ("d_loss", "-V(D*, G)")',
        name="plane",
        title="Play the game in the plane",
        text="Both networks train here, in your browser. Draw points of your own, or make one "
        "step of D or of G at a time, and compare D with the best D.",
        picture="game = play(generator_loss, discriminator_loss)",
        alternative="Real points and fakes in the plane, and the answers of D, at four moments "
        "of the training",
        data={"game": "gan"},
    ),
    Widget(
        lesson="01_gan",
        after='panel.plot(history, ("score",), title=title)',
        name="timemachine",
        title="Go back in time",
        text="Move through the training: the generator of each moment draws the digits for your "
        "own z. Every picture is computed here, in your browser.",
        picture="outputs/gallery/01_gan.gif",
        alternative="64 digits while the generator of lesson 01 trains",
        data={"lesson": "01_gan"},
    ),
    Widget(
        lesson="01_gan",
        after="With the saturating loss, four of five seeds collapsed.",
        name="timemachine",
        title="Watch the collapse",
        text="The generator of the training with the saturating loss, at each moment, in your "
        "browser. Find the moment when all samples become alike.",
        picture='names = "non-saturating", "saturating"',
        alternative="At the left, different digits. At the right, 64 equal pictures that show "
        "no digit",
        data={"lesson": "01_gan_collapse", "begin": "first"},
    ),
    Widget(
        lesson="02_dcgan",
        after="images.save_gif(small, frames, most=12, levels=9)",
        name="timemachine",
        title="Go back in time",
        text="Move through the training: the generator of each moment draws the digits for your "
        "own z. Every picture is computed here, in your browser.",
        picture="outputs/gallery/02_dcgan.gif",
        alternative="64 digits while the generator of lesson 02 trains",
        data={"lesson": "02_dcgan"},
    ),
    Widget(
        lesson="02_dcgan",
        after="path = tf.concat([walk(z[i], z[i + 1])",
        name="digit",
        title="Let the generator draw a digit",
        text="The generator of this lesson runs here, in your browser. Move the sliders to "
        "change z, or drag on the sphere to walk.",
        picture="path = tf.concat([walk(z[i], z[i + 1])",
        alternative="Four walks from one digit to another, 16 stations each",
        data={"parts": "sliders walk"},
    ),
    Widget(
        lesson="03_latent_space",
        after="ipywidgets.interact(explore, start=(0, 99), **sliders)",
        name="digit",
        title="Explore the latent space",
        text="The generator runs here, in your browser. Move along the strongest directions, "
        "walk on the sphere, turn a digit into a 3, or calculate with digits.",
        picture='chosen |= {"second weakest": -2, "weakest": -1}',
        alternative="A 3 that changes along eight directions, one a row",
        data={"parts": "sliders walk three arithmetic"},
    ),
    Widget(
        lesson="04_lsgan",
        after="With least squares, the fake is pulled until it is among the real points",
        name="plane",
        title="Play the game with least squares",
        text="The same two networks train here, in your browser. Compare least squares with "
        "cross-entropy, in the plane and on the ring of eight modes.",
        picture='plt.title("pull on a fake")',
        alternative="The pull on a fake over its distance, for cross-entropy and least squares",
        data={"game": "lsgan"},
    ),
    Widget(
        lesson="04_lsgan",
        after="images.save_gif(small, frames, most=12, levels=9)",
        name="timemachine",
        title="Go back in time",
        text="Move through the training: the generator of each moment draws the digits for your "
        "own z. Every picture is computed here, in your browser.",
        picture="outputs/gallery/04_lsgan.gif",
        alternative="64 digits while the generator of lesson 04 trains",
        data={"lesson": "04_lsgan"},
    ),
    Widget(
        lesson="05_wgan_gp",
        after="Along a grey line, the answer is the same.",
        name="plane",
        title="Play the game with a critic",
        text="A critic and a generator train here, in your browser. Draw points of your own, "
        "and watch how the critic pulls the fakes towards them.",
        picture="wants = dict.fromkeys(trained, generator_loss)",
        alternative="The answers of four networks to two discs of points, and the pull on the "
        "fakes",
        data={"game": "wgan"},
    ),
    Widget(
        lesson="06_cgan",
        after="ipywidgets.interact(explore, digit=(0, CLASSES - 1), start=(0, 9), **sliders)",
        name="classes",
        title="Choose a class and a style",
        text="The generator of this lesson runs here, in your browser. Choose the digit, and "
        "move along the six directions of z.",
        picture="kernel = kernel[:LATENT_DIM]",
        alternative="A 3 and an 8 that change along two directions, one a row",
    ),
    Widget(
        lesson="07_cyclegan",
        after="own = test.a[:1]",
        name="photo",
        title="Translate your own photograph",
        text="The generator of this lesson runs here, in your browser. Your photograph never "
        "leaves your machine.",
        picture="own = test.a[:1]",
        alternative="A horse before, and as a zebra after",
        data={"network": "zebra"},
    ),
    Widget(
        lesson="09_srgan",
        after='own = {"a crop": enlarging.part(some, 96, 128, 60, 140)}',
        name="photo",
        title="Enlarge your own photograph",
        text="The generator of this lesson runs here, in your browser. Your photograph never "
        "leaves your machine.",
        picture='own = {"a crop": enlarging.part(some, 96, 128, 60, 140)}',
        alternative="A part of a photograph, enlarged by three methods",
        data={"network": "srgan"},
    ),
    Widget(
        lesson="11_faces",
        after="ipywidgets.interact(explore, start=(0, 99), **sliders)",
        name="faces",
        title="Move a face",
        text="The generator of this lesson runs here, in your browser. Its network was trained on "
        "CelebA: use it for non-commercial research and education only.",
        picture="strip = [to_sphere(start + lengths * d)",
        alternative="A face that changes along four directions, one a row",
    ),
)


def insert(
    lesson: str, notebook: nbformat.NotebookNode, picture: Callable[[str, str], str]
) -> None:
    """Write the widgets of a lesson into its page.

    Args:
        lesson: its name.
        notebook: the page, after its pictures were taken out.
        picture: takes a file of the project and an alternative text, and returns its HTML.

    Raises:
        ValueError: a text of the table stands in no cell, or in several.
    """
    for widget in TABLE:
        if widget.lesson == lesson:
            cell = place(widget, notebook)
            shown = _picture(widget, notebook, picture)
            position = notebook.cells.index(cell) + 1
            notebook.cells.insert(position, nbformat.v4.new_markdown_cell(_written(widget, shown)))


def links(lesson: str, page: str = "") -> str:
    """Return links to the widgets of a lesson, as HTML, "" where it has none.

    Args:
        lesson: its name.
        page: the address of its page, "" for links within it.
    """
    own = [widget for widget in TABLE if widget.lesson == lesson]
    return " · ".join(f'<a href="{page}#{x.place}">{x.title}</a>' for x in own)


def place(widget: Widget, notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the cell that a widget follows.

    Raises:
        ValueError: its text stands in no cell, or in several.
    """
    return _holder(widget.after, widget.lesson, notebook)


def _holder(text: str, lesson: str, notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    found = [cell for cell in notebook.cells if text in cell.source]
    if len(found) != 1:
        raise ValueError(
            f"{text!r} stands in {len(found)} cells of {lesson}: tools/site/widgets.py needs a "
            "text that stands in one."
        )
    return found[0]


def _picture(
    widget: Widget, notebook: nbformat.NotebookNode, picture: Callable[[str, str], str]
) -> str:
    """Return the HTML of what is seen until JavaScript has started."""
    if (ROOT / widget.picture).is_file():
        return picture(widget.picture, widget.alternative)
    cell = _holder(widget.picture, widget.lesson, notebook)
    found = re.findall(r"<img [^>]*>", json.dumps(cell.outputs).replace('\\"', '"'))
    if not found:
        raise ValueError(f"The cell with {widget.picture!r} of {widget.lesson} has no picture.")
    words = html.escape(widget.alternative)
    return re.sub(r'alt="[^"]*"', lambda _: f'alt="{words}"', found[0])


def _written(widget: Widget, shown: str) -> str:
    """Return what is written into a page for a widget."""
    data = "".join(f' data-{key}="{html.escape(text)}"' for key, text in widget.data.items())
    return (
        f'<div class="gan-place" id="{widget.place}"></div>\n\n'
        f"**{widget.title}.** {widget.text}\n\n"
        f'<div class="gan-widget" data-widget="{widget.name}"{data}>\n'
        f"{shown}\n</div>\n"
    )
