"""Draw what flows where in a lesson: notebooks/drawings/NN.png.

    python -m tools.drawings

Places and sizes are in pixels of the page, as in `tools.sketch`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import skimage.data
from matplotlib.axes import Axes
from skimage.filters import gaussian
from skimage.transform import resize

from tools.sketch import (
    DARK,
    FAKE,
    JUDGE,
    PALE,
    RANDOM,
    REAL,
    STROKES,
    Pair,
    arrow,
    box,
    digit,
    label,
    maps,
    numbers,
    picture,
    sheet,
    write,
)
from utils.options import ROOT
from utils.topics.faces import drawn

FOLDER = ROOT / "notebooks" / "drawings"
CHANNELS = 128, 64, 16  # of lesson 02, from the maps of 4 x 4 pixels on
BACK = "#117a65"  # of lesson 07's generator from zebras to horses


def notes(axes: Axes, top: float, *lines: str) -> None:
    """Write lines below a drawing, the middle of the first at the height `top`."""
    for number, line in enumerate(lines):
        label(axes, (12, top + 22 * number), line, at="left")


def game() -> Axes:
    """Lesson 01: who sees what, and which loss updates whom."""
    axes = sheet(440)
    label(axes, (34, 82), "z")
    numbers(axes, (34, 145), 100, RANDOM[0, :12])
    label(axes, (40, 222), "random\nnumbers")
    box(axes, (152, 145), (116, 190), "generator\nG", FAKE, 13)
    picture(axes, (305, 165), 76, digit(STROKES[3], grain=0.5))
    label(axes, (305, 217), "fake image G(z)", FAKE)
    picture(axes, (305, 292), 76, digit(STROKES[7]), REAL)
    label(axes, (305, 344), "real image x", REAL)
    box(axes, (475, 195), (144, 290), "discriminator\nD\n\n(one image\nat a time)", JUDGE, 13)
    box(axes, (668, 165), (100, 34), "D(G(z))", FAKE, 12)
    box(axes, (668, 292), (100, 34), "D(x)", REAL, 12)
    label(axes, (666, 228), "D's answer:\nthe probability that\nthe image is real")
    arrow(axes, (46, 145), (92, 145))
    for start, end in (212, 265), (346, 401), (549, 616):
        arrow(axes, (start, 165), (end, 165), colour=FAKE)
    for start, end in (346, 401), (549, 616):
        arrow(axes, (start, 292), (end, 292), colour=REAL)
    box(axes, (668, 80), (100, 34), "loss of G", FAKE)
    box(axes, (668, 375), (100, 34), "loss of D", JUDGE)
    arrow(axes, (668, 147), (668, 99), colour=FAKE)
    arrow(axes, (668, 310), (668, 356), colour=JUDGE)
    arrow(axes, (719, 165), (748, 165), (748, 375), (720, 375), colour=JUDGE)
    arrow(axes, (617, 80), (212, 80), colour=FAKE, dashed=True)
    arrow(axes, (617, 375), (475, 375), (475, 342), colour=JUDGE, dashed=True)
    label(axes, (306, 42), "2. passes back through D,\nbut updates G only", FAKE)
    label(axes, (546, 393), "1. updates D only", JUDGE)
    notes(
        axes,
        396,
        "Solid: what is computed.  Dashed: gradients, which flow back.",
        "D wants D(x) = 1 and D(G(z)) = 0.  G wants D(G(z)) = 1.",
    )
    return axes


def layer(axes: Axes, x: float, top: float, shape: Pair, colour: str, *tags: str) -> None:
    """Draw a layer's maps, their size, and what they pass through."""
    size, channels = shape
    maps(axes, (x, top + 98), size, channels, colour)
    label(axes, (x, top + 162), f"{size} × {size} × {channels}", colour)
    for row, tag in enumerate(tags):
        box(axes, (x, top + 188 + 27 * row), (94, 23), tag)


def step(axes: Axes, top: float, name: str, *ends: Pair) -> None:
    """Draw arrows from x to x, each with what is done."""
    for start, end in ends:
        arrow(axes, (start, top + 98), (end, top + 98))
        label(axes, ((start + end) / 2, top + 34), name)


def dcgan_generator(axes: Axes, top: float) -> None:
    """Draw the upper half of lesson 02's drawing."""
    title = "Generator G: each transposed convolution doubles the size of the maps"
    label(axes, (12, top), title, FAKE, 12, "left")
    numbers(axes, (44, top + 98), 94, RANDOM[0])
    label(axes, (12, top + 171), "z:\n32 numbers", FAKE, at="left")
    for x, size, channels in zip((165, 290, 413), (4, 8, 16), CHANNELS, strict=True):
        layer(axes, x, top, (size, channels), FAKE, "batch norm", "ReLU")
    layer(axes, 555, top, (32, 1), FAKE, "tanh")
    picture(axes, (702, top + 98), 76, digit(STROKES[3]))
    label(axes, (702, top + 162), "28 × 28 × 1", FAKE)
    label(axes, (702, top + 34), "fake\nimage", FAKE)
    step(axes, top, "dense,\nreshape", (57, 130))
    step(axes, top, "transposed\nconvolution", (200, 258), (322, 380), (445, 507))
    step(axes, top, "crop", (605, 658))


def dcgan_discriminator(axes: Axes, top: float) -> None:
    """Draw the lower half of lesson 02's drawing."""
    title = "Discriminator D: each convolution halves the size of the maps (3.5 becomes 4)"
    label(axes, (12, top), title, JUDGE, 12, "left")
    picture(axes, (56, top + 98), 76, digit(STROKES[7]), JUDGE)
    label(axes, (56, top + 169), "real or fake,\n28 × 28 × 1", JUDGE)
    box(axes, (56, top + 219), (94, 50), "noise,\nin training")
    layer(axes, 212, top, (14, CHANNELS[2]), JUDGE, "LeakyReLU")
    layer(axes, 338, top, (7, CHANNELS[1]), JUDGE, "batch norm", "LeakyReLU")
    layer(axes, 464, top, (4, CHANNELS[0]), JUDGE, "batch norm", "LeakyReLU")
    for x, name, meaning in (594, "logit", "any number"), (708, "D(x)", "probability"):
        box(axes, (x, top + 98), (58, 40), name, JUDGE)
        label(axes, (x, top + 162), meaning, JUDGE)
    step(axes, top, "convolution,\nstride 2", (99, 184), (240, 308), (366, 430))
    step(axes, top, "flatten,\ndense", (498, 563))
    step(axes, top, "sigmoid", (625, 677))


def dcgan() -> Axes:
    """Lesson 02: the two networks, layer by layer."""
    axes = sheet(570)
    dcgan_generator(axes, 22)
    axes.axhline(266, color=PALE, linewidth=0.8)
    dcgan_discriminator(axes, 292)
    notes(
        axes,
        554,
        "The boxes below a layer say what its result passes through, from top to bottom.",
    )
    return axes


def sphere(axes: Axes, x: float, y: float, radius: float) -> None:
    """Draw random z near a circle, a walk along it and a straight line."""
    chance = np.random.default_rng(2)
    around = chance.uniform(0, 2 * np.pi, 120)
    away = radius * chance.normal(1, 0.05, 120)
    axes.scatter(x + away * np.cos(around), y + away * np.sin(around), 5, PALE)
    arc = np.radians(np.linspace(125, 0, 61))
    walk = np.stack([x + radius * np.cos(arc), y - radius * np.sin(arc)])
    axes.plot(*walk, FAKE, linewidth=2)
    axes.plot(*walk[:, [0, -1]], PALE, linestyle="--")
    axes.scatter(*walk[:, ::15], 45, FAKE, zorder=5)
    label(axes, (walk[0, 0] - 18, walk[1, 0] - 16), "$z_0$", FAKE, 15)
    label(axes, (walk[0, -1] + 26, walk[1, -1]), "$z_1$", FAKE, 15)
    text = "A straight line\nleaves the sphere.\nHardly any random\nz lies inside."
    label(axes, (x - 8, y + 40), text)


def arithmetic(axes: Axes, y: float) -> None:
    """Draw slanted a - upright a + upright b, computed with z."""
    label(axes, (12, y - 72), "Arithmetic with z", DARK, 15, "left")
    terms = ("slanted a", 1, 0.45), ("upright a", 1, 0), ("upright b", 3, 0)
    for number, (name, k, slant) in enumerate(terms):
        x = 50 + 150 * number
        picture(axes, (x, y), 70, digit(STROKES[k], slant))
        numbers(axes, (x + 52, y), 70, RANDOM[number])
        label(axes, (x, y + 50), name, FAKE)
        label(axes, (x + 88, y), "−+="[number], DARK, 18)
    numbers(axes, (470, y), 70, RANDOM[0] - RANDOM[1] + RANDOM[2])
    arrow(axes, (484, y), (526, y), colour=FAKE)
    box(axes, (560, y), (60, 60), "G", FAKE, 14)
    arrow(axes, (594, y), (640, y), colour=FAKE)
    picture(axes, (680, y), 70, digit(STROKES[3], 0.45))
    label(axes, (680, y + 50), "slanted b?", FAKE)
    label(axes, (478, y + 57), "sum, set to\nusual length", FAKE)
    notes(
        axes,
        y + 86,
        "A striped bar is a z. The first three are means over the z of several samples.",
        "Only z are added, no pixels. Here a = 1 and b = 3.",
    )


def latent_space() -> Axes:
    """Lesson 03: a walk on the sphere of all z, and arithmetic with z."""
    axes = sheet(515)
    label(axes, (12, 22), "A walk from $z_0$ to $z_1$", DARK, 15, "left")
    sphere(axes, 140, 170, 105)
    label(axes, (232, 75), "The walk follows\nthe sphere.", FAKE, at="left")
    label(axes, (306, 128), "one z\nat a time", FAKE)
    arrow(axes, (295, 170), (345, 170), colour=FAKE)
    box(axes, (380, 170), (60, 60), "G", FAKE, 14)
    arrow(axes, (414, 170), (450, 170), colour=FAKE)
    for number, part in enumerate(np.linspace(0, 1, 5)):
        stroke = (1 - part) * np.array(STROKES[0]) + part * np.array(STROKES[6])
        picture(axes, (482 + 60 * number, 170), 52, digit(stroke))
    label(axes, (482, 216), "$G(z_0)$", FAKE, 15)
    label(axes, (722, 216), "$G(z_1)$", FAKE, 15)
    label(axes, (602, 114), "G draws an image\nfor each point of the walk.", FAKE)
    axes.axhline(298, color=PALE, linewidth=0.8)
    arithmetic(axes, 394)
    return axes


def loss_of_g(axes: Axes, x: np.ndarray, height: np.ndarray, pulls: dict[int, float]) -> None:
    """Draw G's loss over D's answer, with fakes on it and how far each is pulled.

    Args:
        x: (n,) where the answers lie.
        height: (n,) the loss in pixels.
        pulls: index of a fake -> length of its arrow, negative to the left.
    """
    y = 272 - height
    axes.plot(x, y, FAKE, linewidth=2)
    arrow(axes, (x[0], 272), (x[-1] + 8, 272))
    label(axes, (x[0] + 14, y[0] - 4), "loss of G", FAKE, at="left")
    for i, pull in pulls.items():
        axes.scatter(x[i], y[i], 80, FAKE, edgecolor="white", zorder=6)
        if pull:
            arrow(axes, (x[i], y[i]), (x[i] + pull, y[i]), colour=FAKE)


def cross_entropy(axes: Axes) -> None:
    """Draw the left half of lesson 04's drawing; the answer 0 lies at x = 185."""
    label(axes, (20, 24), "Cross-entropy: on which side?", DARK, 13, "left")
    answers = np.linspace(-4, 5, 91)
    height = 40 * np.log1p(np.exp(-answers))
    loss_of_g(axes, 185 + 36 * answers, height, {15: 70, 45: 29, 80: 0})
    axes.plot((185, 185), (84, 278), PALE, linestyle="--")
    label(axes, (185, 68), "D is undecided (probability ½)")
    label(axes, (140, 152), "strong pull", FAKE)
    label(axes, (236, 232), "weak pull", FAKE)
    label(axes, (320, 252), "almost no pull", FAKE)
    label(axes, (185, 290), "0")
    label(axes, (368, 290), "D's answer (a logit)", at="right")
    arrow(axes, (180, 360), (40, 360), colour=JUDGE)
    arrow(axes, (190, 360), (330, 360), colour=JUDGE)
    label(axes, (110, 378), "fakes: to the left", JUDGE)
    label(axes, (260, 378), "real: to the right", JUDGE)
    label(axes, (20, 430), "A fake far beyond the boundary gets\nalmost no gradient.", at="left")


def least_squares(axes: Axes) -> None:
    """Draw the right half of lesson 04's drawing; a lies at x = 475, b and c at 570."""
    label(axes, (400, 24), "Least squares: how far from c?", DARK, 13, "left")
    answers = np.linspace(-0.7, 2.7, 86)
    loss_of_g(axes, 475 + 95 * answers, 55 * (answers - 1) ** 2, {10: 80, 30: 31, 75: -80})
    axes.plot((570, 570), (84, 278), PALE, linestyle="--")
    label(axes, (570, 68), "target of G: c = 1")
    label(axes, (505, 165), "pull", FAKE)
    label(axes, (650, 164), "pulled back", FAKE)
    label(axes, (475, 290), "0")
    label(axes, (570, 290), "1")
    label(axes, (740, 290), "D's answer", at="right")
    for x in 475, 570:
        axes.scatter(x, 360, 60, JUDGE)
        arrow(axes, (x - 40, 360), (x - 8, 360), colour=JUDGE)
        arrow(axes, (x + 40, 360), (x + 8, 360), colour=JUDGE)
    label(axes, (468, 378), "fakes: a = 0", JUDGE)
    label(axes, (580, 378), "real: b = 1", JUDGE)
    label(axes, (400, 430), "A fake far beyond the target c\nis pulled back to it.", at="left")


def losses() -> Axes:
    """Lesson 04: which fakes the two losses of G pull on."""
    axes = sheet(460)
    axes.axvline(385, color=PALE, linewidth=0.8)
    for x in 20, 400:
        label(axes, (x, 330), "D itself wants its answers here:", JUDGE, at="left")
    cross_entropy(axes)
    least_squares(axes)
    return axes


def wgan_gp() -> Axes:
    """Lesson 05: what the critic sees, and of what its loss is made."""
    axes = sheet(440)
    real, fake = digit(STROKES[7]), digit(STROKES[3], grain=0.5)
    label(axes, (34, 148), "z")
    numbers(axes, (34, 210), 100, RANDOM[0, :12])
    box(axes, (140, 210), (110, 120), "generator\nG", FAKE, 13)
    arrow(axes, (46, 210), (83, 210))
    arrow(axes, (197, 210), (237, 210), colour=FAKE)
    for y, image, name, colour in (
        (90, real, "real image x", REAL),
        (210, fake, "fake image G(z)", FAKE),
        (340, 0.5 * real + 0.5 * fake, "a random point\nbetween both, x̂", DARK),
    ):
        picture(axes, (280, y), 76, image, colour)
        label(axes, (280, y + 52 + 7 * name.count("\n")), name, colour)
    box(axes, (430, 210), (110, 330), "critic\nD", JUDGE, 13)
    for y, colour in (90, REAL), (210, FAKE), (340, DARK):
        arrow(axes, (320, y), (373, y), colour=colour)
        arrow(axes, (487, y), (525, y), colour=colour)
    box(axes, (577, 90), (100, 34), "D(x)", REAL, 12)
    box(axes, (577, 210), (100, 34), "D(G(z))", FAKE, 12)
    box(axes, (577, 340), (100, 34), "D(x̂)", DARK, 12)
    text = "slope: how fast this answer changes\nwith the pixels of x̂"
    label(axes, (628, 396), text)
    label(axes, (577, 252), "G wants this\nto be large.", FAKE)
    arrow(axes, (628, 90), (668, 90), (668, 122), colour=REAL)
    arrow(axes, (628, 210), (668, 210), (668, 182), colour=FAKE)
    label(axes, (696, 152), "D wants a large\ndifference, which\nestimates W.", JUDGE)
    arrow(axes, (629, 340), (657, 340))
    label(axes, (706, 340), "penalty if\nthe slope\nis not 1", JUDGE)
    label(axes, (20, 30), "The critic gives a number, not a probability.", at="left")
    return axes


def told(axes: Axes, x: float, name: str, lines: Sequence[str]) -> None:
    """Draw a way to tell D the label: what goes in at the top, the answer at the bottom."""
    label(axes, (x, 232), name, DARK, 12)
    for y, text in zip((264, 322, 380), lines, strict=True):
        box(axes, (x, y), (226, 40), text, JUDGE)
    for y in (284, 342):
        arrow(axes, (x, y), (x, y + 18), colour=JUDGE)


def cgan() -> Axes:
    """Lesson 06: the label enters G beside z, and D in one of three ways."""
    axes = sheet(440)
    label(axes, (88, 52), "random\nnumbers z", at="right")
    numbers(axes, (105, 52), 78, RANDOM[0, :12])
    label(axes, (88, 142), "label 3,\none-hot", at="right")
    numbers(axes, (105, 142), 78, np.where(np.arange(10) == 3, 2.0, -2.0))
    arrow(axes, (117, 52), (140, 52), (140, 82), (193, 82))
    arrow(axes, (117, 142), (140, 142), (140, 98), (193, 98))
    box(axes, (260, 90), (130, 90), "generator\nG", FAKE, 13)
    arrow(axes, (327, 90), (382, 90), colour=FAKE)
    for i, slant in enumerate((0.0, 0.25, -0.2)):
        place = (425 + 82 * i, 90)
        picture(axes, place, 72, digit(STROKES[3], slant))
    label(axes, (507, 150), "G(z, 3) for three z: always a 3,\nin another style", FAKE)
    axes.axhline(190, color=PALE, linewidth=0.8)
    label(axes, (12, 207), "Three ways to use the label y for D", JUDGE, 12, "left")
    told(axes, 130, "planes", ("image + y as 10 planes", "D of lesson 02", "real, and does y fit?"))
    told(
        axes,
        380,
        "classifier",
        ("image (y only in the loss)", "D of lesson 02", "real?  and:  which class?"),
    )
    told(
        axes,
        630,
        "projection (used here)",
        ("image", "features φ of D", "real?  +  φ · $v_y$:  does y fit?"),
    )
    label(
        axes,
        (380, 424),
        "For a fake, y is the label that G got. For a real image, y is its own label.",
    )
    return axes


def animal(striped: bool, left: bool, blur: float = 0.0) -> np.ndarray:
    """Return a grey image (96, 96) in [0, 1] of scikit-image's horse, plain or as a zebra.

    Args:
        striped: whether it is a zebra.
        left: whether it looks to the left.
        blur: standard deviation in pixels.
    """
    y, x = np.mgrid[:96, :96]
    inside = np.pad(resize(1.0 - skimage.data.horse(), (80, 88)), ((8, 8), (4, 4)))
    stripes = np.where(np.sin(0.95 * x + 0.25 * y + 1.2 * np.sin(y / 12)) > 0, 1, 0.05)
    coat = stripes if striped else 0.22
    ground = np.where(y > 64, 0.52, 0.72)
    made = gaussian(inside * coat + (1 - inside) * ground, blur)
    return made[:, ::-1] if left else made


def judged(axes: Axes, top: float, name: str, real: tuple[str, str], colour: str) -> None:
    """Draw a discriminator of lesson 07 below a fake of this colour, and what it must answer."""
    kind, example = real
    y = top + 218
    picture(axes, (204, y), 70, animal(kind == "zebra", kind == "zebra"), REAL)
    label(axes, (158, y), f"real {kind} ${example}$", REAL, at="right")
    box(axes, (352, y), (84, 50), name, JUDGE, 15)
    arrow(axes, (352, top + 150), (352, y - 27), colour=colour)
    arrow(axes, (241, y), (308, y), colour=REAL)
    arrow(axes, (396, y), (462, y), colour=JUDGE)
    label(
        axes,
        (472, y),
        f"Is it a real {kind}? D wants 1 for\nreal, 0 for fake. G wants 1 for fake.",
        JUDGE,
        at="left",
    )


def cycle(
    axes: Axes, top: float, start: tuple[str, str], end: str, ways: Sequence[tuple[str, str]]
) -> None:
    """Draw one cycle of lesson 07.

    Args:
        start: kind of photograph and its letter.
        end: the other kind.
        ways: name and colour of the generator that leads there, and of the one that leads back.
    """
    (there, out), (back, home) = ways
    kind, letter = start
    left = kind == "zebra"
    label(axes, (12, top), f"From {kind} to {end} and back", DARK, 13, "left")
    y = top + 104
    picture(axes, (56, y), 88, animal(kind == "zebra", left), REAL)
    box(axes, (204, y), (84, 56), there, out, 15)
    picture(axes, (352, y), 88, animal(end == "zebra", left), out)
    box(axes, (506, y), (84, 56), back, home, 15)
    picture(axes, (668, y), 88, animal(kind == "zebra", left, 1.3), home)
    for x in (103, 160), (248, 305), (399, 462), (550, 621):
        arrow(axes, (x[0], y), (x[1], y))
    label(axes, (56, y + 60), f"real {kind} ${letter}$", REAL)
    label(axes, (372, y + 60), f"fake {end}", out, at="left")
    label(axes, (668, y + 60), f"{kind}, back again", home)
    y = top + 30
    label(axes, (362, y), "cycle loss: mean absolute difference of these two")
    arrow(axes, (56, y + 28), (56, y), (176, y))
    arrow(axes, (668, y + 28), (668, y), (548, y))


def cyclegan() -> Axes:
    """Lesson 07: four networks, two cycles."""
    axes = sheet(632)
    ab = "$G_{AB}$", FAKE
    ba = "$G_{BA}$", BACK
    cycle(axes, 20, ("horse", "a"), "zebra", (ab, ba))
    judged(axes, 20, "$D_B$", ("zebra", "b"), FAKE)
    axes.axhline(285, color=PALE, linewidth=0.8)
    cycle(axes, 306, ("zebra", "b"), "horse", (ba, ab))
    judged(axes, 306, "$D_A$", ("horse", "a"), BACK)
    notes(
        axes,
        590,
        "A: horses, B: zebras. Two generators (each in both halves) and two discriminators.",
        "Not drawn: the identity loss, and the pool that keeps old fakes for the discriminators.",
    )
    return axes


def enlarged(axes: Axes, y: float, side: int, blur: float) -> None:
    """Draw the path of lesson 09 from an original crop to the enlarged one, its middle at y.

    Args:
        axes: where.
        y: the height.
        side: of the original, in pixels.
        blur: of the enlarged one, standard deviation in pixels.
    """
    hr = animal(True, False)
    lr = hr.reshape(24, 4, 24, 4).mean(axis=(1, 3))
    picture(axes, (52, y), 80, hr, REAL)
    picture(axes, (162, y), 24, lr, DARK)
    box(axes, (262, y), (96, 64), "generator\nG", FAKE, 12)
    picture(axes, (394, y), 80, animal(True, False, blur), FAKE)
    for start, end in (94, 146), (178, 211), (312, 350):
        arrow(axes, (start, y), (end, y))
    label(axes, (52, y + 54), f"HR, {side} × {side}", REAL)
    label(axes, (162, y + 54), f"LR, {side // 4} × {side // 4}")
    label(axes, (120, y - 14), "bicubic")
    label(axes, (394, y + 54), "SR = G(LR)", FAKE)


def first_stage(axes: Axes, top: float) -> None:
    """Draw the upper part of lesson 09's drawing."""
    title = "Stage 1, SRResNet: make the pixels right"
    label(axes, (12, top), title, DARK, 13, "left")
    y = top + 100
    enlarged(axes, y, 96, 1.4)
    box(axes, (560, y), (110, 40), "pixel loss", FAKE, 12)
    arrow(axes, (436, y), (503, y), colour=FAKE)
    arrow(axes, (52, y - 42), (52, y - 66), (560, y - 66), (560, y - 22), colour=REAL)
    arrow(
        axes, (560, y + 22), (560, y + 74), (285, y + 74), (285, y + 34), colour=FAKE, dashed=True
    )
    label(axes, (500, y + 58), "updates G", FAKE)


def judges(axes: Axes, y: float) -> None:
    """Draw what compares and judges the crops of lesson 09, around the height y."""
    for colour, x in (REAL, 486), (FAKE, 470):
        above = 7 if colour == FAKE else -7
        for row, end in (y - 6, 514), (y + 92, 514):
            arrow(axes, (x, row - above), (end, row - above), colour=colour)
    box(axes, (566, y - 6), (100, 62), "features φ of\na classifier,\nfrozen", DARK)
    box(axes, (566, y + 92), (100, 84), "discriminator\nD", JUDGE)
    for name, row in ("content loss", -6), ("adversarial\nloss", 68):
        box(axes, (684, y + row), (100, 40), name, FAKE)
        axes.plot((735, 750), (y + row, y + row), FAKE, linestyle=(0, (4, 3)), linewidth=1.6)
    box(axes, (684, y + 122), (100, 34), "loss of D", JUDGE)
    for colour, row in (FAKE, -13), (REAL, 1), (FAKE, 68), (FAKE, 115), (REAL, 129):
        arrow(axes, (617, y + row), (632, y + row), colour=colour)


def second_stage(axes: Axes, top: float) -> None:
    """Draw the middle part of lesson 09's drawing."""
    title = "Stage 2, SRGAN:\nmake it look real"
    label(axes, (12, top + 10), title, DARK, 13, "left")
    y = top + 166
    enlarged(axes, y, 48, 0.5)
    axes.plot((436, 470), (y, y), FAKE, linewidth=1.6)
    axes.plot((470, 470), (y - 13, y + 85), FAKE, linewidth=1.6)
    low = y + 99
    axes.plot((52, 52, 486, 486), (y + 64, low, low, y + 1), REAL, linewidth=1.6)
    judges(axes, y)
    path = (750, y + 68), (750, y - 130), (285, y - 130), (285, y - 34)
    arrow(axes, *path, colour=FAKE, dashed=True)
    label(axes, (500, y - 146), "perceptual loss, a weighted sum of both: updates G", FAKE)
    arrow(
        axes,
        (684, y + 141),
        (684, y + 162),
        (566, y + 162),
        (566, y + 136),
        colour=JUDGE,
        dashed=True,
    )
    label(axes, (625, y + 176), "updates D", JUDGE)


def block(axes: Axes, y: float) -> None:
    """Draw one residual block of lesson 09."""
    label(
        axes,
        (12, y - 44),
        "One residual block (batch norm: only in the preset `paper`)",
        FAKE,
        at="left",
    )
    names = "convolution", "batch norm", "PReLU", "convolution", "batch norm"
    for i, name in enumerate(names):
        box(axes, (110 + 120 * i, y), (94, 30), name)
        arrow(axes, (12, y) if i == 0 else (40 + 120 * i, y), (61 + 120 * i, y))
    arrow(axes, (640, y), (668, y))
    box(axes, (684, y), (28, 28), "+", FAKE, 14)
    arrow(axes, (40, y), (40, y - 28), (684, y - 28), (684, y - 16))
    arrow(axes, (700, y), (736, y))


def inside_g(axes: Axes, top: float) -> None:
    """Draw the lower part of lesson 09's drawing."""
    title = "Inside G (sizes of stage 1): nearly all layers work at the small size"
    label(axes, (12, top), title, FAKE, 13, "left")
    y = top + 114
    box(axes, (220, y), (98, 62), "16 residual\nblocks, one\nconvolution", FAKE)
    places = (34, 24, 3), (122, 24, 64), (372, 24, 64), (476, 48, 64), (602, 96, 64), (708, 96, 3)
    for x, size, channels in places:
        maps(axes, (x, y), size, channels / 2, FAKE, 0.7)
        label(axes, (x, y + 64), f"{size} × {size}\n× {channels}", FAKE)
    for start, end in (
        (46, 102),
        (138, 169),
        (271, 297),
        (328, 354),
        (392, 450),
        (502, 558),
        (645, 671),
    ):
        arrow(axes, (start, y), (end, y))
    box(axes, (312, y), (28, 28), "+", FAKE, 14)
    arrow(axes, (122, y - 18), (122, y - 42), (312, y - 42), (312, y - 16))
    for x in 421, 536:
        label(axes, (x, y - 72), "convolution,\npixel shuffle,\nPReLU")
    label(axes, (78, y - 70), "convolution\n9 × 9, PReLU")
    label(axes, (668, y - 70), "convolution\n9 × 9, tanh")
    block(axes, y + 148)


def srgan() -> Axes:
    """Lesson 09: two stages, who judges what, and the layers of G."""
    axes = sheet(905)
    first_stage(axes, 22)
    arrow(axes, (240, 155), (240, 363), colour=FAKE)
    label(axes, (232, 318), "G starts with the\nweights of stage 1", FAKE, at="right")
    axes.axhline(206, color=PALE, linewidth=0.8)
    second_stage(axes, 230)
    axes.axhline(588, color=PALE, linewidth=0.8)
    inside_g(axes, 612)
    return axes


def pooled(axes: Axes, x: float, channels: int) -> None:
    """Draw how max pooling shrinks a layer's maps, which go into the features."""
    arrow(axes, (x, 196), (x, 268), colour=JUDGE)
    label(axes, (x + 6, 238), "max pooling", JUDGE, at="left")
    maps(axes, (x, 300), 2, channels, JUDGE, scale=8)
    label(axes, (x, 334), f"2 × 2 × {channels}", JUDGE)
    arrow(axes, (x, 346), (x, 368), (565, 368), (565, 342), colour=JUDGE)


def features() -> Axes:
    """Lesson 12: from what D has learned to a digit."""
    axes = sheet(444)
    picture(axes, (58, 130), 84, digit(STROKES[7]), REAL)
    label(axes, (58, 196), "real image\n28 × 28 × 1", REAL)
    box(axes, (325, 120), (370, 196), "", JUDGE)
    text = "D of lesson 02: three convolution layers,\nfrozen (their weights do not change)"
    label(axes, (325, 48), text, JUDGE)
    for x, size, channels in zip((205, 325, 448), (14, 7, 4), CHANNELS[::-1], strict=True):
        maps(axes, (x, 130), size, channels, JUDGE)
        label(axes, (x, 184), f"{size} × {size} × {channels}", JUDGE)
        pooled(axes, x, channels)
    for start, end in (102, 177), (234, 296), (354, 414):
        arrow(axes, (start, 130), (end, 130), colour=JUDGE)
    numbers(axes, (565, 270), 134, RANDOM[1])
    label(axes, (590, 166), "64 + 256 + 512\n= 832 features,\nside by side", JUDGE)
    arrow(axes, (577, 270), (608, 270))
    box(axes, (650, 270), (80, 60), "linear\nSVM", DARK, 12)
    arrow(axes, (691, 270), (717, 270))
    label(axes, (732, 270), "7", DARK, 22)
    label(axes, (732, 238), "digit")
    notes(
        axes,
        402,
        "Only the SVM is trained with labels. D was trained without labels.",
        "To compare, the SVM also reads digits from an untrained D, and from pixels.",
    )
    return axes


def person(seed: int = 3, hair: str = "Brown_Hair", **attributes: bool) -> np.ndarray:
    """Return a drawn face, uint8 (256, 256, 3); all without attributes are the same person."""
    every = dict.fromkeys(("Male", "Eyeglasses", "Smiling", "Young", "Bangs"), False)
    every |= {"Smiling": True, "Young": True} | attributes
    return np.asarray(drawn.face(np.random.default_rng(seed), drawn.HAIR[hair][0], **every))


def stargan() -> Axes:
    """Lesson 08: one generator, its target label, the way back, and D's two answers."""
    axes = sheet(474)
    black, blond = person(hair="Black_Hair"), person(hair="Blond_Hair")
    picture(axes, (60, 130), 96, black, REAL)
    label(axes, (60, 192), "photograph x", REAL)
    box(axes, (60, 262), (84, 28), "0 1 0 0 1", DARK)
    label(axes, (8, 306), "target c: blond hair,\nwoman, young", at="left")
    arrow(axes, (110, 120), (152, 120), colour=REAL)
    arrow(axes, (103, 262), (132, 262), (132, 140), (152, 140))
    box(axes, (212, 130), (116, 80), "generator\nG", FAKE, 13)
    picture(axes, (352, 130), 96, blond, FAKE)
    arrow(axes, (272, 130), (301, 130), colour=FAKE)
    label(axes, (352, 192), "G(x, c)", FAKE)
    box(axes, (448, 240), (84, 28), "1 0 0 0 1", DARK)
    label(axes, (498, 240), "original label c':\nblack hair, woman, young", at="left")
    arrow(axes, (402, 120), (480, 120), colour=FAKE)
    arrow(axes, (448, 225), (448, 140), (480, 140))
    box(axes, (540, 130), (116, 80), "the same\nG", FAKE, 13)
    arrow(axes, (600, 130), (637, 130), colour=FAKE)
    again = gaussian(black, 4, channel_axis=-1, preserve_range=True).astype("uint8")
    picture(axes, (688, 130), 96, again, FAKE)
    label(axes, (688, 200), "back again,\nG(G(x, c), c')", FAKE)
    label(axes, (374, 42), "3. reconstruction loss: mean absolute difference of these two")
    arrow(axes, (60, 80), (60, 42), (150, 42))
    arrow(axes, (688, 80), (688, 42), (598, 42))
    _two_answers(axes)
    return axes


def _two_answers(axes: Axes) -> None:
    box(axes, (352, 340), (130, 60), "discriminator\nD", JUDGE, 13)
    arrow(axes, (352, 204), (352, 309), colour=FAKE)
    label(axes, (212, 340), "or a real photograph", REAL, at="right")
    arrow(axes, (220, 340), (285, 340), colour=REAL)
    arrow(axes, (418, 326), (452, 326), colour=JUDGE)
    arrow(axes, (418, 354), (452, 354), colour=JUDGE)
    label(axes, (460, 326), "1. How real does it look?", JUDGE, at="left")
    label(axes, (460, 354), "2. Which attributes does it have?", JUDGE, at="left")
    notes(
        axes,
        402,
        "The five numbers of a label: black hair, blond hair, brown hair, male, young.",
        "G wants its images to look real (answer 1) and to show the attributes of c (answer 2).",
        "D learns answer 2 from real photographs and their labels.",
    )


def smaller(image: np.ndarray, size: int) -> np.ndarray:
    """Return a drawn face with as many pixels a side, each an average."""
    k = len(image) // size
    means = image.reshape(size, k, size, k, 3).mean(axis=(1, 3))
    return means.round().astype("uint8")


def pggan() -> Axes:
    """Lesson 10: new layers of 16 x 16 are faded in, in G, in C and in the real images."""
    axes = sheet(560)
    _grown_generator(axes)
    _faded_real_images(axes)
    _grown_critic(axes)
    notes(
        axes,
        520,
        "In the first half of a stage, α rises from 0 to 1. In the second half, α is 1.",
        "Grey: the old way to or from the image, which will disappear. The critic sees both kinds.",
    )
    return axes


def _grown_generator(axes: Axes) -> None:
    label(axes, (12, 22), "generator", FAKE, 15, "left")
    numbers(axes, (28, 110), 84, RANDOM[0, :12])
    label(axes, (28, 166), "z")
    arrow(axes, (40, 110), (66, 110))
    for x, name in (112, "layers of\n4 × 4"), (232, "layers of\n8 × 8"):
        box(axes, (x, 110), (88, 60), name, FAKE)
    arrow(axes, (157, 110), (187, 110), colour=FAKE)
    arrow(axes, (277, 98), (300, 98), (300, 60), (338, 60), colour=FAKE)
    arrow(axes, (277, 122), (300, 122), (300, 152), (338, 152), colour=FAKE)
    box(axes, (420, 60), (160, 48), "", PALE)
    label(axes, (420, 60), "1 × 1 convolution,\ntwice as large")
    box(axes, (420, 152), (160, 66), "new layers of\n16 × 16, then\n1 × 1 convolution", FAKE)
    arrow(axes, (501, 60), (584, 60), (584, 94), colour=PALE)
    arrow(axes, (501, 152), (584, 152), (584, 122), colour=FAKE)
    label(axes, (546, 46), "× (1 − α)", DARK, 12)
    label(axes, (542, 170), "× α", FAKE, 13)
    label(axes, (584, 107), "+", DARK, 18)
    arrow(axes, (597, 108), (640, 108), colour=FAKE)
    fake = smaller(person(hair="Blond_Hair", Bangs=True), 16)
    picture(axes, (690, 108), 92, fake, FAKE)
    label(axes, (690, 170), "fake image", FAKE)


def _faded_real_images(axes: Axes) -> None:
    label(axes, (12, 222), "real images", REAL, 15, "left")
    face = person(hair="Black_Hair")
    small, large = smaller(face, 8), smaller(face, 16)
    picture(axes, (250, 262), 92, small, PALE)
    label(axes, (250, 324), "8 × 8, enlarged")
    picture(axes, (420, 262), 92, large, REAL)
    label(axes, (420, 324), "16 × 16", REAL)
    label(axes, (158, 262), "(1 − α) ×", DARK, 13)
    label(axes, (334, 262), "+  α ×", DARK, 13)
    label(axes, (542, 262), "=", DARK, 18)
    mixed = (small.repeat(2, 0).repeat(2, 1) // 2 + large // 2).astype("uint8")
    picture(axes, (690, 262), 92, mixed, REAL)
    label(axes, (690, 324), "real, mixed", REAL)


def _grown_critic(axes: Axes) -> None:
    label(axes, (12, 362), "critic (from right to left)", JUDGE, 15, "left")
    for y in (108, 262):
        arrow(axes, (738, y), (752, y), (752, 420), (738, 420), colour=JUDGE)
    label(axes, (706, 420), "fake or\nreal", JUDGE)
    arrow(axes, (676, 412), (656, 412), (656, 372), (586, 372), colour=JUDGE)
    arrow(axes, (676, 428), (656, 428), (656, 464), (586, 464), colour=JUDGE)
    box(axes, (504, 372), (160, 48), "", PALE)
    label(axes, (504, 372), "half as large,\n1 × 1 convolution")
    box(axes, (504, 464), (160, 66), "1 × 1 convolution,\nthen new layers\nof 16 × 16", JUDGE)
    arrow(axes, (422, 372), (340, 372), (340, 404), colour=PALE)
    arrow(axes, (422, 464), (340, 464), (340, 434), colour=JUDGE)
    label(axes, (376, 358), "× (1 − α)", DARK, 12)
    label(axes, (380, 482), "× α", JUDGE, 13)
    label(axes, (340, 418), "+", DARK, 18)
    arrow(axes, (327, 418), (300, 418), colour=JUDGE)
    for x, name in (254, "layers of\n8 × 8"), (134, "layers of\n4 × 4"):
        box(axes, (x, 418), (88, 60), name, JUDGE)
    arrow(axes, (209, 418), (180, 418), colour=JUDGE)
    arrow(axes, (89, 418), (62, 418), colour=JUDGE)
    label(axes, (32, 418), "answer", JUDGE)


def faces() -> Axes:
    """Lesson 11: arithmetic with the z of faces."""
    axes = sheet(300)
    label(axes, (12, 24), "Arithmetic with the z of faces", DARK, 15, "left")
    man, woman = {"seed": 5, "Male": True, "hair": "Black_Hair"}, {"hair": "Brown_Hair"}
    terms = (
        ("man with\nglasses", person(**man, Eyeglasses=True)),
        ("man without\nglasses", person(**man)),
        ("woman without\nglasses", person(**woman)),
    )
    for number, (name, image) in enumerate(terms):
        x = 54 + 156 * number
        picture(axes, (x, 120), 84, image)
        numbers(axes, (x + 58, 120), 84, RANDOM[number])
        label(axes, (x, 186), name, FAKE)
        label(axes, (x + 96, 120), "−+="[number], DARK, 18)
    numbers(axes, (488, 120), 84, RANDOM[0] - RANDOM[1] + RANDOM[2])
    label(axes, (488, 186), "sum, set to\nusual length", FAKE)
    arrow(axes, (502, 120), (528, 120), colour=FAKE)
    box(axes, (562, 120), (60, 60), "G", FAKE, 14)
    arrow(axes, (596, 120), (632, 120), colour=FAKE)
    picture(axes, (680, 120), 84, person(**woman, Eyeglasses=True))
    label(axes, (680, 186), "woman with\nglasses?", FAKE)
    notes(
        axes,
        236,
        "A striped bar is a z. The first three are means over several faces. No pixels are added.",
        "The first judge (a classifier) finds such faces. The second judge counts the results.",
    )
    return axes


DRAWINGS = {
    "01": game,
    "02": dcgan,
    "03": latent_space,
    "04": losses,
    "05": wgan_gp,
    "06": cgan,
    "07": cyclegan,
    "08": stargan,
    "09": srgan,
    "10": pggan,
    "11": faces,
    "12": features,
}


def main() -> None:
    """Write all drawings."""
    FOLDER.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        path = FOLDER / f"{name}.png"
        write(draw(), path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
