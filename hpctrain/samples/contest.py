"""Convection in a box, mapped on a band around the equator, in the layout of the SciVis contest.

IEEE SciVis contest 2021, "Earth's mantle convection": netCDF-3, dimensions (lat, r, lon), eight
variables in a fixed order, velocity as Cartesian components.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hpctrain.formats import netcdf3
from hpctrain.samples.stokes import Array, Velocity

INNER_KM, OUTER_KM = 3485.0, 6371.0
NORTH = 60.0
"""Latitude of the band's edges, in degrees north and south."""
DEPTH_M = (OUTER_KM - INNER_KM) * 1e3
DIFFUSIVITY = 1e-6
"""Thermal diffusivity in m^2/s; with the depth it sets the scales of time and velocity."""
VELOCITY_SCALE = DIFFUSIVITY / DEPTH_M
MYR = DEPTH_M**2 / DIFFUSIVITY / (1e6 * 365.25 * 86400)
"""One diffusion time in millions of years."""
SURFACE_K, CONTRAST_K = 293.0, 3314.0

LINEAR = {
    "thermal conductivity": -6.0e-4,
    "thermal expansivity": 1.5e-9,
    "spin transition-induced density anomaly": -0.12,
}
"""Anomalies that the contest computed from mineral physics; here linear, per kelvin."""

UNITS = {
    "temperature": "K",
    "vx": "m/s",
    "vy": "m/s",
    "vz": "m/s",
    "thermal conductivity": "W/m/K",
    "thermal expansivity": "1/K",
    "temperature anomaly": "K",
    "spin transition-induced density anomaly": "kg/m^3",
}
"""The eight variables in the contest's order."""

DEPARTURES = (
    "Cartesian box mapped on a shell patch; not spherical dynamics: no curvature, no poles",
    "the box's length along x is stretched to the full circle of longitude, its width along y to "
    f"latitudes {-NORTH:g} to {NORTH:g}; velocities keep the box's values and are not stretched",
    "the edges in latitude are free-slip mirrors: scalars are even there, the northward velocity "
    "odd",
    "constant viscosity, Boussinesq, no phase transitions; the Rayleigh number is far below the "
    "Earth's, so flow is slower and plumes are wider",
    "cell centres: the first and last shell lie half a cell inside the walls; the last meridian is "
    "not a copy of the first",
    "temperature anomaly is against the plain mean of the shell's cells, not weighted by area",
    "thermal conductivity, thermal expansivity and density anomaly are linear in the temperature "
    "anomaly: they hold no information of their own, and no spin transition",
)
"""What differs from the contest's data."""


def coordinates(shape: tuple[int, int, int]) -> dict[str, Array]:
    """Cell centres.

    Args:
        shape: cells along r, latitude and longitude.

    Returns:
        lat from north to south and lon in degrees, r outward in km; float64.
    """
    nr, nlat, nlon = shape
    return {
        "lat": NORTH - 2 * NORTH * (np.arange(nlat) + 0.5) / nlat,
        "r": INNER_KM + (OUTER_KM - INNER_KM) * (np.arange(nr) + 0.5) / nr,
        "lon": 360.0 * (np.arange(nlon) + 0.5) / nlon,
    }


def cartesian(flow: Velocity, lat: Array, lon: Array) -> tuple[Array, Array, Array]:
    """Turn (up, north, east) at each place into components along fixed axes.

    Args:
        flow: (lat, r, lon) each, in any unit.
        lat: degrees north.
        lon: degrees east.

    Returns:
        vx towards (0 N, 0 E), vy towards (0 N, 90 E), vz towards the north pole.
    """
    phi, theta = np.radians(lon), np.radians(lat)[:, None, None]
    # In the meridian's plane: outward from the axis, and along it.
    outward = flow.z * np.cos(theta) - flow.y * np.sin(theta)
    along = flow.z * np.sin(theta) + flow.y * np.cos(theta)
    vx = outward * np.cos(phi) - flow.x * np.sin(phi)
    vy = outward * np.sin(phi) + flow.x * np.cos(phi)
    return vx, vy, along


def _to_map(field: Array) -> Array:
    """From the box's (z, y, x), y to the north, to (lat, r, lon), lat to the south."""
    return field.transpose(1, 0, 2)[::-1]


def physical_fields(temperature: Array, flow: Velocity) -> dict[str, Array]:
    """The contest's variables from the box's fields.

    Args:
        temperature: (nz, ny, nx), 0 to 1.
        flow: velocity in the cells, (nz, ny, nx) each, in heights a diffusion time.

    Returns:
        Eight arrays (lat, r, lon) in the units of `UNITS`, in that order.
    """
    at = coordinates(temperature.shape)
    kelvin = SURFACE_K + CONTRAST_K * _to_map(temperature).astype(np.float64)
    anomaly = kelvin - kelvin.mean(axis=(0, 2), keepdims=True)
    mapped = Velocity(*(VELOCITY_SCALE * _to_map(v) for v in (flow.z, flow.y, flow.x)))
    vx, vy, vz = cartesian(mapped, at["lat"], at["lon"])
    fields = {"temperature": kelvin, "vx": vx, "vy": vy, "vz": vz, "temperature anomaly": anomaly}
    fields |= {name: slope * anomaly for name, slope in LINEAR.items()}
    return {name: fields[name] for name in UNITS}


def write_step(path: Path, fields: dict[str, Array], attributes: netcdf3.Attributes) -> None:
    """Write one time step as the contest does, in single precision.

    Args:
        path: of the new file.
        fields: arrays (lat, r, lon) by variable, all of one shape.
        attributes: of the whole file.
    """
    nlat, nr, nlon = next(iter(fields.values())).shape
    units = {"lat": "degrees_north", "r": "km", "lon": "degrees_east"}
    variables = [
        netcdf3.Variable(name, (name,), values, {"units": units[name]})
        for name, values in coordinates((nr, nlat, nlon)).items()
    ]
    variables += [
        netcdf3.Variable(name, tuple(units), values.astype("f4"), {"units": UNITS[name]})
        for name, values in fields.items()
    ]
    netcdf3.write(path, {"lat": nlat, "r": nr, "lon": nlon}, variables, attributes)
