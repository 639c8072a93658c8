"""Gravity among particles on a periodic mesh: kick-drift-kick (Quinn et al. 1997).

Positions q + displacement and lengths are in Mpc/h, times are scale factors a, momenta are
a^2 dx/dt with time in units of 1 / H_0:

    dx = p da / (a^3 E),   dp = -grad phi da / (a^2 E),   lap phi = 1.5 Omega_m delta

Arrays of particles are (3, particles), float32; fields are (x, y, z).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from hpctrain.samples.cosmology import Array, Cosmology, integral
from hpctrain.samples.initial import Grid, Spectrum, density_modes, displacements

START = 0.1
"""Scale factor of the start, redshift 9."""
STEP = 0.05
"""Longest step, in scale factor."""
FINER = 2
"""Cells of the force's mesh for each particle, along each axis."""


class Particles:
    """One particle for each cell of a grid, moved by their own gravity."""

    def __init__(self, grid: Grid, cosmology: Cosmology, modes: Spectrum) -> None:
        self.grid, self.cosmology, self.a = grid, cosmology, START
        self._mesh = Grid(FINER * grid.cells, grid.length)
        self._factors = _force_factors(self._mesh, cosmology.omega_m)
        self._start(modes)
        self._force = self._gravity()

    def _start(self, modes: Spectrum) -> None:
        a, cosmology = self.a, self.cosmology
        first, second = displacements(self.grid, modes)
        growth, rate = cosmology.growth(a), float(cosmology.expansion(a))
        matter = cosmology.omega_m / (a**3 * rate**2)
        # Fits of the second order's growth (Bouchet et al. 1995); exact to 1e-3 at this time.
        growth2 = -3 / 7 * growth**2 * matter ** (-1 / 143)
        rate2 = 2 * matter ** (6 / 11)
        sites = (np.indices(first.shape[1:]) + 0.5) * (self.grid.length / self.grid.cells)
        moved = growth * first + growth2 * second
        speed = cosmology.growth_rate(a) * growth * first + rate2 * growth2 * second
        self.positions = (sites + moved).reshape(3, -1).astype(np.float32)
        self.momenta = (a**2 * rate * speed).reshape(3, -1).astype(np.float32)

    def run_until(self, a: float) -> None:
        """Go on to a scale factor, in equal steps, and hold positions inside the box."""
        steps = max(1, int(np.ceil((a - self.a) / STEP - 1e-9)))
        times = np.linspace(self.a, a, steps + 1)
        for start, end in zip(times[:-1], times[1:], strict=True):
            middle = 0.5 * (start + end)
            self._kick(start, middle)
            self.positions += np.float32(self._time(start, end, 3)) * self.momenta
            np.mod(self.positions, np.float32(self.grid.length), out=self.positions)
            self._force = self._gravity()
            self._kick(middle, end)
        self.a = a

    def _kick(self, start: float, end: float) -> None:
        self.momenta += np.float32(self._time(start, end, 2)) * self._force

    def _time(self, start: float, end: float, power: int) -> float:
        """The integral of da / (a^power E)."""
        return integral(lambda a: 1 / (a**power * self.cosmology.expansion(a)), start, end, 8)

    def _gravity(self) -> Array:
        """The force on each particle, (3, particles)."""
        mesh = self._mesh
        cells = Cells(self.positions, mesh)
        modes = scipy.fft.rfftn(cells.density())
        return np.stack(
            [
                cells.values(scipy.fft.irfftn(factor * modes, (mesh.cells,) * 3, overwrite_x=True))
                for factor in self._factors
            ]
        )

    def counts(self) -> NDArray[np.int64]:
        """Particles in each cell of the grid; one on average."""
        n = self.grid.cells
        scale = np.float32(n / self.grid.length)
        x, y, z = np.minimum((self.positions * scale).astype(np.int64), n - 1)
        found: NDArray[np.int64] = np.bincount((x * n + y) * n + z, minlength=n**3)
        return found.reshape(n, n, n)


def _force_factors(mesh: Grid, omega_m: float) -> list[Spectrum]:
    """From modes of the density contrast to those of the three components of the force."""
    potential = -1.5 * omega_m / mesh.wave_squared()
    potential[0, 0, 0] = 0.0
    return [(-factor * potential).astype(np.complex64) for factor in mesh.gradients()]


class Cells:
    """Which eight cells each particle lies among, and with what weights (cloud in cell)."""

    def __init__(self, positions: Array, mesh: Grid) -> None:
        self.mesh = mesh
        n = mesh.cells
        scaled = positions * np.float32(n / mesh.length)
        lower = scaled.astype(np.intp)
        share = scaled - np.floor(scaled)
        lower %= n
        upper = lower + 1
        upper[upper == n] = 0
        ends = ((lower, 1 - share), (upper, share))
        self._corners = [
            ((i[0] * n + j[1]) * n + k[2], wi[0] * wj[1] * wk[2])
            for i, wi in ends
            for j, wj in ends
            for k, wk in ends
        ]

    def density(self) -> Array:
        """Density contrast on the mesh, float32."""
        n = self.mesh.cells
        total = np.zeros(n**3)
        for index, weight in self._corners:
            total += np.bincount(index, weight, n**3)
        mean = len(self._corners[0][0]) / n**3
        return (total / mean - 1).astype(np.float32).reshape(n, n, n)

    def values(self, field: Array) -> Array:
        """A field of the mesh where the particles are."""
        flat = field.ravel()
        found = np.zeros(len(self._corners[0][0]), np.float32)
        for index, weight in self._corners:
            found += weight * flat.take(index)
        return found


def simulate(
    cosmology: Cosmology, grid: Grid, seed: int, redshifts: Sequence[float]
) -> Iterator[NDArray[np.int64]]:
    """Counts of particles at redshifts, from the highest to the lowest.

    Args:
        cosmology: its parameters.
        grid: one particle a cell.
        seed: of the initial field.
        redshifts: below 9, falling.

    Yields:
        (x, y, z) counts.
    """
    particles = Particles(grid, cosmology, density_modes(grid, cosmology, seed))
    for redshift in redshifts:
        particles.run_until(1 / (1 + redshift))
        yield particles.counts()
