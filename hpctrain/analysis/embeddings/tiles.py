"""Thumbnails as sheets of tiles: a few JPEG files instead of ten thousand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hpctrain.analysis.embeddings.blocks import Array

COLUMNS = 32
PER_SHEET = COLUMNS * COLUMNS
_QUALITY = 80


def write_tiles(folder: Path, name: str, thumbs: Array, chosen: Array) -> dict[str, Any]:
    """Write the sheets of one branch.

    Args:
        folder: where; must be there.
        name: of the branch.
        thumbs: (T, H, W, C) uint8.
        chosen: (M,) which of them the page's points have; -1: none, whose tile stays grey.

    Returns:
        What the page must know: size of a tile, tiles in a row and on a sheet, names of the files.
    """
    height, width, channels = thumbs.shape[1:]
    files = []
    for start in range(0, len(chosen), PER_SHEET):
        own = chosen[start : start + PER_SHEET]
        rows = -(-len(own) // COLUMNS)
        sheet = np.full((rows * height, COLUMNS * width, channels), 160, np.uint8)
        for i, number in enumerate(own):
            if number >= 0:
                y, x = (i // COLUMNS) * height, (i % COLUMNS) * width
                sheet[y : y + height, x : x + width] = thumbs[number]
        file = folder / f"{name}_{start // PER_SHEET:03d}.jpg"
        picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
        picture.save(file, quality=_QUALITY)
        files.append(f"{folder.name}/{file.name}")
    size = {"width": width, "height": height}
    return {**size, "columns": COLUMNS, "per_sheet": PER_SHEET, "files": files}
