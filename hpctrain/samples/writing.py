"""Letters written on a sheet, from the bitmap font that Pillow carries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

ADVANCE, LINE = 8, 11
"""Pixels of the font from letter to letter, and from line to line."""
MARGIN = 24
"""Pixels of the sheet that stay blank at each edge."""


def stroke_width(height: int) -> int:
    """How many pixels of a sheet of so many rows a pixel of the font becomes."""
    return min(14, max(6, (height - 2 * MARGIN) // (2 * LINE)))


def compose(shape: tuple[int, int], rng: np.random.Generator) -> list[str]:
    """Lines of random capital letters with some spaces, as many as a sheet has room for.

    Args:
        shape: rows and columns of the sheet.
        rng: decides on the letters.

    Returns:
        The lines, from the top; letters are random so that no language helps to guess them.
    """
    scale = stroke_width(shape[0])
    lines = max(0, shape[0] - 2 * MARGIN) // (LINE * scale)
    letters = (shape[1] - 2 * MARGIN) // (ADVANCE * scale)
    alphabet = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZ" + 4 * " "))
    return ["".join(line) for line in rng.choice(alphabet, (lines, letters))]


def draw(lines: list[str], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Where ink is.

    Args:
        lines: what to write, from the top left.
        shape: rows and columns of the sheet.

    Returns:
        (rows, columns), with rounded strokes `stroke_width` wide.
    """
    scale, font = stroke_width(shape[0]), ImageFont.load_default_imagefont()
    page = Image.new("1", (ADVANCE * max(map(len, lines), default=0) + 1, LINE * len(lines) + 1))
    for number, line in enumerate(lines):
        for position, letter in enumerate(line):
            # One by one, so that letters stand below each other whatever their own width.
            at = (position * ADVANCE, number * LINE)
            ImageDraw.Draw(page).text(at, letter, fill=1, font=font)
    large = np.kron(np.array(page, np.float32), np.ones((scale, scale), np.float32))
    ink = np.zeros(shape, np.float32)
    rows, columns = (min(a, b - MARGIN) for a, b in zip(large.shape, shape, strict=True))
    ink[MARGIN : MARGIN + rows, MARGIN : MARGIN + columns] = large[:rows, :columns]
    inked: NDArray[np.bool_] = gaussian_filter(ink, scale / 5) > 0.5
    return inked
