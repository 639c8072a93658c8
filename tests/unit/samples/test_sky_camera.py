import numpy as np
import pytest

from hpctrain.samples.sky_camera import (
    HALF_WIDTH,
    Mount,
    air_mass,
    optical_rays,
    slant_range,
    thermal_rays,
)

MOUNT = Mount(0, 0, (0.05, -0.02))


def test_optical_rays__axis_and_angle_of_view():
    rays = optical_rays(90, 30, 601, 401)
    middle = [a[200, 300] for a in (rays.east, rays.north, rays.up)]
    np.testing.assert_allclose(middle, [np.cos(np.pi / 6), 0, 0.5], atol=1e-6)
    edge = [a[200, 600] for a in (rays.east, rays.north, rays.up)]
    # Half a pixel inside the right edge, which is south when looking east.
    assert np.degrees(np.arccos(np.dot(middle, edge))) == pytest.approx(
        np.degrees(np.arctan(HALF_WIDTH * 600 / 601)), abs=1e-3
    )
    assert edge[1] < 0
    assert rays.up[0, 300] > rays.up[400, 300]
    length = rays.east**2 + rays.north**2 + rays.up**2
    np.testing.assert_allclose(length, 1, atol=1e-6)


def test_thermal_rays__are_those_of_the_crop():
    width, height = 1536, 1024
    optical, thermal = optical_rays(220, 45, width, height), thermal_rays(220, 45, MOUNT)
    left, top, right, bottom = MOUNT.crop(width, height)
    for row, column in ((0, 0), (0, 335), (251, 0), (251, 335), (100, 77)):
        x = left + (column + 0.5) * (right - left) / 336 - 0.5
        y = top + (row + 0.5) * (bottom - top) / 252 - 0.5
        near = round(y), round(x)
        for a, b in ((thermal.up, optical.up), (thermal.east, optical.east)):
            assert abs(a[row, column] - b[near]) < 1.2 * HALF_WIDTH / width


def test_crop__is_as_wide_as_the_real_one_and_follows_the_mount():
    left, top, right, bottom = Mount(0, 0, (0, 0)).crop(3072, 2048)
    assert right - left == pytest.approx(3072 - 685 - 445)
    assert (right - left) / (bottom - top) == pytest.approx(336 / 252)
    moved = MOUNT.crop(3072, 2048)
    assert moved[0] - left == pytest.approx(0.05 * 3072)
    assert moved[1] - top == pytest.approx(0.02 * 3072)


def test_air_mass__kasten_and_young():
    found = air_mass(np.array([90, 30, 10, 0, -5], np.float32))
    np.testing.assert_allclose(found, [1.0, 1.994, 5.59, 37.9, 37.9], rtol=5e-3)


def test_slant_range__flat_above_and_bounded_at_the_horizon():
    up = np.sin(np.radians(np.array([90, 30, 0], np.float32)))
    np.testing.assert_allclose(slant_range(up, 2000), [2000, 4000, 159_600], rtol=5e-3)


def test_cosine_to__a_ray_itself():
    rays = optical_rays(0, 40, 31, 21)
    assert rays.cosine_to(0, 40)[10, 15] == pytest.approx(1, abs=1e-6)
    assert rays.cosine_to(180, 50)[10, 15] == pytest.approx(0, abs=1e-6)
