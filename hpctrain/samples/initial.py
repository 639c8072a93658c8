"""How matter lies at the start: a Gaussian random field, and where it has moved particles.

Fields are (x, y, z) over a periodic cube, lengths in Mpc/h, wave numbers in h/Mpc.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from hpctrain.samples.cosmology import Array, Cosmology

Spectrum = NDArray[np.complexfloating]


@dataclass(frozen=True)
class Grid:
    """A cube of cells, periodic."""

    cells: int
    """Along each axis."""
    length: float
    """Along each axis, in Mpc/h."""

    def waves(self) -> list[Array]:
        """Wave numbers along x, y, z for rfftn, each shaped to broadcast; in h/Mpc."""
        spacing = self.length / self.cells
        full = 2 * np.pi * scipy.fft.fftfreq(self.cells, spacing)
        half = 2 * np.pi * scipy.fft.rfftfreq(self.cells, spacing)
        return [full[:, None, None], full[None, :, None], half[None, None, :]]

    def wave_squared(self) -> Array:
        """Squared wave numbers for rfftn, 1 in place of 0."""
        x, y, z = self.waves()
        k2: Array = x**2 + y**2 + z**2
        k2[0, 0, 0] = 1.0
        return k2

    def gradients(self) -> list[Spectrum]:
        """The factors i k along x, y, z; a wave of two cells has no slope."""
        nyquist = np.pi * self.cells / self.length
        return [1j * np.where(np.abs(k) < 0.999 * nyquist, k, 0.0) for k in self.waves()]


def density_modes(grid: Grid, cosmology: Cosmology, seed: int) -> Spectrum:
    """A Gaussian random field of the linear power spectrum today, as `rfftn` would give it."""
    white = np.random.default_rng(seed).standard_normal((grid.cells,) * 3)
    modes: Spectrum = scipy.fft.rfftn(white)
    k = np.sqrt(grid.wave_squared())
    k[0, 0, 0] = 0.0
    modes *= np.sqrt(cosmology.power(k) * (grid.cells / grid.length) ** 3)
    return modes


def displacements(grid: Grid, modes: Spectrum) -> tuple[Array, Array]:
    """First and second order of Lagrangian perturbation theory (Bouchet et al. 1995).

    Args:
        grid: of the modes.
        modes: linear density contrast, from `rfftn`.

    Returns:
        -grad phi1 and grad phi2, (3, x, y, z) each in Mpc/h, with lap phi1 = delta and
        lap phi2 the second invariant of the tidal tensor of phi1.
    """
    gradients, k2 = grid.gradients(), grid.wave_squared()
    potential = -modes / k2
    first = _slopes(grid, -potential)

    def tide(i: int, j: int) -> Array:
        return _real(grid, gradients[i] * gradients[j] * potential)

    xx, yy, zz = (tide(i, i) for i in range(3))
    source = xx * yy + yy * zz + zz * xx
    for i, j in ((0, 1), (1, 2), (2, 0)):
        source -= tide(i, j) ** 2
    return first, _slopes(grid, -scipy.fft.rfftn(source) / k2)


def _slopes(grid: Grid, potential: Spectrum) -> Array:
    return np.stack([_real(grid, factor * potential) for factor in grid.gradients()])


def _real(grid: Grid, spectrum: Spectrum) -> Array:
    field: Array = scipy.fft.irfftn(spectrum, (grid.cells,) * 3)
    return field
