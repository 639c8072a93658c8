import numpy as np
import pytest

from hpctrain.samples.sky_camera import optical_rays
from hpctrain.samples.sky_clouds import Weather
from hpctrain.samples.sky_visible import (
    Light,
    clear_sky,
    cloud_radiance,
    expose,
    ground_picture,
    skylight,
)

WEATHER = Weather(15.0, 0.5, 2000.0, 15.0, 55.0, 0.03, (0.0, 0.0))
NOON = Light(180, 50)


def sky(azimuth=0, elevation=40, light=NOON):
    return clear_sky(optical_rays(azimuth, elevation, 60, 40), light, 0.03)


def test_clear_sky__blue_above_and_white_at_the_horizon():
    found = sky(elevation=25)
    ratio = found[..., 0] / found[..., 2]
    assert ratio[0].mean() < 0.5
    rows = sky(elevation=12)
    assert (rows[..., 0] / rows[..., 2])[25].mean() > 1.5 * ratio[0].mean()


def test_clear_sky__glows_around_the_sun():
    at, away = sky(180, 50)[20, 30].mean(), sky(0, 50)[20, 30].mean()
    assert at > 3 * away


def test_clear_sky__low_sun_is_red_at_the_horizon_and_blue_above():
    found = sky(180, 20, Light(180, 2))
    low, high = found[34, 30], found[0, 30]
    assert low[0] > low[2]
    assert high[2] > high[0]


def test_light__fades_by_orders_of_magnitude():
    levels = [Light(180, e).level for e in (30, 3, 0, -6, -12, -18, -40)]
    assert levels[0] == 1
    assert all(a > b for a, b in zip(levels, levels[1:], strict=False))
    assert levels[5] < 1e-6


def test_cloud_radiance__brighter_than_the_sky_and_darker_when_thick():
    depth = np.array([[0.0, 3, 60]], np.float32)
    none, thin, thick = cloud_radiance(NOON, 0.03, depth, 0 * depth, 0 * depth)[0]
    around = skylight(NOON, 0.03)
    np.testing.assert_allclose(none, 0, atol=1e-6)
    assert (thin > 1.5 * around).all()
    assert thin.mean() > 2 * thick.mean() > 0
    assert thin[0] / thin[2] > 1.5 * around[0] / around[2]  # white, the sky is blue


def test_expose__reaches_for_the_key_by_day_and_gives_up_at_night():
    rng = np.random.default_rng(0)
    day = expose(sky(), rng)
    dusk = expose(sky(light=Light(180, -4)), rng)
    night = expose(sky(light=Light(180, -40)), rng)
    assert day.dtype == np.uint8
    assert 90 < day.mean() < 180
    assert 60 < dusk.mean() < 180
    assert night.mean() < 45


def test_ground_picture__follows_the_texture():
    green, brown = ground_picture(NOON, WEATHER, np.array([[3.0, -3.0]], np.float32))[0]
    assert green[1] > green[0]
    assert brown[0] > brown[1]


@pytest.mark.parametrize("seed", [0, 1])
def test_expose__is_a_function_of_the_generator(seed):
    a, b = (expose(sky(), np.random.default_rng(seed)) for _ in range(2))
    np.testing.assert_array_equal(a, b)
