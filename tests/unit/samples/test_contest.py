import numpy as np
import pytest
from scipy.io import netcdf_file

from hpctrain.samples.contest import (
    UNITS,
    cartesian,
    coordinates,
    physical_fields,
    write_step,
)
from hpctrain.samples.stokes import Velocity

SHAPE = (4, 6, 8)


def random_flow(shape=SHAPE):
    return Velocity(*np.random.default_rng(1).standard_normal((3, *shape)))


@pytest.fixture
def fields():
    return physical_fields(np.random.default_rng(0).random(SHAPE), random_flow())


def test_coordinates__cell_centres_north_first():
    at = coordinates(SHAPE)
    assert list(at) == ["lat", "r", "lon"]
    np.testing.assert_allclose(at["lat"], [50, 30, 10, -10, -30, -50])
    np.testing.assert_allclose(at["lon"], 22.5 + 45 * np.arange(8))
    np.testing.assert_allclose(at["r"], 3485 + 721.5 * (np.arange(4) + 0.5))


@pytest.mark.parametrize(
    ("lat", "lon", "up", "north", "east"),
    [
        (0, 0, (1, 0, 0), (0, 0, 1), (0, 1, 0)),
        (0, 90, (0, 1, 0), (0, 0, 1), (-1, 0, 0)),
        (90, 0, (0, 0, 1), (-1, 0, 0), (0, 1, 0)),
    ],
)
def test_cartesian__known_places(lat, lon, up, north, east):
    for direction, expected in zip(np.eye(3), (up, north, east), strict=True):
        flow = Velocity(*(np.full((1, 1, 1), c) for c in direction))
        result = np.array(cartesian(flow, np.array([lat]), np.array([lon]))).ravel()
        np.testing.assert_allclose(result, expected, atol=1e-15)


def test_cartesian__rolling_the_flow_rotates_the_components():
    lat, lon = np.array([40.0, 0.0, -40.0]), 45.0 * np.arange(8)
    flow = random_flow((3, 2, 8))
    rolled = Velocity(*(np.roll(v, 1, axis=-1) for v in (flow.z, flow.y, flow.x)))
    vx, vy, vz = (np.roll(v, 1, axis=-1) for v in cartesian(flow, lat, lon))
    c, s = np.cos(np.radians(45)), np.sin(np.radians(45))
    expected = (c * vx - s * vy, s * vx + c * vy, vz)
    np.testing.assert_allclose(cartesian(rolled, lat, lon), expected, atol=1e-12)


def test_physical_fields__order_scales_and_anomalies(fields):
    assert list(fields) == list(UNITS)
    t, anomaly = fields["temperature"], fields["temperature anomaly"]
    assert t.shape == (6, 4, 8)
    assert 293 <= t.min() < t.max() <= 3607
    np.testing.assert_allclose(anomaly.mean((0, 2)), 0, atol=1e-9)
    np.testing.assert_allclose(np.ptp(t - anomaly, axis=(0, 2)), 0, atol=1e-9)
    np.testing.assert_allclose(fields["thermal conductivity"], -6e-4 * anomaly)


def test_physical_fields__speed_is_kept(fields):
    flow = random_flow()
    speed = np.sqrt(flow.x**2 + flow.y**2 + flow.z**2) * 1e-6 / 2.886e6
    mapped = np.sqrt(fields["vx"] ** 2 + fields["vy"] ** 2 + fields["vz"] ** 2)
    np.testing.assert_allclose(mapped, speed.transpose(1, 0, 2)[::-1])


def test_physical_fields__last_row_of_the_box_is_north():
    temperature = np.zeros(SHAPE)
    temperature[:, -1] = 1
    fields = physical_fields(temperature, random_flow())
    assert (fields["temperature anomaly"][0] > 0).all()
    assert (fields["temperature anomaly"][1:] < 0).all()


def test_write_step__contest_layout(tmp_path, fields):
    path = tmp_path / "a.nc"
    write_step(path, fields, {"title": "Mantle", "seed": 3})
    with netcdf_file(path, mmap=False) as file:
        assert file.version_byte == 2
        assert file.title == b"Mantle"
        assert file.seed == 3
        assert list(file.variables) == ["lat", "r", "lon", *UNITS]
        for name, unit in UNITS.items():
            variable = file.variables[name]
            assert variable.dimensions == ("lat", "r", "lon")
            assert variable.units == unit.encode()
            assert variable[:].dtype == np.dtype(">f4")
            np.testing.assert_allclose(variable[:], fields[name], rtol=1e-6, atol=1e-30)
        assert file.variables["lat"][:].dtype == np.dtype(">f8")
        assert dict(file.dimensions) == {"lat": 6, "r": 4, "lon": 8}
    # Uncompressed: a few kB of header beside the numbers.
    numbers = 8 * 6 * 4 * 8 * 4 + (6 + 4 + 8) * 8
    assert numbers < path.stat().st_size < numbers + 3000
