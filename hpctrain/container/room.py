"""How much space a build needs where, and whether it is there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpctrain.errors import ImageError

GB = 10**9


@dataclass(frozen=True)
class Need:
    """Space that is wanted in a folder.

    Attributes:
        what: what it is for.
        folder: where; it need not be there yet.
        size_gb: how much.
        remedy: how to have it elsewhere.
    """

    what: str
    folder: Path
    size_gb: float
    remedy: str


def needs(
    sizes: Mapping[str, float], missing: Sequence[str], places: Mapping[str, Path]
) -> list[Need]:
    """What a build of some layers needs.

    Args:
        sizes: GB of each layer's image (`image` for a whole that is not cut into layers), and
            `unpacked`, the largest while it is built.
        missing: layers that are still to be built.
        places: folders for `cache`, `tmp` and `image`.
    """
    wanted = sum(sizes.get(name, sizes["image"]) for name in missing)
    remedies = {
        "cache": (
            "set XDG_CACHE_HOME to a folder with more room, or remove layers: "
            "hpctrain container prune --all"
        ),
        "tmp": "name a folder on a local disk with --tmp",
        "image": "name another place with --output",
    }
    amounts = {
        "cache": wanted,
        "tmp": sizes["unpacked"] if missing else 0.0,
        "image": sizes["image"],
    }
    return [Need(name, places[name], amounts[name], remedies[name]) for name in amounts]


def refuse_small(wanted: Sequence[Need]) -> None:
    """Compare with what is free; folders on one disk share it.

    Raises:
        ImageError: there is too little.
    """
    by_disk: dict[int, list[Need]] = {}
    for need in wanted:
        by_disk.setdefault(os.stat(existing(need.folder)).st_dev, []).append(need)
    for group in by_disk.values():
        free = shutil.disk_usage(existing(group[0].folder)).free / GB
        total = sum(need.size_gb for need in group)
        if total > free:
            places = ", ".join(f"{n.size_gb:.1f} GB in {n.folder} ({n.what})" for n in group)
            largest = max(group, key=lambda need: need.size_gb)
            raise ImageError(
                f"the build needs {places}, and {free:.1f} GB are free there; {largest.remedy}"
            )


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
