import numpy as np
import pytest

from hpctrain.samples.convection import Convection, heat_gain, limited_slopes, pad, refine
from hpctrain.samples.stokes import Box

BOX = Box((8, 6, 12), 1e5, (0.75, 1.5))


def random_run(heating=0.0):
    box = Box(BOX.shape, BOX.rayleigh, BOX.width, heating)
    return Convection(box, np.random.default_rng(0).random(box.shape))


# Blankenbach et al. 1989, table 9 (case 1, isoviscous, aspect ratio 1): v_rms and Nusselt number.
# The box holds the cell and its mirror image.
@pytest.mark.parametrize(
    ("rayleigh", "rms_velocity", "nusselt"),
    [(1e4, 42.864947, 4.884409), (1e5, 193.21454, 10.534095)],
)
def test_convection__blankenbach_case_1(rayleigh, rms_velocity, nusselt):
    n = 24
    box = Box((n, 1, 2 * n), rayleigh, (1.0, 2.0))
    z, x = (np.arange(n) + 0.5)[:, None, None] / n, (np.arange(2 * n) + 0.5) / n
    run = Convection(box, 1 - z + 0.1 * np.sin(np.pi * z) * np.cos(np.pi * x))
    run.run_until(0.3 * (1e4 / rayleigh) ** (1 / 3))
    assert run.rms_velocity() == pytest.approx(rms_velocity, rel=0.01)
    assert run.nusselt() == pytest.approx(nusselt, rel=0.03)


def test_convection__two_and_three_dimensions_agree():
    flat, deep = Box((8, 1, 16), 1e4, (1.0, 2.0)), Box((8, 6, 16), 1e4, (1.0, 2.0))
    z, x = (np.arange(8) + 0.5)[:, None, None] / 8, (np.arange(16) + 0.5) / 8
    start = 1 - z + 0.1 * np.sin(np.pi * z) * np.cos(np.pi * x)
    runs = Convection(flat, start), Convection(deep, np.repeat(start, 6, axis=1))
    for run in runs:
        for _ in range(20):
            run.step(1e-4)
    np.testing.assert_allclose(
        runs[1].temperature, runs[0].temperature + np.zeros((8, 6, 16)), atol=1e-5
    )


@pytest.mark.parametrize("heating", [0.0, 20.0])
def test_tendency__heat_changes_only_through_walls_and_heating(heating):
    run = random_run(heating)
    flow = run.stokes.at_faces(run.temperature)
    nz = BOX.shape[0]
    gain = 2 * nz * (1 - run.temperature[0]).mean() - 2 * nz * run.temperature[-1].mean()
    rate = run.tendency(run.temperature, flow)
    assert rate.mean(dtype=float) == pytest.approx(gain + heating, rel=1e-4)


def test_step__temperature_stays_between_the_walls():
    run = random_run()
    for _ in range(40):
        run.step()
    assert -1e-3 < run.temperature.min() < run.temperature.max() < 1 + 1e-3
    assert run.temperature.dtype == np.float32


def test_run_until__ends_exactly_there():
    run = random_run()
    run.run_until(0.0013)
    assert run.time == pytest.approx(0.0013)
    assert run.steps > 1


def test_pad__keeps_each_boundary_condition():
    t = np.random.default_rng(0).random((4, 5, 6))
    z, y, x = (pad(t, axis) for axis in range(3))
    np.testing.assert_allclose(z[1] + z[2], 2)
    np.testing.assert_allclose(z[0] + z[3], 2)
    np.testing.assert_allclose(z[-2] + z[-3], 0, atol=1e-12)
    np.testing.assert_array_equal(y[:, :2], t[:, 1::-1])
    np.testing.assert_array_equal(y[:, -2:], t[:, :-3:-1])
    np.testing.assert_array_equal(x, np.pad(t, ((0, 0), (0, 0), (2, 2)), mode="wrap"))


def test_limited_slopes__van_leer():
    t = np.array([0, 1, 2, 6, 6, 5, 9], dtype=np.float32).reshape(-1, 1, 1)
    # Harmonic means of the differences 1 1 4 0 -1 4; 0 where they differ in sign.
    expected = [1, 2 * 1 * 4 / 5, 0, 0, 0]
    np.testing.assert_allclose(limited_slopes(t, 0).ravel(), expected, rtol=1e-6)


@pytest.mark.parametrize("direction", [1, -1])
def test_heat_gain__advection_is_of_second_order(direction):
    def error(n):
        edges, spacing = 2 * np.pi * np.arange(n + 1) / n, 2 * np.pi / n
        # Means over cells of sin x, carried at speed u: the mean gains -u (sin right - sin left).
        means = np.diff(-np.cos(edges)) / spacing
        t = pad(np.broadcast_to(means.astype(np.float32), (1, 1, n)), 2)
        u = np.full((1, 1, n + 1), 1000.0 * direction, np.float32)
        exact = -1000 * direction * np.diff(np.sin(edges)) / spacing
        return np.abs(heat_gain(t, u, 2, spacing) - exact).mean()

    assert error(64) < error(32) / 3


def test_heat_gain__conduction():
    t = pad(np.array([1.0, 4.0, 2.0, 2.0], np.float32).reshape(1, 1, 4), 2)
    gain = heat_gain(t, np.zeros((1, 1, 5), np.float32), 2, 0.5)
    np.testing.assert_allclose(gain.ravel(), [16, -20, 8, -4])


def test_refine__keeps_mean_and_bounds():
    t = np.random.default_rng(0).random((6, 4, 8)).astype(np.float32)
    fine = refine(t)
    assert fine.shape == (12, 8, 16)
    blocks = fine.reshape(6, 2, 4, 2, 8, 2).mean((1, 3, 5))
    np.testing.assert_allclose(blocks, t, atol=1e-6)
    assert fine.min() >= 0
    assert fine.max() <= 1


def test_refine__keeps_the_conductive_profile():
    profile = np.broadcast_to(1 - (np.arange(8) + 0.5)[:, None, None] / 8, (8, 2, 2))
    finer = 1 - (np.arange(16) + 0.5) / 16
    np.testing.assert_allclose(refine(profile.astype(np.float32))[:, 1, 1], finer, atol=1e-6)
