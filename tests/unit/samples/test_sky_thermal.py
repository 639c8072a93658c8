import numpy as np
import pytest

from hpctrain.samples.sky_camera import Rays
from hpctrain.samples.sky_clouds import Weather
from hpctrain.samples.sky_thermal import (
    KELVIN,
    brightness,
    clear_sky,
    ground_temperature,
    picture,
    planck,
    sky_radiance,
)

WEATHER = Weather(15.0, 0.5, 3000.0, 15.0, 55.0, 0.03, (0.0, 0.0))
ELEVATIONS = np.array([[90.0, 60, 30, 15, 5, 1]], np.float32)


def rays(elevations):
    e = np.radians(elevations)
    return Rays(np.cos(e), 0 * e, np.sin(e))


def celsius(depth, growth=0.0, elevations=ELEVATIONS):
    radiance = sky_radiance(
        WEATHER, rays(elevations), np.full_like(elevations, depth), np.full_like(elevations, growth)
    )
    return brightness(radiance) - KELVIN


def test_planck__and_back():
    kelvin = np.linspace(210, 330, 50, dtype=np.float32)
    np.testing.assert_allclose(brightness(planck(kelvin)), kelvin, atol=1e-3)
    # exp(-c2 / (lambda T)) at 10.5 um and 300 K, c2 = 14387.77 um K.
    assert planck(300.0) == pytest.approx(1 / (np.exp(14387.77 / 3150) - 1), rel=1e-5)


def test_clear_sky__cold_zenith_and_warm_horizon():
    found = clear_sky(WEATHER, ELEVATIONS)[0]
    assert found[0] == pytest.approx(15 - 55, abs=0.2)
    assert (np.diff(found) > 0).all()
    assert found[-1] == pytest.approx(15, abs=0.5)


def test_sky_radiance__without_cloud_is_the_clear_sky():
    np.testing.assert_allclose(celsius(0.0), clear_sky(WEATHER, ELEVATIONS), atol=0.02)


def test_sky_radiance__clouds_are_warmer_than_the_gaps_and_colder_than_the_air():
    thin, thick = celsius(0.5), celsius(50.0)
    clear = clear_sky(WEATHER, ELEVATIONS)
    assert (clear[0, :3] + 5 < thin[0, :3]).all()
    assert (thin[0, :3] + 2 < thick[0, :3]).all()
    base = 15 - 6.5e-3 * 3000
    assert base < thick[0, 0] < base + 8  # the air below adds a little
    assert (thick < 15.01).all()


def test_sky_radiance__radiances_are_mixed_not_temperatures():
    half = -np.log(0.5) / 0.55  # emissivity 0.5 at the zenith
    zenith = ELEVATIONS[:, :1]
    mixed = celsius(half, elevations=zenith)
    clear, thick = clear_sky(WEATHER, zenith), celsius(60.0, elevations=zenith)
    radiance = (planck(clear + KELVIN) + planck(thick + KELVIN)) / 2
    np.testing.assert_allclose(mixed, brightness(radiance) - KELVIN, atol=0.05)
    assert mixed > (clear + thick) / 2 + 0.5


def test_ground_temperature__warm_by_day_cool_by_night():
    texture = np.array([[-1.0, 0, 1]], np.float32)
    day, night = (ground_temperature(WEATHER, sun, texture) for sun in (50, -30))
    assert (day > night + 5).all()
    assert night[0, 1] < 15
    assert (np.diff(day) > 0).all()


def test_picture__noise_of_50_mk_in_steps_of_the_sensor():
    counts = picture(np.full((200, 200), planck(280.0)), np.random.default_rng(0))
    kelvin = 0.04 * counts.astype(float)
    assert kelvin.mean() == pytest.approx(280, abs=0.002)
    assert kelvin.std() == pytest.approx(np.hypot(0.05, 0.04 / np.sqrt(12)), rel=0.03)
