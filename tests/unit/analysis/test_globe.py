"""Numbers of whole fields: on each kind of grid, and on real convection."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hpctrain.analysis import globe, histogram_distance
from hpctrain.analysis.globe import measure
from hpctrain.analysis.grid import Grid, wave_numbers
from tests.requires import SHARED_DATA, requires

LONGITUDES = np.arange(24) * 15.0
RADII = np.linspace(3500, 6300, 5)


def grid(latitudes, geometry="sphere", longitudes=LONGITUDES):
    return Grid.of((RADII, np.asarray(latitudes), longitudes), geometry)


GLOBE, BAND = np.linspace(84, -84, 15), np.linspace(50, -50, 15)


@pytest.mark.parametrize(
    ("found", "kind", "counts"),
    [
        (grid(GLOBE), "globe", 7),
        (grid(BAND), "band", 12),
        (grid(GLOBE, longitudes=LONGITUDES / 2), "region", None),
        (grid(GLOBE, geometry="box"), "box", None),
    ],
)
def test_measure__of_each_kind_of_grid(found, kind, counts):
    assert found.kind == kind
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(1, 5, 15, 24)).astype(np.float32)
    fields = {"truth": truth, "generator": 2 * truth}
    members = truth + rng.normal(size=(3, *truth.shape)).astype(np.float32)
    page = measure(fields, members, ["temperature"], found)
    k, _ = wave_numbers(found, truth.shape[1:])
    assert len(k) == len(page["spectrum"]["truth"]["temperature"])
    assert counts is None or len(k) == counts
    # twice the field: four times the power, which is 0.602 decades, and an error of its own size
    assert page["log_spectrum_error"]["generator"]["temperature"] == pytest.approx(np.log10(4))
    np.testing.assert_allclose(page["correlation"]["generator"]["temperature"], 1)
    assert len(page["rmse"]["generator"]["temperature"]) == 5
    assert len(page["rank_histogram"]["temperature"]) == 4
    assert "divergence" not in page


def test_divergence__needs_a_flow_on_shells():
    names = ["vx", "vy", "vz"]
    truth = np.random.default_rng(0).normal(size=(3, 5, 15, 24)).astype(np.float32)
    fields = {"truth": truth, "generator": 3 * truth}
    found = measure(fields, None, names, grid(GLOBE))["divergence"]
    assert found["generator"] == pytest.approx(3 * found["truth"])
    assert "divergence" not in measure(fields, None, names, grid(GLOBE, "box"))


@requires(shared_data=True)
def test_real_convection__has_the_degree_that_it_began_with():
    """CitcomS' cookbook 8 starts from degree 3, order 2, which stays the strongest."""
    h5py = pytest.importorskip("h5py")
    path = SHARED_DATA / "mantle" / "citcoms_cookbook8_sphere_64x33x128.nc"
    with h5py.File(path) as file:
        axes = [file[name][:].astype(float) for name in ("r", "lat", "lon")]
        names = ["temperature", "vx", "vy", "vz"]
        truth = np.stack([file[name][:].transpose(1, 0, 2) for name in names])
    found = Grid.of(axes, "sphere")
    assert found.kind == "globe"
    page = measure({"truth": truth, "generator": truth}, None, names, found)
    power = np.array(page["spectrum"]["truth"]["temperature"])
    assert np.argmax(power) == 3 - 1
    assert power[0] < 1e-6 * power.max()  # and no degree that the start's symmetry forbids
    # a Cartesian component of a flow of degree 3 has degrees 2 and 4
    flow = np.array(page["spectrum"]["truth"]["vx"])
    assert set(np.argsort(flow)[-2:] + 1) == {2, 4}


FLOW = ["vx", "vy", "vz"]


@pytest.mark.parametrize("shape", [(2, 15, 24), (5, 2, 24), (5, 15, 2)])
def test_divergence__needs_three_cells_along_each_axis(shape):
    rng = np.random.default_rng(0)
    axes = RADII[: shape[0]], np.linspace(30, -30, shape[1]), np.arange(shape[2]) * 360 / shape[2]
    truth = rng.normal(size=(3, *shape)).astype(np.float32)
    page = measure({"truth": truth, "generator": truth}, None, FLOW, Grid.of(axes, "sphere"))
    assert "divergence" not in page
    assert len(page["rmse"]["generator"]["vx"]) == shape[0]


def test_divergence__is_the_same_in_metres_and_kilometres_and_unknown_in_other_units():
    truth = np.random.default_rng(0).normal(size=(3, 5, 15, 24)).astype(np.float32)

    def found(radii, unit):
        on = Grid.of((radii, GLOBE, LONGITUDES), "sphere", radius_unit=unit)
        return on.radii, measure({"truth": truth}, None, FLOW, on).get("divergence")

    _, expected = found(RADII, "")  # a file that does not say
    for radii, unit in ((RADII, "km"), (RADII, " Kilometers"), (1e3 * RADII, "m")):
        kept, here = found(radii, unit)
        assert here["truth"] == pytest.approx(expected["truth"])
        np.testing.assert_allclose(kept, RADII)
    assert found(RADII / 6371, "Earth radii")[1] is None


@pytest.mark.parametrize("latitudes", [GLOBE, BAND])
@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_log_spectrum_error__leaves_out_shells_without_structure(latitudes, noise):
    """Isothermal boundaries: two constant shells of five, or constant but for rounding."""
    rng = np.random.default_rng(0)
    truth = 1600 + 100 * rng.normal(size=(1, 5, 15, 24))
    truth[:, [0, -1]] = 300 + noise * rng.normal(size=(1, 2, 15, 24))
    truth = truth.astype(np.float32)
    made = truth + rng.normal(size=truth.shape).astype(np.float32)
    fields, on = {"truth": truth, "generator": made}, grid(latitudes)
    page = measure(fields, None, ["temperature"], on)
    inner = {kind: field[:, 1:-1] for kind, field in fields.items()}
    expected = measure(inner, None, ["temperature"], on)
    found = page["log_spectrum_error"]["generator"]["temperature"]
    assert found == pytest.approx(expected["log_spectrum_error"]["generator"]["temperature"])
    assert found < 0.05


@pytest.mark.parametrize("geometry", ["sphere", "box"])
def test_measure__of_a_constant_variable_is_unknown_and_no_nan(geometry):
    truth = np.full((1, 5, 15, 24), 1600, np.float32)
    made = truth + np.random.default_rng(0).normal(size=truth.shape).astype(np.float32)
    fields = {"truth": truth, "generator": made}
    page = measure(fields, made[None] + np.zeros((2, 1, 1, 1, 1)), ["T"], grid(GLOBE, geometry))
    assert page["log_spectrum_error"]["generator"]["T"] is None
    assert page["correlation"]["generator"]["T"] == [None] * 5
    json.dumps(page, allow_nan=False)


def test_spectra_of_a_box__are_under_a_window_unless_all_axes_are_periodic():
    """A ramp is no wave: without a window its jump at the edge leaks into all wave numbers."""
    ramp = np.linspace(-1, 1, 16, dtype=np.float32)[None, :, None, None] * np.ones((1, 16, 16, 16))
    fields = {"truth": ramp.astype(np.float32)}

    def highest(is_periodic):
        on = Grid.of((None, None, None), "box", is_periodic=is_periodic)
        assert on.kind == "box"
        return measure(fields, None, ["x"], on)["spectrum"]["truth"]["x"][-1]

    assert highest(False) < 1e-3 * highest(True)


@pytest.mark.parametrize("latitudes", [GLOBE, BAND])
def test_measure__is_the_same_in_parts(monkeypatch, latitudes):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(3, 5, 15, 24)).astype(np.float32)
    fields = {"truth": truth, "generator": truth + 0.1 * rng.normal(size=truth.shape)}
    members = truth + rng.normal(size=(3, *truth.shape)).astype(np.float32)
    at_once = measure(fields, members, FLOW, grid(latitudes))
    monkeypatch.setattr(globe, "_CELLS", 2 * 15 * 24)
    monkeypatch.setattr(histogram_distance, "_PART", 100)
    in_parts = measure(fields, members, FLOW, grid(latitudes))
    flat, expected = (list(numbers(page)) for page in (in_parts, at_once))
    assert len(flat) > 100
    assert flat == pytest.approx(expected)


def numbers(content):
    """All numbers of a page; None as -1."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for value in content:
            yield from numbers(value)
    else:
        yield -1 if content is None else content


def test_shell_numbers__agree_with_the_whole():
    """Each shell's error of a field and of its divergence; a wrong shell stands out."""
    truth = np.random.default_rng(0).normal(size=(3, 5, 15, 24)).astype(np.float32)
    made = truth.copy()
    made[:, 2] *= 10
    page = measure({"truth": truth, "generator": made}, None, FLOW, grid(GLOBE))
    of_shells = page["shell_log_spectrum_error"]["generator"]["vx"]
    np.testing.assert_allclose(of_shells, [0, 0, 2, 0, 0], atol=1e-6)
    assert page["log_spectrum_error"]["generator"]["vx"] == pytest.approx(2 / 5**0.5)
    flow = page["shell_divergence"]
    assert flow["truth"][0] is flow["truth"][-1] is None
    ratio = np.divide(flow["generator"][1:-1], flow["truth"][1:-1])
    assert np.argmax(ratio) == 1
    mean = np.sqrt(np.mean(np.square(flow["truth"][1:-1])))
    assert page["divergence"]["truth"] == pytest.approx(mean)
