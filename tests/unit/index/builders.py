"""Field files in the layouts that the index knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import netcdf_file

from hpctrain.config.data import Fields


def write_sphere(path: Path, shape=(8, 6, 16), variables=("temperature", "vx"), **options) -> Path:
    """A netCDF-3 file with dims (lat, r, lon); `shape` is (r, lat, lon)."""
    r, lat, lon = shape
    rng = np.random.default_rng(options.get("seed", 0))
    axes = {
        "lat": np.linspace(90, -90, lat),
        "r": np.linspace(3485, 6371, r),
        "lon": options.get("lon", np.arange(lon) * 360 / lon),
    }
    with netcdf_file(path, "w", version=options.get("version", 2)) as f:
        if "title" in options:
            f.title = options["title"]
        for name, values in axes.items():
            f.createDimension(name, len(values))
            f.createVariable(name, "d", (name,))[:] = values
        for name in variables:
            v = f.createVariable(name, options.get("dtype", "f"), ("lat", "r", "lon"))
            v.units = "K"
            v[:] = rng.standard_normal((lat, r, lon))
    return path


def write_boxes(folder: Path, count: int, size: int = 8, channels: int = 2, seed: int = 0) -> Path:
    """Npy files f0000.npy, ... of random numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        values = rng.standard_normal((channels, size, size, size))
        np.save(folder / f"f{i:04d}.npy", values.astype(np.float32))
    return folder


def box(root: Path, **options) -> Fields:
    """A `data:` block for npy boxes."""
    given = {"targets": ["f*.npy"], "validation_steps": 1, "crop": (2, 2, 2)} | options
    return Fields(kind="fields", root=str(root), geometry="box", **given)


def sphere(root: Path, **options) -> Fields:
    """A `data:` block for netCDF files of spheres."""
    given = {"targets": ["m*.nc"], "validation_steps": 1, "crop": (2, 2, 2)} | options
    return Fields(kind="fields", root=str(root), geometry="sphere", **given)
