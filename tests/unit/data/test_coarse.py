"""Block means against a reshape, and what is read for them."""

import threading

import numpy as np
import pytest

from hpctrain.data.coarse import CoarseFields, block_mean
from hpctrain.data.geometry import MODES
from hpctrain.data.source import FieldSource
from hpctrain.errors import DataError
from hpctrain.index.fields.grid import plan_grid

from . import builders
from .builders import SHAPE, padded, random_values, sphere, write_netcdf3, write_spheres


def coarse_of(root, names, factor=2, **options):
    source = FieldSource(root, [(n,) for n in names], sphere(root), is_input=False)
    grid = plan_grid("m", "sphere", SHAPE)
    source.use(grid)
    a, b, c = (n // factor for n in SHAPE)
    return CoarseFields(source, (a, b, c), factor, MODES["sphere"], **options)


def cut(coarse, file, start, size, halo):
    out = np.full((4, *(n + 2 * halo for n in size)), np.nan, np.float32)
    coarse.read(file, start, size, halo, out)
    return out


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_block_mean__equals_the_mean_of_a_reshape(factor):
    x = np.random.default_rng(0).standard_normal((3, 8, 4, 12)).astype(np.float32)
    kept = x.copy()
    np.testing.assert_allclose(block_mean(x, factor), builders.block_mean(x, factor), atol=1e-6)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("start", [(0, 0, 0), (2, 3, 5), (2, 0, 7), (1, 4, 6)])
def test_coarse__halo_crosses_date_line_pole_and_shells(tmp_path, start):
    values = write_spheres(tmp_path, 2)
    coarse = coarse_of(tmp_path, ["m0.nc", "m1.nc"])
    full = padded(builders.block_mean(values[1], 2), 3)
    full = np.concatenate([full, full[:, :, :, 6:]], 3)  # a crop may start at any column
    a, b, c = start
    expected = full[:, a : a + 8, b : b + 8, c : c + 10]
    np.testing.assert_allclose(cut(coarse, 1, start, (2, 2, 4), 3), expected, atol=1e-6)


@pytest.mark.parametrize("layout", [("lat", "r", "lon"), ("r", "lat", "lon"), ("lon", "r", "lat")])
def test_coarse__only_rows_of_the_slow_axis_that_are_needed_are_read(tmp_path, layout):
    values = random_values()
    bad = [0, 0, 0]
    axis = ("r", "lat", "lon").index(layout[0])
    bad[axis] = SHAPE[axis] - 1  # in the last coarse row of the slowest axis
    values["temperature"][tuple(bad)] = np.nan
    write_netcdf3(tmp_path / "m0.nc", values, layout)
    coarse = coarse_of(tmp_path, ["m0.nc"])
    size = [2, 2, 2]
    assert np.isfinite(cut(coarse, 0, (1, 1, 1), tuple(size), 0)).all()
    start = [1, 1, 1]
    start[axis] = SHAPE[axis] // 2 - 2
    with pytest.raises(DataError, match="'temperature' is nan"):
        cut(coarse, 0, tuple(start), tuple(size), 0)


def test_coarse__memory_is_bounded_and_old_fields_come_back(tmp_path):
    values = write_spheres(tmp_path, 4)
    one = 4 * 4 * (4 * 6 * 8)
    coarse = coarse_of(tmp_path, [f"m{i}.nc" for i in range(4)], kept_bytes=2 * one + 1)
    for i in (0, 1, 2, 3, 0):
        expected = builders.block_mean(values[i], 2)
        np.testing.assert_allclose(cut(coarse, i, (0, 0, 0), (4, 6, 8), 0), expected, atol=1e-6)
        assert len(coarse._entries) <= 2
    tiny = coarse_of(tmp_path, ["m0.nc"], kept_bytes=1)
    assert np.isfinite(cut(tiny, 0, (0, 0, 0), (4, 6, 8), 0)).all()


def test_coarse__threads_get_the_same_numbers(tmp_path):
    values = write_spheres(tmp_path, 3)
    coarse = coarse_of(tmp_path, [f"m{i}.nc" for i in range(3)])
    expected = [padded(builders.block_mean(v, 2), 1) for v in values]
    wrong = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(30):
            i, row = int(rng.integers(3)), int(rng.integers(5))
            found = cut(coarse, i, (0, row, 0), (4, 2, 8), 1)
            if not np.allclose(found, expected[i][:, :, row : row + 4], atol=1e-6):
                wrong.append((i, row))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
