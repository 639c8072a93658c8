"""Folders of scroll data, by the names in them; nothing is opened.

Layouts as in the Vesuvius Challenge: `surface_volume/00.tif ... 64.tif` or `layers/00.tif ...`
beside inklabels.png, mask.png and ir.png; `NAME.volpkg/volumes/<id>/00000.tif ...`.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

from hpctrain.errors import DataError

SUFFIXES = (".tif", ".tiff")
LAYERS = ("surface_volume", "layers")
ZARR_PAGES = ("zarr.json", ".zgroup", ".zarray")


def is_volpkg(path: Path) -> bool:
    """Whether a folder is a volpkg package."""
    return (path / "volumes").is_dir()


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any((path / page).is_file() for page in ZARR_PAGES)


def layers_of(path: Path) -> Path | None:
    """The folder with the layers: of a fragment or segment, or the folder itself."""
    for name in LAYERS:
        if (path / name).is_dir():
            return path / name
    has_layers = any(p.suffix.lower() in SUFFIXES for p in path.iterdir())
    return path if has_layers else None


def layer_files(folder: Path) -> list[Path]:
    """TIFF files of a folder in the order of their layers.

    Raises:
        DataError: there is none, one is named unlike the others, or the numbers have a gap.
    """
    files = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != "."]
    if not files:
        raise DataError(f"{folder}: holds no .tif files; give the folder of the layers")
    _check_names(folder, files)
    files.sort(key=_natural)
    numbers = _numbers(files)
    steps = [after - before for before, after in pairwise(numbers)]
    step = min((n for n in steps if n), default=1)
    for number, own in enumerate(steps):
        if own != step:
            found = "is missing" if own else "is there twice"
            raise DataError(
                f"{folder}: layer {numbers[number] + (step if own else 0)} {found} (between "
                f"{files[number].name} and {files[number + 1].name}); a volume needs all of its "
                "layers, fetch it"
            )
    return files


def _numbers(files: list[Path]) -> list[int]:
    """The numbers of layers, which may stand within their names; empty: nothing counts them."""
    found = [[int(text) for text in re.findall(r"\d+", file.stem)] for file in files]
    if len({len(own) for own in found}) > 1:
        return []
    columns = [list(own) for own in zip(*found, strict=True)]
    varying = [own for own in columns if len(set(own)) > 1] or columns  # all alike: 1.tif, 01.tif
    return varying[0] if len(varying) == 1 else []


def _check_names(folder: Path, files: list[Path]) -> None:
    """Refuse a picture among the layers, which would count as one and hide that one is missing."""
    kinds = {file: re.sub(r"\d+", "#", file.stem) for file in files}
    counts = Counter(kinds.values())
    usual = max(counts, key=lambda kind: (counts[kind], kind == "#"))
    if len(counts) == 1 or (counts[usual] == 1 and usual != "#"):
        return  # nothing says which of a.tif, b.tif, c.tif is the odd one
    odd = min(file.name for file, kind in kinds.items() if kind != usual)
    like = min(file.name for file, kind in kinds.items() if kind == usual)
    raise DataError(
        f"{folder}: {odd} is named unlike the {counts[usual]} layers such as {like}; move it "
        "out of the folder, or name it like them"
    )


def _natural(path: Path) -> list[Any]:
    parts = re.split(r"(\d+)", path.name)
    return [int(p) if p.isdecimal() else p for p in parts]


def picture_of(path: Path, name: str) -> Path | None:
    """A picture beside the layers: `mask.png`, or `<id>_mask.png` as in segments; None: none.

    Args:
        path: fragment or segment, or a file, beside which `<stem>_mask.png` is looked for.
        name: such as mask.

    Raises:
        DataError: there are several.
    """
    if path.is_dir():
        plain = path / f"{name}.png"
        found = [plain] if plain.is_file() else sorted(path.glob(f"*_{name}.png"))
    else:
        found = [p for p in (path.with_name(f"{path.stem}_{name}.png"),) if p.is_file()]
    if len(found) > 1:
        raise DataError(f"{path}: {found[0].name} and {found[1].name}: keep one {name}")
    return found[0] if found else None
