import numpy as np
import pytest

from hpctrain.samples.sky_camera import optical_rays
from hpctrain.samples.sky_clouds import SHADE_CELLS, Deck, Weather, fractal, sample_tile


def weather(cover, base=2000.0, wind=(0.0, 0.0)):
    return Weather(15.0, cover, base, 15.0, 55.0, 0.03, wind)


def deck(cover, seed=0, **more):
    return Deck(weather(cover, **more), np.random.default_rng(seed))


def covered(deck, elevation=50, seconds=0.0):
    found = []
    for azimuth in range(0, 360, 45):
        rays = optical_rays(azimuth, elevation, 96, 64)
        found.append(deck.depth_along(rays, seconds, 1.3 / 96, 180.0)[0] > 0.1)
    return float(np.mean(found))


def test_fractal__power_falls_as_k_cubed():
    field = fractal(512, 200, 2, np.random.default_rng(0))
    power = np.abs(np.fft.rfft2(field)) ** 2
    k = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512))
    edges = np.geomspace(0.03, 0.45, 8)
    means = [power[(k >= a) & (k < b)].mean() for a, b in zip(edges, edges[1:], strict=False)]
    slope = np.polyfit(np.log(np.sqrt(edges[1:] * edges[:-1])), np.log(means), 1)[0]
    assert slope == pytest.approx(-3, abs=0.2)
    assert abs(field.mean()) < 1e-5
    assert field.std() == pytest.approx(1, abs=1e-4)


def test_sample_tile__bilinear_and_periodic():
    tile = np.arange(16, dtype=np.float32).reshape(4, 4)
    x = np.array([[1.0, 1.5, 3.5, -1.0]], np.float32)
    y = np.array([[2.0, 0.5, 0.0, 4.0]], np.float32)
    np.testing.assert_allclose(sample_tile(tile, x, y), [[9, 3.5, 1.5, 3]])


@pytest.mark.parametrize("cover", [0.0, 0.25, 0.5, 0.75, 0.999])
def test_deck__cover_is_what_was_asked(cover):
    # One deck holds few clouds; the mean of several is what counts.
    found = np.mean([covered(deck(cover, seed)) for seed in range(6)])
    assert found == pytest.approx(cover, abs=0.12)
    if cover in (0.0, 0.999):
        assert found == pytest.approx(cover, abs=0.01)


def test_deck__clouds_get_smaller_towards_the_horizon():
    edges = []
    for elevation in (55, 18):
        rays = optical_rays(0, elevation, 300, 40)
        depth, _ = deck(0.4).depth_along(rays, 0.0, 1.3 / 300, 180.0)
        edges.append(np.abs(np.diff((depth > 1).astype(int), axis=1)).mean())
    # At equal heights, a cloud at 18 degrees is sin(55) / sin(18) = 2.7 times as far away.
    assert 1.5 < edges[1] / edges[0] < 4.5


def test_deck__drifts_with_the_wind():
    rays = optical_rays(0, 60, 96, 64)
    still = deck(0.4)
    windy = deck(0.4, wind=(10.0, 0.0))
    first = still.depth_along(rays, 100.0, 1e-2, 0.0)[0]
    np.testing.assert_array_equal(first, windy.depth_along(rays, 0.0, 1e-2, 0.0)[0])
    assert not np.array_equal(first, windy.depth_along(rays, 100.0, 1e-2, 0.0)[0])


def test_deck__growth_compares_with_a_point_nearer_the_sun():
    rays = optical_rays(0, 60, 96, 64)
    here = deck(0.4)
    to_north = here.depth_along(rays, 0.0, 1e-2, 0.0)[1]
    # A second later the wind has brought the point that was compared with, and looks back.
    moved = deck(0.4, wind=(0.0, SHADE_CELLS * here.cell))
    to_south = moved.depth_along(rays, 1.0, 1e-2, 180.0)[1]
    np.testing.assert_allclose(to_north, -to_south, atol=1e-3)
    assert to_north.std() > 0.1
