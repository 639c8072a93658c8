"""Fields written box by box in any order, and read again by numpy, scipy and zarr."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.io import netcdf_file

from hpctrain.errors import ConfigError
from hpctrain.formats.field_files import open_group
from hpctrain.formats.field_writer import Box, FieldSheet, field_writer
from hpctrain.formats.netcdf3 import Entry, header
from hpctrain.index.headers.file import read_header
from tests.unit.data.builders import box, sphere

SHAPE = (5, 6, 7)
SHEET = FieldSheet(
    ("temperature", "vx"),
    SHAPE,
    ("r", "lat", "lon"),
    ("K", ""),
    {"r": np.arange(5.0), "lat": 50.0 - 20 * np.arange(6.0), "lon": np.arange(7) * 360 / 7},
    {"lat": "degrees_north"},
    {"title": "é"},
    tile=(2, 3, 4),
)


def boxes(tile: tuple[int, int, int]) -> list[Box]:
    spans = [[(a, min(a + t, n)) for a in range(0, n, t)] for n, t in zip(SHAPE, tile, strict=True)]
    return [(a, b, c) for a, b, c in itertools.product(*spans)]


def write(path: Path, tile: tuple[int, int, int] = (2, 3, 4)) -> np.ndarray:
    """Two writers of one file take turns, as two processes would."""
    values = np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)
    writers = [field_writer(path, SHEET) for _ in range(2)]
    writers[0].create()
    for i, spans in enumerate(reversed(boxes(tile))):
        part = values[(slice(None), *(slice(*span) for span in spans))]
        writers[i % 2].write(spans, part)
    for writer in writers:
        writer.sync()
    return values


@pytest.mark.parametrize("tile", [(2, 3, 4), (1, 6, 7), (2, 2, 7), (5, 6, 7), (5, 1, 1)])
@pytest.mark.parametrize("suffix", [".npy", ".nc"])
def test_writer__every_shape_of_box_lands_in_its_place(
    tmp_path: Path, tile: tuple[int, int, int], suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    values = write(path, tile)
    if suffix == ".npy":
        assert np.array_equal(np.load(path), values)
    group = open_group([path], sphere(tmp_path), is_input=False)
    assert group.group.names == SHEET.names
    assert group.units == SHEET.units
    found = np.concatenate([np.asarray(block[:]) for _, block in group.blocks])
    assert np.array_equal(found, values)
    for name, x in zip(SHEET.dims, group.coordinates, strict=True):
        assert np.array_equal(x, SHEET.coordinates[name])


def test_netcdf__is_read_by_scipy(tmp_path: Path) -> None:
    values = write(tmp_path / "a.nc")
    with netcdf_file(tmp_path / "a.nc", mmap=False) as file:
        assert file.title.decode() == "é"
        assert file.variables["lat"].units == b"degrees_north"
        assert file.variables["temperature"].dimensions == ("r", "lat", "lon")
        assert file.variables["temperature"].units == b"K"
        assert np.array_equal(file.variables["vx"][:], values[1])


def test_zarr__is_a_group_as_xarray_has_it(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    values = write(tmp_path / "a.zarr")
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="r")
    assert group.attrs["title"] == "é"
    assert np.array_equal(group["temperature"][:], values[0])
    assert np.array_equal(group["lon"][:], SHEET.coordinates["lon"])
    assert group["temperature"].metadata.dimension_names == SHEET.dims
    assert dict(group["temperature"].attrs) == {"units": "K"}
    assert all(n % c == 0 for n, c in zip(SHEET.tile, group["vx"].chunks, strict=True))


def test_writer__unknown_suffix_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no writer for this suffix; choose from .npy, .nc"):
        field_writer(tmp_path / "a.csv", SHEET)


def test_netcdf__of_more_than_4_gib_a_variable_has_wide_counts(tmp_path: Path) -> None:
    path, sizes = tmp_path / "a.nc", {"x": 1100, "y": 1000, "z": 1000}
    entries = [Entry(name, tuple(sizes), "f4", {"units": "K"}) for name in ("a", "b")]
    head, offsets = header(sizes, entries, {"title": "large", "count": 3, "factor": 0.5})
    assert offsets == [len(head), len(head) + 4_400_000_000]
    with path.open("wb") as file:  # a sparse file
        file.write(head)
        file.truncate(offsets[1] + 4_400_000_000)
    found = read_header(path)
    assert head[:4] == b"CDF\x05"
    assert [(a.name, a.shape, a.dtype, a.offset) for a in found.arrays] == [
        (name, (1100, 1000, 1000), ">f4", offset)
        for name, offset in zip(("a", "b"), offsets, strict=True)
    ]
    assert dict(found.attributes) == {"title": "large", "count": 3, "factor": 0.5}
    assert found.arrays[0].attributes["units"] == "K"


def test_npy__without_coordinates_is_a_plain_file_to_numpy(tmp_path: Path) -> None:
    sheet = FieldSheet(("a",), SHAPE, ("x", "y", "z"))
    writer = field_writer(tmp_path / "a.npy", sheet)
    writer.create()
    writer.write(((0, 5), (0, 6), (0, 7)), np.ones((1, *SHAPE), np.float32))
    writer.sync()
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.ones((1, *SHAPE)))
    assert open_group([tmp_path / "a.npy"], box(tmp_path), is_input=False).units == ("",)
