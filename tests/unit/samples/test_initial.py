import numpy as np
import pytest
import scipy.fft

from hpctrain.samples.cosmology import Cosmology
from hpctrain.samples.initial import Grid, density_modes, displacements

COSMOLOGY = Cosmology(0.3, 0.8, 0.96, 70.0)
GRID = Grid(16, 100.0)


def waves_by_hand(grid):
    """|k| of each mode of a full transform."""
    number = np.fft.fftfreq(grid.cells) * grid.cells
    k = 2 * np.pi / grid.length * number
    return np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k**2)


def test_density_modes__has_the_linear_power():
    k = waves_by_hand(GRID)
    power = 0.0
    for seed in range(150):
        field = scipy.fft.irfftn(density_modes(GRID, COSMOLOGY, seed), (16,) * 3)
        modes = np.fft.fftn(field) / field.size
        power = power + np.abs(modes) ** 2 * GRID.length**3 / 150
    for low, high in ((0.05, 0.1), (0.1, 0.2), (0.2, 0.4)):
        among = (k > low) & (k < high)
        ratio = power[among] / COSMOLOGY.power(k[among])
        assert ratio.mean() == pytest.approx(1, abs=0.07)
    assert power[0, 0, 0] < 1e-20


def test_density_modes__repeats_by_seed():
    first, again, other = (density_modes(GRID, COSMOLOGY, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_displacements__one_wave():
    """delta = A sin(kx) moves particles by A cos(kx) / k, to all orders."""
    x = (np.arange(16) * GRID.length / 16)[:, None, None] * np.ones((16,) * 3)
    k = 2 * 2 * np.pi / GRID.length
    first, second = displacements(GRID, scipy.fft.rfftn(0.3 * np.sin(k * x)))
    np.testing.assert_allclose(first[0], 0.3 / k * np.cos(k * x), atol=1e-9)
    assert abs(first[1:]).max() < 1e-9
    assert abs(second).max() < 1e-9


def test_displacements__second_order_of_crossed_waves():
    """With phi1 = A cos(kx) + B cos(ky), phi2 = -A B k^2 / 2 cos(kx) cos(ky)."""
    step = np.arange(16) * GRID.length / 16
    k = 2 * np.pi / GRID.length
    x, y = (np.broadcast_to(v, (16,) * 3) for v in (step[:, None, None], step[:, None]))
    density = -(k**2) * (2 * np.cos(k * x) + 3 * np.cos(k * y))
    _, second = displacements(GRID, scipy.fft.rfftn(density))
    np.testing.assert_allclose(second[0], 3 * k**3 * np.sin(k * x) * np.cos(k * y), atol=1e-9)
    np.testing.assert_allclose(second[1], 3 * k**3 * np.cos(k * x) * np.sin(k * y), atol=1e-9)
    assert abs(second[2]).max() < 1e-9
