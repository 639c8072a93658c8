"""Files of the Vesuvius Challenge: a scan's .volpkg folder, and a fragment as Kaggle has it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

VOXEL_UM = 7.91
MATERIAL_UM = 95.0
"""Thickness of papyrus, which a .volpkg states in micrometres."""
PACKAGE, FRAGMENT = "scroll.volpkg", "train/1"


def volume_names(volume: str, slices: int) -> list[str]:
    """All files of a package with one volume, below its parent."""
    folder = f"{PACKAGE}/volumes/{volume}"
    tifs = [f"{folder}/{number:05d}.tif" for number in range(slices)]
    return [f"{PACKAGE}/config.json", f"{folder}/meta.json", *tifs]


def fragment_names(layers: int) -> list[str]:
    """All files of a flattened and labelled surface."""
    tifs = [f"{FRAGMENT}/surface_volume/{layer:02d}.tif" for layer in range(layers)]
    others = ("inklabels.png", "inklabels_rle.csv", "ir.png", "mask.png")
    return [*tifs, *(f"{FRAGMENT}/{name}" for name in others)]


class Volume:
    """Writes the horizontal slices of one volume, in any order, then what describes them."""

    def __init__(self, parent: Path, volume: str, shape: tuple[int, int, int]) -> None:
        self.volume, self.shape = volume, shape
        self._package = parent / PACKAGE
        self._folder = self._package / "volumes" / volume
        self._folder.mkdir(parents=True)
        self._ranges: dict[int, tuple[int, int]] = {}

    def write(self, first: int, slices: NDArray[np.uint16]) -> None:
        """Write slices (z, y, x) that follow each other from a number on."""
        for number, slice_ in enumerate(slices, first):
            tifffile.imwrite(self._folder / f"{number:05d}.tif", slice_, metadata=None)
            self._ranges[number] = int(slice_.min()), int(slice_.max())

    def finish(self, name: str) -> None:
        """Write meta.json, whose range is that of all slices, and the package's config.json."""
        slices, height, width = self.shape
        lows, highs = zip(*self._ranges.values(), strict=True)
        meta = {
            "height": height,
            "max": float(max(highs)),
            "min": float(min(lows)),
            "name": name,
            "slices": slices,
            "type": "vol",
            "uuid": self.volume,
            "voxelsize": VOXEL_UM,
            "width": width,
        }
        config = {"materialthickness": MATERIAL_UM, "name": "hpctrain sample scroll", "version": 6}
        (self._folder / "meta.json").write_text(json.dumps(meta, indent=2) + "\n")
        (self._package / "config.json").write_text(json.dumps(config, indent=2) + "\n")


class SurfaceVolume:
    """Writes layers of a flattened surface, some rows at a time; only those are in memory."""

    def __init__(self, parent: Path, layers: int, shape: tuple[int, int]) -> None:
        folder = parent / FRAGMENT / "surface_volume"
        folder.mkdir(parents=True)
        self._layers = [
            tifffile.memmap(folder / f"{n:02d}.tif", shape=shape, dtype=np.uint16, metadata=None)
            for n in range(layers)
        ]

    def write(self, row: int, values: NDArray[np.uint16]) -> None:
        """Write one row of all layers, (layers, columns)."""
        for layer, line in zip(self._layers, values, strict=True):
            layer[row] = line

    def close(self) -> None:
        """Hand what was written to the system."""
        for layer in self._layers:
            layer.flush()
        self._layers.clear()


def write_labels(
    parent: Path, ink: NDArray[np.bool_], mask: NDArray[np.bool_], infrared: NDArray[np.uint8]
) -> None:
    """Write inklabels.png, its run lengths, mask.png and ir.png, each (rows, columns)."""
    folder = parent / FRAGMENT
    Image.fromarray(ink.astype(np.uint8) * 255).save(folder / "inklabels.png")
    Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "mask.png")
    Image.fromarray(infrared).save(folder / "ir.png")
    (folder / "inklabels_rle.csv").write_text(f"Id,Predicted\n1,{run_lengths(ink)}\n")


def run_lengths(mask: NDArray[np.bool_]) -> str:
    """Start and length of each run of true pixels, row after row, counted from 1."""
    flat = np.concatenate([[False], mask.ravel(), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    starts, ends = changes[::2], changes[1::2]
    pairs = np.stack([starts + 1, ends - starts], axis=1)
    return " ".join(map(str, pairs.ravel()))
