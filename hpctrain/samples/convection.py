"""Infinite-Prandtl Boussinesq convection in a box: exact Stokes flow, limited advection.

Lengths are in box heights, times in diffusion times, temperature from 1 (bottom) to 0 (top):

    div u = 0,   -grad p + lap u + Ra T e_z = 0,   dT/dt + u . grad T = lap T

x is periodic, y ends at free-slip mirrors, z at free-slip walls of fixed temperature. Arrays are
(z, y, x), values are means over cubes of a staggered grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

Array = NDArray[np.floating]

CFL = 0.5
"""Largest share of a cell that is emptied in a step; Heun with limited slopes is stable to 1."""


@dataclass(frozen=True)
class Box:
    """The domain and its driving."""

    shape: tuple[int, int, int]
    """Cells along z, y, x."""
    rayleigh: float
    """Rayleigh number of the height."""
    width: tuple[float, float]
    """Length along y and x, in heights."""

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
        self._theta_z = _f32(weight[:, None] * np.sin(np.outer(m, z)))
        weight = np.where(np.arange(ny) > 0, 2.0, 1.0) / ny
        self._theta_y = _f32(weight[:, None] * np.cos(np.outer(length, y)))
        h2 = length[:, None] ** 2 + k**2
        self._green = _f32(box.rayleigh / (h2 + m[:, None, None] ** 2) ** 2)
        self._h2 = _f32(h2)
        self._conductive = _f32(1 - z)[:, None, None]
        # Cosines in cells; what a derivative adds is in the factor of the other direction.
        self._cos_z = _f32(m * np.cos(np.outer(z, m)))
        self._cos_y = _f32(np.cos(np.outer(y, length)))
        self._sin_z = _f32(np.sin(np.outer(z, m)))
        self._sin_y = _f32(-length * np.sin(np.outer(y, length)))
        self._ik = (1j * k).astype(np.complex64)
        # At faces, divided by the factor that differencing over a cell brings: the differences
        # over each cell then add up to exactly 0.
        faces_z, faces_y = np.arange(nz + 1) * dz, np.arange(ny + 1) * dy
        self._face_z = _f32(np.sin(np.outer(faces_z, m)) / _sinc(m * dz))
        self._face_y = _f32(-length * np.sin(np.outer(faces_y, length)) / _sinc(length * dy))
        self._face_ik = (1j * k * np.exp(-0.5j * k * dx) / _sinc(k * dx)).astype(np.complex64)

    def _potential(self, temperature: Array) -> NDArray[np.complex64]:
        """Coefficients g of (m, l, k)."""
        theta = scipy.fft.rfft(temperature - self._conductive, axis=2, norm="forward")
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


def _f32(values: Array) -> Array:
    return np.ascontiguousarray(values, dtype=np.float32)


def _sinc(phase: Array) -> Array:
    """Sin(phase / 2) / (phase / 2)."""
    result: Array = np.sinc(phase / (2 * np.pi))
    return result


def _along_y(matrix: Array, spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Apply a real matrix to the axis y of (z, y, k)."""
    return np.matmul(matrix, spectrum.view(np.float32)).view(np.complex64)


def _along_z(matrix: Array, spectrum: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Apply a real matrix to the axis z of (z, y, k)."""
    flat = matrix @ spectrum.view(np.float32).reshape(len(spectrum), -1)
    return flat.reshape(len(matrix), spectrum.shape[1], -1).view(np.complex64)


def pad(temperature: Array, axis: int) -> Array:
    """Two more cells at both ends of an axis, as its boundary condition demands."""
    t = np.moveaxis(temperature, axis, 0)
    if axis == 2:
        below, above = t[-2:], t[:2]
    else:
        # A mirror for y; for z the reflection that keeps 1 and 0 on the walls.
        below, above = _mirror(t, 0), _mirror(t, len(t) - 1)
        if axis == 0:
            below, above = 2 - below, -above
    return np.moveaxis(np.concatenate((below, t, above)), 0, axis)


def _mirror(t: Array, edge: int) -> Array:
    """Two rows beyond an edge; a single row (2D runs) is its own neighbour."""
    inner = min(1, len(t) - 1)
    return t[[inner, 0]] if edge == 0 else t[[edge, edge - inner]]


def limited_slopes(padded: Array, axis: int) -> Array:
    """Van Leer's harmonic slopes a cell: of second order, and never beyond the neighbours.

    Args:
        padded: n + 2 cells along the axis.
        axis: along which.

    Returns:
        n slopes along the axis, in temperature a cell.
    """
    d = np.diff(padded, axis=axis)
    a, b = _part(d, axis, None, -1), _part(d, axis, 1, None)
    product = a * b
    product += product
    np.maximum(product, 0, out=product)
    total = a + b
    # Where the product is positive the sum is far from this; elsewhere it avoids 0 / 0.
    total += np.float32(1e-30)
    product /= total
    return product


def _part(t: Array, axis: int, start: int | None, stop: int | None) -> Array:
    index = [slice(None)] * 3
    index[axis] = slice(start, stop)
    return t[tuple(index)]


def heat_flux(temperature: Array, velocity: Array, axis: int, spacing: float) -> Array:
    """Heat through the faces of an axis: upwind with limited slopes, minus the gradient.

    Args:
        temperature: (nz, ny, nx).
        velocity: through the faces, n + 1 along the axis.
        axis: along which.
        spacing: cell size.

    Returns:
        Like `velocity`.
    """
    padded = pad(temperature, axis)
    half = limited_slopes(padded, axis)
    half *= np.float32(0.5)
    inner = _part(padded, axis, 1, -1)
    left = _part(inner, axis, None, -1)
    right = _part(inner, axis, 1, None)
    flux = np.maximum(velocity, 0) * (left + _part(half, axis, None, -1))
    flux += np.minimum(velocity, 0) * (right - _part(half, axis, 1, None))
    flux -= (right - left) * np.float32(1 / spacing)
    return flux


class Convection:
    """A temperature field and its evolution."""

    def __init__(self, box: Box, temperature: Array) -> None:
        """Start at time 0.

        Args:
            box: the domain.
            temperature: (nz, ny, nx).
        """
        self.box = box
        self.stokes = Stokes(box)
        self.temperature = _f32(temperature)
        self.time = 0.0
        self.steps = 0

    def tendency(self, temperature: Array, flow: Velocity) -> Array:
        """Rate of change of the temperature (nz, ny, nx)."""
        faces_x = np.concatenate((flow.x, flow.x[..., :1]), axis=2)
        rate = np.zeros_like(temperature)
        for axis, velocity in enumerate((flow.z, flow.y, faces_x)):
            if self.box.shape[axis] > 1:
                spacing = self.box.spacing[axis]
                flux = heat_flux(temperature, velocity, axis, spacing)
                rate -= np.diff(flux, axis=axis) * np.float32(1 / spacing)
        return rate

    def max_step(self, flow: Velocity) -> float:
        """Largest stable time step."""
        rate = sum(
            float(np.abs(velocity).max()) / spacing
            for velocity, spacing in zip((flow.z, flow.y, flow.x), self.box.spacing, strict=True)
        )
        diffusion = sum(2 / d**2 for n, d in zip(self.box.shape, self.box.spacing, strict=True) if n > 1)
        return min(CFL / max(rate, 1e-30), 0.8 / diffusion)

    def step(self, longest: float = np.inf) -> float:
        """One step of Heun's method in its SSP form (Shu and Osher 1988, equation 2.16).

        Args:
            longest: upper bound of the time step.

        Returns:
            The time step.
        """
        start = self.temperature
        flow = self.stokes.at_faces(start)
        dt = min(self.max_step(flow), longest)
        first = start + np.float32(dt) * self.tendency(start, flow)
        second = first + np.float32(dt) * self.tendency(first, self.stokes.at_faces(first))
        self.temperature = np.float32(0.5) * (start + second)
        self.time += dt
        self.steps += 1
        return dt

    def run_until(self, time: float) -> None:
        """Step up to a point in time, exactly."""
        while self.time < time * (1 - 1e-9):
            self.step(time - self.time)

    def rms_velocity(self) -> float:
        """Root mean square of the speed over the box."""
        flow = self.stokes.at_cells(self.temperature)
        squares = flow.x**2 + flow.y**2 + flow.z**2
        return float(np.sqrt(squares.mean(dtype=np.float64)))

    def nusselt(self) -> float:
        """Heat through the bottom over what conduction alone would carry."""
        gradient = 2 * self.box.shape[0] * (1 - self.temperature[0])
        return float(gradient.mean(dtype=np.float64))
