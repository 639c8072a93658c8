"""Gravity against an exact solution, linear growth, and sums over particles."""

import numpy as np
import pytest
import scipy.fft

from hpctrain.samples.cosmology import Cosmology
from hpctrain.samples.initial import Grid, density_modes
from hpctrain.samples.particle_mesh import START, Cells, Particles

COSMOLOGY = Cosmology(0.3, 0.8, 0.96, 70.0)


def mode_of(particles, wave):
    """Density contrast of one wave, summed over the particles themselves."""
    phase = wave @ particles.positions.astype(float)
    return np.exp(-1j * phase).mean()


def test_cells__density_by_hand():
    """A particle at (1.25, 2.5, 0) shares itself among four cells."""
    position = np.array([[1.25], [2.5], [0.0]], np.float32)
    density = Cells(position, Grid(4, 4.0)).density()
    wanted = np.zeros((4, 4, 4))
    wanted[1:3, 2:4, 0] = np.array([[0.75], [0.25]]) * 0.5
    np.testing.assert_allclose(density, wanted * 64 - 1, atol=1e-5)


def test_cells__edge_of_the_box_wraps():
    position = np.array([[4.0], [3.5], [0.0]], np.float32)
    density = Cells(position, Grid(4, 4.0)).density()
    np.testing.assert_allclose(density[0, [3, 0], 0], [31, 31], atol=1e-4)


def test_cells__values_of_a_linear_field():
    rng = np.random.default_rng(0)
    field = np.indices((8, 8, 8)).sum(0).astype(np.float32)
    position = rng.uniform(0, 6.9, (3, 50)).astype(np.float32)
    found = Cells(position, Grid(8, 8.0)).values(field)
    np.testing.assert_allclose(found, position.sum(0), rtol=1e-5)


def test_start__peak_contracts_as_a_sphere_does():
    """Where all axes are alike, lengths are 1 - d / 3 - d^2 / 21 for a linear contrast d."""
    grid, contrast = Grid(32, 32.0), 0.6
    k = 2 * np.pi / grid.length
    sites = np.indices((32,) * 3) + 0.5
    flat = Cosmology(1.0, 0.8, 0.96, 70.0)  # there the law is exact, and the growth factor is a
    field = contrast / START / 3 * np.cos(k * (sites - 16)).sum(0)
    particles = Particles(grid, flat, scipy.fft.rfftn(field))
    positions = particles.positions.reshape(3, 32, 32, 32)
    momenta = particles.momenta.reshape(3, 32, 32, 32)
    for axis in range(3):
        across = [15, 15, 15]
        across[axis] = slice(15, 17)
        length = np.diff(positions[axis][tuple(across)])[0]
        speed = np.diff(momenta[axis][tuple(across)])[0]
        assert length == pytest.approx(1 - contrast / 3 - contrast**2 / 21, abs=2e-3)
        wanted = START**2 * START**-1.5 * -(contrast / 3 + 2 * contrast**2 / 21)
        assert speed == pytest.approx(wanted, rel=0.01)


def test_run_until__plane_wave_is_exact_until_it_breaks():
    """In one dimension x = q + D(a) psi solves gravity exactly before orbits cross."""
    grid = Grid(32, 32.0)
    k = 2 * np.pi / grid.length
    sites = (np.arange(32) + 0.5)[:, None, None] * np.ones((32,) * 3)
    # The wave breaks where D = 1 / amplitude, after the end of this run.
    end = 0.5
    amplitude = 0.8 / COSMOLOGY.growth(end)
    # The modes are of the field at the particles' places.
    particles = Particles(grid, COSMOLOGY, scipy.fft.rfftn(amplitude * np.cos(k * sites)))
    particles.run_until(end)
    moved = (particles.positions[0] - sites.ravel() + 16) % 32 - 16
    wanted = -COSMOLOGY.growth(end) * amplitude / k * np.sin(k * sites.ravel())
    assert (moved @ wanted) / (wanted @ wanted) == pytest.approx(1, abs=0.01)
    # The mesh is finer than the lattice and sees its sheets one by one.
    assert abs(moved - wanted).max() < 0.25 < 0.07 * abs(wanted).max()


def test_run_until__largest_waves_grow_linearly():
    grid = Grid(48, 400.0)
    particles = Particles(grid, COSMOLOGY, density_modes(grid, COSMOLOGY, 3))
    waves = 2 * np.pi / grid.length * np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)])
    start = np.array([mode_of(particles, wave) for wave in waves])
    for redshift in (3.0, 1.5, 0.5, 0.0):
        a = 1 / (1 + redshift)
        particles.run_until(a)
        grown = np.array([mode_of(particles, wave) for wave in waves])
        ratio = np.linalg.norm(grown) / np.linalg.norm(start)
        assert ratio == pytest.approx(COSMOLOGY.growth(a) / COSMOLOGY.growth(START), rel=0.03)


def test_run_until__momentum_stays_zero():
    grid = Grid(16, 16.0)
    particles = Particles(grid, COSMOLOGY, density_modes(grid, COSMOLOGY, 5))
    particles.run_until(0.5)
    momenta = particles.momenta.astype(float)
    assert abs(momenta.mean(1)).max() < 1e-4 * momenta.std()


def test_counts__every_particle_once():
    grid = Grid(16, 16.0)
    particles = Particles(grid, COSMOLOGY, density_modes(grid, COSMOLOGY, 5))
    assert (particles.counts() == 1).mean() > 0.5
    particles.positions[:, 0] = grid.length  # where rounding may put what lies below 0
    assert particles.counts().sum() == 16**3
