"""Drawn faces, which stand in for photographs: nobody takes them for real."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from utils.topics.faces import files

COUNTS = {"train": 600, "validation": 100, "test": 100}
HAIR = {  # colour, and how often
    "Black_Hair": ((25, 22, 20), 0.35),
    "Brown_Hair": ((110, 65, 30), 0.30),
    "Blond_Hair": ((225, 195, 110), 0.25),
    "Gray_Hair": ((165, 165, 165), 0.10),
}
SKIN = ((245, 215, 190), (225, 180, 145), (170, 120, 85), (110, 75, 55))
SHARES = {"Male": 0.5, "Eyeglasses": 0.3, "Smiling": 0.5, "Young": 0.7, "Bangs": 0.3}
DRAWN = (*HAIR, *SHARES)  # the attributes that a drawing shows
SIDE = 256  # a face is drawn so large, then reduced


def load(split: str, image_size: int, part: str = "small") -> files.Faces:
    """Draw the faces of a split and a part, the same every time, and others than all the rest.

    Returns:
        As `files.load`; attributes that are not in DRAWN are 0 for all.
    """
    seed = list(COUNTS).index(split) + 100 * files.PARTS.index(part)
    rng = np.random.default_rng(seed)
    n = COUNTS[split]
    labels = np.zeros((n, len(files.ATTRIBUTES)), "float32")
    images = np.empty((n, image_size, image_size, 3), "uint8")
    for i in range(n):
        hair = rng.choice(list(HAIR), p=[share for _, share in HAIR.values()])
        others = {name: rng.random() < share for name, share in SHARES.items()}
        for name in (hair, *(name for name, has in others.items() if has)):
            labels[i, files.ATTRIBUTES.index(name)] = 1
        made = face(rng, HAIR[hair][0], **others)
        images[i] = made.resize((image_size, image_size), Image.Resampling.BOX)
    return images, np.arange(1, n + 1), labels


def face(
    rng: np.random.Generator,
    hair: tuple[int, int, int],
    Male: bool,
    Eyeglasses: bool,
    Smiling: bool,
    Young: bool,
    Bangs: bool,
) -> Image.Image:
    """Draw one face on a plain ground, 256 x 256; `rng` decides skin, ground, place and size."""
    picture = Image.new("RGB", (SIDE, SIDE), tuple(rng.integers(60, 220, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    skin = SKIN[rng.integers(len(SKIN))]
    dark = tuple(value // 2 for value in skin)
    x, y = 128 + rng.integers(-6, 7, 2)
    wide, high = 62 + rng.integers(-5, 6), 82 + rng.integers(-5, 6)
    bottom = y + (10 if Male else 110)  # of the hair: short or long
    draw.rounded_rectangle((x - wide - 16, y - high - 20, x + wide + 16, bottom), 60, fill=hair)
    draw.rectangle((x - 24, y + 60, x + 24, SIDE), fill=skin)  # neck
    draw.ellipse((x - wide, y - high, x + wide, y + high), fill=skin)
    top = y - high
    draw.chord((x - wide, top - 6, x + wide, top + (100 if Bangs else 50)), 180, 360, fill=hair)
    for eye in (x - 27, x + 27):
        draw.ellipse((eye - 12, y - 20, eye + 12, y - 6), fill="white")
        draw.ellipse((eye - 6, y - 20, eye + 6, y - 6), fill=(40, 30, 30))
        draw.line((eye - 14, y - 30, eye + 14, y - 30), fill=hair, width=6 if Male else 3)
        if Eyeglasses:
            draw.ellipse((eye - 22, y - 34, eye + 22, y + 8), outline=(10, 10, 10), width=5)
    if Eyeglasses:
        draw.line((x - 6, y - 13, x + 6, y - 13), fill=(10, 10, 10), width=5)
    draw.line((x, y - 5, x - 6, y + 22, x + 4, y + 22), fill=dark, width=4)  # nose
    if Smiling:
        draw.chord((x - 28, y + 22, x + 28, y + 62), 0, 180, fill="white", outline=(170, 40, 50))
    else:
        draw.line((x - 20, y + 46, x + 20, y + 46), fill=(170, 60, 60), width=7)
    if not Young:
        for crease in (y - 52, y - 44):
            draw.line((x - 26, crease, x + 26, crease), fill=dark, width=3)
    return picture
