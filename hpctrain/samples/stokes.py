"""Flow of a fluid without inertia, driven by its own buoyancy, in a box; exact for each mode.

Lengths are in box heights, times in diffusion times, temperature from 1 (bottom) to 0 (top):

    div u = 0,   -grad p + lap u + Ra T e_z = 0

x is periodic, y ends at free-slip mirrors, z at free-slip walls of fixed temperature. Arrays are
(z, y, x), values are means over cubes of a staggered grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Array = NDArray[np.floating]


@dataclass(frozen=True)
class Box:
    """The domain and its driving."""

    shape: tuple[int, int, int]
    """Cells along z, y, x."""
    rayleigh: float
    """Rayleigh number of the height."""
    width: tuple[float, float]
    """Length along y and x, in heights."""
    heating: float = 0.0
    """Internal heat, in temperature a diffusion time."""

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Cell size along z, y, x."""
        nz, ny, nx = self.shape
        return 1 / nz, self.width[0] / ny, self.width[1] / nx


@dataclass(frozen=True)
class Velocity:
    """Velocity components on the grid that the flow was asked for."""

    z: Array
    y: Array
    x: Array


class Stokes:
    """Flow that a temperature field drives, by sines and cosines along z and y, Fourier along x.

    With T - (1 - z) = sum theta sin(m pi z) cos(l y) exp(i k x), the momentum balance gives, mode
    by mode, w = h^2 g and a horizontal potential m pi g, with h^2 = k^2 + l^2 and
    g = Ra theta / (h^2 + (m pi)^2)^2.
    """

    def __init__(self, box: Box) -> None:
        nz, ny, nx = box.shape
        dz, dy, dx = box.spacing
        self.box = box
        z, y = (np.arange(nz) + 0.5) * dz, (np.arange(ny) + 0.5) * dy
        m, length = np.pi * np.arange(1, nz + 1), np.pi / box.width[0] * np.arange(ny)
        k = 2 * np.pi / box.width[1] * np.arange(nx // 2 + 1)
        weight = np.where(np.arange(1, nz + 1) < nz, 2.0, 1.0) / nz
        self._theta_z = as_float32(weight[:, None] * np.sin(np.outer(m, z)))
        weight = np.where(np.arange(ny) > 0, 2.0, 1.0) / ny
        self._theta_y = as_float32(weight[:, None] * np.cos(np.outer(length, y)))
        h2 = length[:, None] ** 2 + k**2
        self._green = as_float32(box.rayleigh / (h2 + m[:, None, None] ** 2) ** 2)
        self._h2 = as_float32(h2)
        self._conductive = as_float32(1 - z)[:, None, None]
        # Cosines in cells; what a derivative adds is in the factor of the other direction.
        self._cos_z = as_float32(m * np.cos(np.outer(z, m)))
        self._cos_y = as_float32(np.cos(np.outer(y, length)))
        self._sin_z = as_float32(np.sin(np.outer(z, m)))
        self._sin_y = as_float32(-length * np.sin(np.outer(y, length)))
        self._ik = (1j * k).astype(np.complex64)
        # At faces, divided by the factor that differencing over a cell brings: the differences
        # over each cell then add up to exactly 0.
        faces_z, faces_y = np.arange(nz + 1) * dz, np.arange(ny + 1) * dy
        self._face_z = as_float32(np.sin(np.outer(faces_z, m)) / _sinc(m * dz))
        self._face_y = as_float32(-length * np.sin(np.outer(faces_y, length)) / _sinc(length * dy))
        self._face_ik = (1j * k * np.exp(-0.5j * k * dx) / _sinc(k * dx)).astype(np.complex64)

    def _potential(self, temperature: Array) -> NDArray[np.complex64]:
        """Coefficients g of (m, l, k)."""
        departure = as_float32(temperature - self._conductive)
        theta = scipy.fft.rfft(departure, axis=2, norm="forward")
        return self._green * _along_z(self._theta_z, _along_y(self._theta_y, theta))

    def _back(self, spectrum: NDArray[np.complex64]) -> Array:
        result: Array = scipy.fft.irfft(spectrum, self.box.shape[2], axis=2, norm="forward")
        return result

    def at_faces(self, temperature: Array) -> Velocity:
        """Mean flow through the faces of the cells, free of divergence to rounding.

        Args:
            temperature: (nz, ny, nx).

        Returns:
            z (nz+1, ny, nx), y (nz, ny+1, nx), x (nz, ny, nx) at each cell's lower face.
        """
        return self._evaluate(temperature, self._face_z, self._face_y, self._face_ik)

    def at_cells(self, temperature: Array) -> Velocity:
        """Flow in the middle of the cells, three arrays like `temperature` (nz, ny, nx)."""
        return self._evaluate(temperature, self._sin_z, self._sin_y, self._ik)

    def _evaluate(
        self, temperature: Array, up: Array, north: Array, east: NDArray[np.complex64]
    ) -> Velocity:
        g = self._potential(temperature)
        w = self._back(_along_z(up, _along_y(self._cos_y, self._h2 * g)))
        phi = _along_z(self._cos_z, g)
        v = self._back(_along_y(north, phi))
        u = self._back(east * _along_y(self._cos_y, phi))
        return Velocity(w, v, u)


def as_float32(values: Array) -> Array:
    """The same numbers, contiguous in single precision."""
    return np.ascontiguousarray(values, dtype=np.float32)


def _sinc(phase: Array) -> Array:
    """Sin(phase / 2) / (phase / 2)."""
    result: Array = np.sinc(phase / (2 * np.pi))
    return result


def _along_y(matrix: Array, spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Apply a real matrix to the axis y of (z, y, k)."""
    result: NDArray[np.complex64] = np.matmul(matrix, spectrum.view(np.float32)).view(np.complex64)
    return result


def _along_z(matrix: Array, spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Apply a real matrix to the axis z of (z, y, k)."""
    numbers = spectrum.view(np.float32)
    result = np.empty((len(matrix), *numbers.shape[1:]), np.float32)
    # A small product for each y. One large product starts the threads of BLAS, which gain nothing
    # here and made the whole run four times slower on a busy machine.
    np.matmul(matrix, numbers.transpose(1, 0, 2), out=result.transpose(1, 0, 2))
    return result.view(np.complex64)
