"""The volume of benchmarks/scroll_cubes.py: a scan's slices as TIFF, and the same converted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

SLICES = "slices"
STORES = {"zarr": ("zarr", "--chunk", "32"), "plain": ("zarr", "--codec", "none", "--chunk", "32")}
"""Folder of each converted volume to the options of `hpctrain convert`."""


def make(folder: Path, shape: tuple[int, int, int]) -> None:
    """Write what is not there yet.

    Args:
        folder: for all of them.
        shape: cells, (z, y, x).
    """
    slices = folder / SLICES
    slices.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    wraps = _wraps(shape[1:])
    for z in range(shape[0]):
        path = slices / f"{z:05d}.tif"
        noise = rng.normal(0, 900, shape[1:])
        if not path.is_file():
            shifted = np.roll(wraps, z // 4, axis=0)
            values = np.clip(shifted + noise, 0, 65535).astype(np.uint16)
            tifffile.imwrite(path, values, metadata=None)
    for name, (to, *options) in STORES.items():
        words = [sys.executable, "-m", "hpctrain", "convert", str(slices), "--to", to, *options]
        subprocess.run([*words, "--out", str(folder / name)], check=True, stdout=subprocess.DEVNULL)


def _wraps(plane: tuple[int, ...]) -> NDArray[np.float64]:
    """Grey values of a slice: wraps of a spiral around its middle, air between them."""
    y, x = np.mgrid[: plane[0], : plane[1]].astype(np.float64)
    y, x = y - plane[0] / 2, x - plane[1] / 2
    phase = np.hypot(y, x) / 12 - np.arctan2(y, x) / (2 * np.pi)
    return 14000 + 16000 * (np.cos(2 * np.pi * phase) > 0.3)
