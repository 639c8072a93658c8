"""Samples: geometry, frames, augmentation."""

from pathlib import Path

import numpy as np
import pytest

from hpctrain.data import Scales
from hpctrain.errors import DataError

from .builders import (
    SHAPE,
    axes_of,
    block_mean,
    box,
    dataset,
    padded,
    random_values,
    read,
    sphere,
    write_boxes,
    write_netcdf3,
    write_spheres,
)

COSMOLOGY = Path(__file__).parents[4] / "shared" / "data" / "cosmology"
STILL = {"augment": {"roll_longitude": False}}


def turned(x, angle):
    x = x.copy()
    x[1], x[2] = (
        x[1] * np.cos(angle) - x[2] * np.sin(angle),
        x[1] * np.sin(angle) + x[2] * np.cos(angle),
    )
    return x


def test_dataset__samples_tile_every_file(tmp_path):
    values = write_spheres(tmp_path)
    data = dataset(sphere(tmp_path, **STILL))
    assert len(data) == 2 * (2 * 2 * 2)
    count = np.zeros((2, *SHAPE), int)
    for i in range(len(data)):
        file, anchor = divmod(i, 8)
        r, lat, lon = (2 * a for a in data.anchors[anchor])
        where = np.s_[r : r + 4, lat : lat + 6, lon : lon + 8]
        np.testing.assert_array_equal(read(data, i)[1], values[file][(slice(None), *where)])
        count[file][where] += 1
    assert (count == 1).all()


def test_dataset__last_anchor_is_flush_where_the_crop_does_not_divide(tmp_path):
    write_spheres(tmp_path)
    data = dataset(sphere(tmp_path, crop=(3, 4, 3), **STILL))
    starts = [sorted({a[k] for a in data.anchors}) for k in range(3)]
    assert starts == [[0, 1], [0, 2], [0, 3, 6]]  # the last in longitude wraps around
    data = dataset(sphere(tmp_path, crop=(4, 2, 4), stride=(4, 4, 2), **STILL))
    assert [sorted({a[k] for a in data.anchors}) for k in range(3)] == [[0], [0, 4], [0, 2, 4, 6]]


@pytest.mark.parametrize("halo", [0, 1, 3])
def test_dataset__input_is_the_block_mean_with_its_halo(tmp_path, halo):
    values = write_spheres(tmp_path)
    data = dataset(sphere(tmp_path, **STILL), halo=halo)
    full = [padded(block_mean(v, 2), halo) for v in values]
    for i in range(len(data)):
        file, anchor = divmod(i, 8)
        where = tuple(
            slice(s, s + n + 2 * halo) for s, n in zip(data.anchors[anchor], (2, 3, 4), strict=True)
        )
        expected = full[file][(slice(None), *where)]
        np.testing.assert_allclose(read(data, i)[0], expected, atol=1e-6)


def test_dataset__given_inputs_are_paired_with_the_same_halo(tmp_path):
    fine = write_boxes(tmp_path / "hr", 3, 8)
    coarse = write_boxes(tmp_path / "lr", 3, 4, seed=1)
    data = dataset(box(tmp_path, targets=["hr/f*.npy"], inputs=["lr/f*.npy"]), halo=2)
    assert (data.input_shape, data.target_shape) == ((2, 6, 6, 6), (2, 4, 4, 4))
    for i in range(len(data)):
        file, anchor = divmod(i, len(data.anchors))
        a, b, c = data.anchors[anchor]
        x, y = read(data, i)
        full = np.pad(coarse[file], ((0, 0), (2, 2), (2, 2), (2, 2)), "wrap")
        np.testing.assert_array_equal(x, full[:, a : a + 6, b : b + 6, c : c + 6])
        where = np.s_[:, 2 * a : 2 * a + 4, 2 * b : 2 * b + 4, 2 * c : 2 * c + 4]
        np.testing.assert_array_equal(y, fine[file][where])


def test_dataset__given_inputs_of_a_sphere_are_resampled_in_memory(tmp_path):
    def linear(shape):
        r, lat, _ = np.meshgrid(*axes_of(shape).values(), indexing="ij")
        return {"temperature": (r * 1e-3 + lat).astype(np.float32)}

    for i in range(2):
        write_netcdf3(tmp_path / f"m{i}.nc", {n: x + i for n, x in linear(SHAPE).items()})
        coarse = {n: x + i for n, x in linear((4, 6, 8)).items()}
        write_netcdf3(tmp_path / f"lr{i}.nc", coarse)
    fields = sphere(tmp_path, inputs=["lr*.nc"], grid=(4, 8, 8), crop=(2, 4, 4))
    x, y = read(dataset(fields), 0)
    assert (x.shape, y.shape) == ((1, 4, 6, 6), (1, 4, 8, 8))
    step = x[0, 1, 2, 1] - x[0, 1, 3, 1]
    assert step == pytest.approx(180 / 4)
    assert y[0, 0, 2, 0] - y[0, 0, 3, 0] == pytest.approx(180 / 8)
    np.testing.assert_allclose(x[:, :, :, 0], x[:, :, :, 3], rtol=1e-5)


def test_frame__radial_velocity_is_that_of_the_rolled_columns(tmp_path):
    values = write_spheres(tmp_path)
    data = dataset(sphere(tmp_path), "train")
    axes = axes_of(SHAPE)
    lat = np.radians(axes["lat"])[:, None]

    def radial(v, lon, lat):
        across = np.cos(lat) * (v[1] * np.cos(lon) + v[2] * np.sin(lon))
        return across + np.sin(lat) * v[3]

    whole = [radial(v.astype(float), np.radians(axes["lon"]), lat) for v in values]
    starts = set()
    for i in range(len(data)):
        file, anchor = divmod(i, len(data.anchors))
        _, y = read(data, i, epoch=1)
        r, row, _ = (2 * a for a in data.anchors[anchor])
        own = np.radians(np.arange(8) * 360 / 16)  # counted from the slab's first column
        found = radial(y, own, lat[row : row + 6])
        part = whole[file][r : r + 4, row : row + 6]
        errors = [abs(np.roll(part, -s, 2)[..., :8] - found).max() for s in range(0, 16, 2)]
        assert min(errors) < 1e-5
        starts.add(int(np.argmin(errors)))
    assert len(starts) > 3


@pytest.mark.parametrize("split", ["train", "validation"])
def test_frame__slabs_that_are_not_rolled_are_turned_as_well(tmp_path, split):
    values = write_spheres(tmp_path)
    data = dataset(sphere(tmp_path), split)
    file = values[2] if split == "validation" else values[0]
    x, y = read(data, 1)
    start = data._augment.start(1, 0, data.anchors[1])[2]
    assert split == "train" or start == 4
    angle = -2 * np.pi * start / 8
    plain = np.roll(file, -2 * start, 3)
    np.testing.assert_allclose(y, turned(plain[:, :4, :6, :8], angle), atol=1e-5)
    coarse = padded(np.roll(block_mean(file, 2), -start, 3), 1)
    np.testing.assert_allclose(x, turned(coarse[:, :4, :5, :6], angle), atol=1e-5)


def test_frame__falling_longitudes_turn_the_other_way(tmp_path):
    axes = axes_of(SHAPE)
    values = random_values()
    for i in range(2):
        falling = {n: (i + 1) * x[:, :, ::-1] for n, x in values.items()}
        write_netcdf3(tmp_path / f"m{i}.nc", falling, axes=axes | {"lon": axes["lon"][::-1]})
    data = dataset(sphere(tmp_path), "validation")
    stack = 2 * np.stack(list(values.values()))[:, :, :, ::-1]
    expected = turned(stack[:, :4, :6, 8:], 2 * np.pi * 4 / 8)
    np.testing.assert_allclose(read(data, 1)[1], expected, atol=1e-5)


def test_frame__half_a_velocity_cannot_be_turned(tmp_path):
    write_spheres(tmp_path)
    with pytest.raises(DataError, match="only vx is among the variables"):
        dataset(sphere(tmp_path, variables=["temperature", "vx"]))
    dataset(sphere(tmp_path, variables=["temperature", "vx"], **STILL))


def test_frame__nameless_channels_are_not_rolled_unturned(tmp_path):
    for i in range(2):
        np.save(tmp_path / f"m{i}.npy", np.full((3, *SHAPE), i, np.float32))
    fields = sphere(tmp_path, targets=["m*.npy"])
    with pytest.raises(DataError, match="3 channels of the npy files have no names"):
        dataset(fields)
    named = dataset(sphere(tmp_path, targets=["m*.npy"], variables=["T", "vx", "vy"]))
    assert named.variables == ("T", "vx", "vy")


def test_augment__draws_belong_to_seed_epoch_and_sample(tmp_path):
    write_spheres(tmp_path)
    data, again, other = (dataset(sphere(tmp_path), seed=s) for s in (0, 0, 1))
    for a, b in zip(read(data, 5, 3), read(again, 5, 3), strict=True):
        np.testing.assert_array_equal(a, b)
    starts = {(s, e, i): d._augment.start(i, e, (0, 0, 0)) for s, d in enumerate((data, other))
              for e in range(2) for i in range(16)}  # fmt: skip
    assert len({v[2] for v in starts.values()}) == 8
    assert [starts[0, 0, i] for i in range(16)] != [starts[0, 1, i] for i in range(16)]
    assert [starts[0, 0, i] for i in range(16)] != [starts[1, 0, i] for i in range(16)]


def test_augment__validation_never_moves(tmp_path):
    write_spheres(tmp_path)
    data = dataset(sphere(tmp_path), "validation")
    for a, b in zip(read(data, 3, 0), read(data, 3, 9), strict=True):
        np.testing.assert_array_equal(a, b)


def test_augment__random_shift_keeps_input_and_target_together(tmp_path):
    fine = write_boxes(tmp_path / "hr", 3, 8)
    for i, x in enumerate(fine):
        (tmp_path / "lr").mkdir(exist_ok=True)
        np.save(tmp_path / f"lr/f{i}.npy", block_mean(x, 2).astype(np.float32))
    options = {"targets": ["hr/f*.npy"], "augment": {"random_shift": True}}
    given = dataset(box(tmp_path, inputs=["lr/f*.npy"], **options), halo=0)
    made = dataset(box(tmp_path, **options), halo=0)
    seen = set()
    for i in range(len(given)):
        x, y = read(given, i, 2)
        np.testing.assert_allclose(x, block_mean(y, 2), atol=1e-6)
        np.testing.assert_allclose(read(made, i, 2)[0], x, atol=1e-6)
        seen.add(given._augment.start(i, 2, (0, 0, 0)))
    assert len(seen) > 8


def test_dataset__normalises_both_sides(tmp_path):
    write_boxes(tmp_path)
    data = dataset(box(tmp_path))
    plain = read(data, 3)
    data.scales = Scales(data.variables, (1.0, -2.0), (4.0, 0.5))
    for a, b in zip(read(data, 3), plain, strict=True):
        np.testing.assert_allclose(a, data.scales.normalize(b), atol=1e-6)


def test_dataset__says_where_a_sample_lies(tmp_path):
    write_spheres(tmp_path)
    data = dataset(sphere(tmp_path), "validation")
    assert data.sample_name(7) == "m2.nc [r 2, lat 3, lon 4]"
    r, lat, lon = data.coordinates(7)
    axes = axes_of(SHAPE)
    np.testing.assert_allclose(r, axes["r"][4:])
    np.testing.assert_allclose(lat, axes["lat"][6:])
    np.testing.assert_allclose(lon, axes["lon"][8:])
    assert data.units == ("K", "m/s", "m/s", "m/s")


def test_dataset__nan_in_a_crop_is_named(tmp_path):
    write_boxes(tmp_path)
    values = np.load(tmp_path / "f1.npy")
    values[1, 7, 0, 3] = np.nan
    np.save(tmp_path / "f1.npy", values)
    data = dataset(box(tmp_path))
    for i in range(8):
        read(data, i)  # the first file is good
    corner = next(i for i in range(8, 16) if data.anchors[i - 8] == (2, 0, 0))
    with pytest.raises(DataError, match=r"f1\.npy: 'f_1' is nan at index \[x 7, y 0, z 3\]"):
        read(data, corner)


@pytest.mark.skipif(
    not COSMOLOGY.is_dir(), reason="no ../shared/data/cosmology beside the repository"
)
def test_dataset__real_nbody_fields_in_the_layout_of_map2map(tmp_path):
    parts = {"disp": "disp", "vel": "vel_lagrangian"}
    for label, name in parts.items():
        values = np.load(COSMOLOGY / f"abacus_mini_N64_L32_z0_{name}.npy")
        np.save(tmp_path / f"{label}-0.npy", values)
        np.save(tmp_path / f"{label}-1.npy", np.roll(values, (7, 3), (1, 2)))  # the box is periodic
    fields = box(
        tmp_path, targets=["disp-*.npy", "vel-*.npy"], crop=(8, 8, 8), normalization="standard"
    )
    data = dataset(fields, halo=2)
    data.scales = data.measure_scales()
    assert data.variables == ("disp_0", "disp_1", "disp_2", "vel_0", "vel_1", "vel_2")
    assert data.scales.scale[0] == data.scales.scale[2] == pytest.approx(2.844, rel=1e-2)
    x, y = read(data, 37)
    assert (x.shape, y.shape) == ((6, 12, 12, 12), (6, 16, 16, 16))
    np.testing.assert_allclose(x[:, 2:-2, 2:-2, 2:-2], block_mean(y, 2), atol=1e-4)
