"""Spheres and boxes on disk, and data sets over them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
from scipy.io import netcdf_file

from hpctrain.config.data import Fields
from hpctrain.data import FieldDataset
from hpctrain.index import build_fields_index

NAMES = ("temperature", "vx", "vy", "vz")
LAYOUT = ("lat", "r", "lon")
SHAPE = (8, 12, 16)


def random_values(shape=SHAPE, names=NAMES, seed=0):
    """Variables of random numbers, each (r, lat, lon) float32."""
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal(shape).astype(np.float32) for name in names}


def axes_of(shape):
    """Cell-centred coordinates of a whole sphere."""
    r, lat, lon = shape
    return {
        "r": np.linspace(3500, 6300, r),
        "lat": 90 - (np.arange(lat) + 0.5) * 180 / lat,
        "lon": np.arange(lon) * 360 / lon,
    }


def in_layout(values, layout):
    return np.transpose(values, [("r", "lat", "lon").index(name) for name in layout])


def write_netcdf3(path, values, layout=LAYOUT, axes=None, dtype=">f4", **attributes) -> Path:
    """(r, lat, lon) variables in a netCDF-3 file whose dimensions stand in another order."""
    axes = axes or axes_of(next(iter(values.values())).shape)
    with netcdf_file(path, "w", version=2) as f:
        for name, x in axes.items():
            f.createDimension(name, len(x))
            f.createVariable(name, "d", (name,))[:] = x
        for name, x in values.items():
            variable = f.createVariable(name, np.dtype(dtype), layout)
            variable.units = "m/s" if name.startswith("v") else "K"
            for key, value in attributes.items():
                setattr(variable, key, value)
            variable[:] = in_layout(x, layout)
    return path


def write_netcdf4(path, values, layout=LAYOUT, **options) -> Path:
    """The same as HDF5 with dimension scales, as netCDF-4 writes it."""
    with h5py.File(path, "w", track_order=True) as f:
        for name, x in axes_of(next(iter(values.values())).shape).items():
            f[name] = x
            f[name].make_scale(name)
        for name, x in values.items():
            data = f.create_dataset(name, data=in_layout(x, layout), **options)
            data.attrs["units"] = "K"
            for i, axis in enumerate(layout):
                data.dims[i].attach_scale(f[axis])
    return path


def write_spheres(folder, count=3, shape=SHAPE, writer=write_netcdf3, **options):
    """Files m0.nc, ...; returns their values, each (C, r, lat, lon)."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = [random_values(shape, seed=i) for i in range(count)]
    for i, values in enumerate(fields):
        writer(folder / f"m{i}.nc", values, **options)
    return [np.stack(list(values.values())) for values in fields]


def write_boxes(folder, count=3, size=8, channels=2, seed=0):
    """Files f0.npy, ...; returns their values."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    fields = rng.standard_normal((count, channels, size, size, size)).astype(np.float32)
    for i, values in enumerate(fields):
        np.save(folder / f"f{i}.npy", values)
    return list(fields)


def sphere(root, **options) -> Fields:
    given = {"targets": ["m*.nc"], "validation_steps": 1, "crop": (2, 3, 4)} | options
    given.setdefault("normalization", "none")
    return Fields(kind="fields", root=str(root), geometry="sphere", **given)


def box(root, **options) -> Fields:
    given = {"targets": ["f*.npy"], "validation_steps": 1, "crop": (2, 2, 2)} | options
    given.setdefault("normalization", "none")
    return Fields(kind="fields", root=str(root), geometry="box", **given)


def dataset(fields, split="train", factor=2, halo=1, seed=0, **options) -> FieldDataset:
    index = build_fields_index(fields, factor, Path("/"))
    return FieldDataset(fields, index, split, factor, halo, seed, **options)


def read(data, i, epoch=0):
    """Input and target of one sample."""
    x = np.full(data.input_shape, np.nan, np.float32)
    y = np.full(data.target_shape, np.nan, np.float32)
    data.read_into(i, epoch, x, y)
    return x, y


def block_mean(x, f):
    """Reference by reshape, in float64."""
    c, a, b, d = x.shape
    return x.reshape(c, a // f, f, b // f, f, d // f, f).mean((2, 4, 6), dtype=np.float64)


def padded(x, halo):
    """Reference halo of a sphere: shells repeated, latitude mirrored, longitude wrapped."""
    x = np.pad(x, ((0, 0), (halo, halo), (0, 0), (0, 0)), "edge")
    x = np.pad(x, ((0, 0), (0, 0), (halo, halo), (0, 0)), "symmetric")
    return np.pad(x, ((0, 0), (0, 0), (0, 0), (halo, halo)), "wrap")
