"""Infinite-Prandtl Boussinesq convection in a box: exact Stokes flow, limited advection.

    dT/dt + u . grad T = lap T + H

in the units and on the grid of `hpctrain.samples.stokes`. Heat is conserved to rounding: it moves
through the faces of cells, and the flow through the faces of each cell adds up to nothing.
"""

from __future__ import annotations

import numpy as np

from hpctrain.samples.stokes import Array, Box, Stokes, Velocity, as_float32

CFL = 0.8
"""Time step as a share of the time in which flow and diffusion would empty a cell."""

SLAB = 8
"""Shells that are worked on at a time."""


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


def _face_sums(t: Array, axis: int) -> Array:
    total: Array = _part(t, axis, None, -1) + _part(t, axis, 1, None)
    return total


def heat_gain(padded: Array, velocity: Array, axis: int, spacing: float) -> Array:
    """What the fluxes along an axis add to each cell: upwind with limited slopes, conduction.

    Args:
        padded: temperature, with two more cells at both ends of the axis.
        velocity: through the n + 1 faces along the axis.
        axis: along which.
        spacing: cell size.

    Returns:
        Rate of change in the n cells.
    """
    half = limited_slopes(padded, axis)
    half *= np.float32(0.5)
    inner = _part(padded, axis, 1, -1)
    left = _part(inner, axis, None, -1)
    right = _part(inner, axis, 1, None)
    flux = left + _part(half, axis, None, -1)
    flux *= np.maximum(velocity, 0)
    backward = right - _part(half, axis, 1, None)
    backward *= np.minimum(velocity, 0)
    flux += backward
    np.subtract(left, right, out=backward)
    backward *= np.float32(1 / spacing)
    flux += backward
    gain: Array = _part(flux, axis, None, -1) - _part(flux, axis, 1, None)
    gain *= np.float32(1 / spacing)
    return gain


def refine(temperature: Array) -> Array:
    """Halve the cells along all axes, by the limited slopes within them; keeps the mean.

    Args:
        temperature: (nz, ny, nx).

    Returns:
        (2 nz, 2 ny, 2 nx).
    """
    for axis in range(3):
        inner = _part(pad(temperature, axis), axis, 1, -1)
        quarter = limited_slopes(inner, axis) * np.float32(0.25)
        halves = np.stack((temperature - quarter, temperature + quarter), axis + 1)
        shape = list(temperature.shape)
        shape[axis] *= 2
        temperature = halves.reshape(shape)
    return temperature


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
        self.temperature = as_float32(temperature)
        self.time = 0.0
        self.steps = 0

    def tendency(self, temperature: Array, flow: Velocity) -> Array:
        """Rate of change of the temperature (nz, ny, nx)."""
        rate = np.empty_like(temperature)
        padded = pad(temperature, 0)
        # Some shells at a time, so that all that is computed on the way stays in the cache.
        for start in range(0, len(rate), SLAB):
            cells = slice(start, min(start + SLAB, len(rate)))
            with_faces = slice(start, cells.stop + 1)
            part = Velocity(flow.z[with_faces], flow.y[cells], flow.x[cells])
            rate[cells] = self._slab(padded[start : cells.stop + 4], part)
        return rate

    def _slab(self, padded: Array, flow: Velocity) -> Array:
        """Rate of change of some shells, given two more below and above them."""
        dz, dy, dx = self.box.spacing
        inner = padded[2:-2]
        rate = heat_gain(padded, flow.z, 0, dz)
        if self.box.shape[1] > 1:
            rate += heat_gain(pad(inner, 1), flow.y, 1, dy)
        faces_x = np.concatenate((flow.x, flow.x[..., :1]), axis=2)
        rate += heat_gain(pad(inner, 2), faces_x, 2, dx)
        rate += np.float32(self.box.heating)
        return rate

    def max_step(self, flow: Velocity) -> float:
        """Largest stable time step for a flow through the faces."""
        dz, dy, dx = self.box.spacing
        east = np.abs(flow.x)
        # Twice the share of each cell that flows through it in a unit of time.
        rate = _face_sums(np.abs(flow.z), 0) / dz + _face_sums(np.abs(flow.y), 1) / dy
        rate += (east + np.roll(east, -1, axis=2)) / dx
        cells = zip(self.box.shape, self.box.spacing, strict=True)
        diffusion = sum(2 / d**2 for n, d in cells if n > 1)
        return CFL / (float(rate.max()) / 2 + diffusion)

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
