"""A whole globe out of slabs: no jump where they meet, and the same as predict writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hpctrain.evaluate.fields import WholeFields
from tests.unit.data.builders import NAMES, axes_of, write_netcdf3
from tests.unit.predict.made import SMALL, make_run, run_predict, values_of

SHAPE = (16, 32, 64)
SLAB = 8
"""Input columns of a sample in the training; twice as many in the output."""


def smooth_flow(seed: int) -> dict[str, np.ndarray]:
    """Waves of low order around the globe, (r, lat, lon)."""
    rng = np.random.default_rng(seed)
    axes = axes_of(SHAPE)
    r = np.linspace(0, np.pi, SHAPE[0])[:, None, None]
    lat, lon = np.deg2rad(axes["lat"])[:, None], np.deg2rad(axes["lon"])
    fields = {}
    for name in NAMES:
        a, b, c = rng.uniform(0, 2 * np.pi, 3)
        field = np.sin(r + a) * np.cos(lat) * (np.sin(lon + b) + np.sin(2 * lon + c)) + np.sin(lat)
        fields[name] = field.astype(np.float32)
    return fields


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seams") / "data"
    folder.mkdir()
    for i in range(2):
        write_netcdf3(folder / f"m{i}.nc", smooth_flow(i), axes=axes_of(SHAPE))
    data = {"targets": ["m*.nc"], "crop": [4, 4, SLAB], "variables": list(NAMES)}
    train = {"task": "super_resolution", "upscale_factor": 2}
    return make_run(folder, data, {**train, "generator": {"kind": "srsgan", "channels": SMALL}})


def border_jump(field: np.ndarray) -> float:
    """Largest mean jump between columns where slabs meet, as a share of the largest elsewhere."""
    jumps = np.abs(field - np.roll(field, 1, axis=3)).mean((1, 2)).max(0)  # before each column
    borders = np.arange(len(jumps)) % (2 * SLAB) == 0
    return float(jumps[borders].max() / jumps[~borders].max())


def test_globe__has_no_seams_where_slabs_meet(run: Path, tmp_path: Path) -> None:
    """Vectors are turned into the frame of each slab, which this network has not learned to use."""
    assert border_jump(WholeFields(run).generated(0)) < 1.1
    # side by side, as samples lie in the training, they do not fit
    tile = (4, 8, SLAB)
    assert border_jump(values_of(run, tmp_path, tile=tile, overlap=0, has_noise=False)) > 2


def test_fields__are_those_of_predict(run: Path, tmp_path: Path) -> None:
    source = WholeFields(run)
    without = values_of(run, tmp_path, has_noise=False)
    np.testing.assert_array_equal(source.generated(0), without)
    run_predict(run, tmp_path / "members", members=2, kind="npy")
    drawn = np.full((2, *without.shape), np.nan, np.float32)
    for cells, members in source.members(0, 2):
        for member, values in zip(drawn, members, strict=True):
            member[(slice(None), *cells)] = values
    for i, values in enumerate(drawn):
        expected = np.load(tmp_path / "members" / f"m1-member-{i}.npy")
        np.testing.assert_array_equal(values, expected)
    assert np.abs(drawn[0] - drawn[1]).mean() > 0.01


def test_fields__do_not_depend_on_the_memory_for_tiles(run: Path) -> None:
    ample, scarce = WholeFields(run), WholeFields(run, memory_mb=1)
    assert scarce.num_tiles > ample.num_tiles
    np.testing.assert_allclose(scarce.generated(0), ample.generated(0), rtol=1e-5, atol=1e-5)
