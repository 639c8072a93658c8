"""`hpctrain sample mantle`: time steps of mantle convection to try the main job on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import hpctrain
from hpctrain.errors import ConfigError
from hpctrain.samples import folder
from hpctrain.samples.contest import DEPARTURES, MYR, UNITS, physical_fields, write_step
from hpctrain.samples.convection import Convection, refine
from hpctrain.samples.stokes import Array, Box

SPIN_UP, SETTLE, INTERVAL = 0.04, 0.002, 0.001
"""Times in diffusion times at Ra 1e5: on the coarse grid, on the fine grid, between steps."""


@dataclass(frozen=True)
class Setup:
    """Everything that the files depend on."""

    steps: int
    size: tuple[int, int, int]
    seed: int
    rayleigh: float
    heating: float

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"sample mantle: steps is {self.steps}; give at least 1")
        if len(self.size) != 3 or any(n < 8 or n % 2 for n in self.size):
            raise ConfigError(
                f"sample mantle: size is {list(self.size)}; "
                "give shells, rows and columns, each even and at least 8"
            )
        if not 0 <= self.seed < 2**31:
            raise ConfigError(f"sample mantle: seed is {self.seed}; give 0 to 2147483647")
        if not 1e4 <= self.rayleigh <= 1e7:
            raise ConfigError(
                f"sample mantle: rayleigh is {self.rayleigh:g}; give 1e4 to 1e7, "
                "below it nothing moves, above it this grid is too coarse"
            )

    def box(self, coarser: int = 1) -> Box:
        """The domain, of cubic cells; every so many of them joined along each axis."""
        nz, ny, nx = self.size
        shape = (nz // coarser, ny // coarser, nx // coarser)
        return Box(shape, self.rayleigh, (ny / nz, nx / nz), self.heating)

    def scaled(self, time: float) -> float:
        """A time at Ra 1e5, at this Rayleigh number: velocities grow as Ra^(2/3)."""
        return float(time * (1e5 / self.rayleigh) ** (2 / 3))

    def names(self) -> list[str]:
        """File names in order of time."""
        return [f"mantle{number:03d}.nc" for number in range(1, self.steps + 1)]


@dataclass(frozen=True)
class Snapshot:
    """One time step as it is written."""

    time: float
    """Since the first snapshot, in diffusion times."""
    fields: dict[str, Array]
    rms_velocity: float
    nusselt: float


def _first_temperature(setup: Setup) -> Array:
    """Warm interior between two boundary layers, with a random push for every column."""
    box = setup.box(coarser=2)
    nz, ny, nx = box.shape
    z = (np.arange(nz) + 0.5)[:, None, None] / nz
    interior, layer = min(0.5 + 0.03 * setup.heating, 0.9), 0.1
    profile = interior + (1 - interior) * np.maximum(1 - z / layer, 0)
    profile -= interior * np.maximum(1 - (1 - z) / layer, 0)
    push = np.random.default_rng(setup.seed).standard_normal((1, ny, nx))
    start: Array = profile + 0.1 * np.sin(np.pi * z) * push
    return start


def simulate(setup: Setup) -> Iterator[Snapshot]:
    """Run to developed convection on a coarse grid, then on the full one, step by step."""
    coarse = Convection(setup.box(coarser=2), _first_temperature(setup))
    coarse.run_until(setup.scaled(SPIN_UP))
    run = Convection(setup.box(), refine(coarse.temperature))
    start = setup.scaled(SETTLE)
    for number in range(setup.steps):
        time = number * setup.scaled(INTERVAL)
        run.run_until(start + time)
        fields = physical_fields(run.temperature, run.stokes.at_cells(run.temperature))
        yield Snapshot(time, fields, run.rms_velocity(), run.nusselt())


def correlation(a: Snapshot, b: Snapshot) -> float:
    """Correlation of the temperature anomalies of two snapshots."""
    x, y = a.fields["temperature anomaly"], b.fields["temperature anomaly"]
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


def write_sample(
    out: Path,
    steps: int = 24,
    size: tuple[int, int, int] = (32, 64, 128),
    seed: int = 0,
    rayleigh: float = 1e5,
    heating: float = 7.5,
    progress: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Run convection in a box and write its time steps, with a data card.

    Nothing is computed where the same sample is already there, complete and unaltered.

    Args:
        out: folder, made if need be; gets mantle001.nc, ... and DATA_CARD.md.
        steps: number of files.
        size: shells, rows of latitude, columns of longitude.
        seed: of the first disturbance.
        rayleigh: Rayleigh number of the box's height and temperature contrast.
        heating: internal heat, in temperature contrasts a diffusion time; keeps the flow changing.
        progress: is told a line at a time.

    Returns:
        The NetCDF files in order of time.

    Raises:
        ConfigError: a parameter is out of bounds, or the folder holds something else.
    """
    out = Path(out)
    setup = Setup(steps, (size[0], size[1], size[2]), seed, float(rayleigh), float(heating))

    def make(scratch: Path) -> list[str]:
        return _measured(_write_steps(scratch, setup, progress))

    return folder.write(out, setup.names(), _card_head(setup), make, progress)


def _write_steps(scratch: Path, setup: Setup, progress: Callable[[str], None]) -> list[str]:
    """Write all time steps; gives the rows of the card's table."""
    progress(f"spinning up convection at Ra {setup.rayleigh:g}, {_size(setup)} cells")
    before: Snapshot | None = None
    rows = []
    for number, (name, now) in enumerate(zip(setup.names(), simulate(setup), strict=True), 1):
        write_step(scratch / name, now.fields, _attributes(setup, number, now))
        alike = f"{correlation(before, now):.3f}" if before else "-"
        measured = f"{now.rms_velocity:.1f} | {now.nusselt:.2f} | {alike}"
        rows.append(f"| {name} | {now.time * MYR:.0f} | {measured} |")
        progress(
            f"step {number} of {setup.steps}: rms velocity {now.rms_velocity:.1f}, "
            f"Nusselt number {now.nusselt:.2f}, correlation with the step before {alike}"
        )
        before = now
    return rows


def _size(setup: Setup) -> str:
    return " x ".join(map(str, setup.size))


def _attributes(setup: Setup, number: int, now: Snapshot) -> dict[str, str | int | float]:
    return {
        "title": "Mantle convection in a box, in the layout of the SciVis contest 2021",
        "generator": f"hpctrain {hpctrain.__version__}: hpctrain sample mantle",
        "rayleigh_number": setup.rayleigh,
        "internal_heating": setup.heating,
        "seed": setup.seed,
        "step": number,
        "time_myr": now.time * MYR,
        "departures": "; ".join(DEPARTURES),
    }


def _card_head(setup: Setup) -> str:
    """What follows from the parameters alone: it tells whether a folder holds this sample."""
    nz, ny, nx = setup.size
    lines = [
        "# Mantle convection sample",
        "",
        "Synthetic: infinite-Prandtl Boussinesq convection in a box, not data of the Earth.",
        "",
        f"- generator: hpctrain {hpctrain.__version__}, `hpctrain sample mantle`",
        f"- time steps: {setup.steps}, {setup.scaled(INTERVAL) * MYR:.1f} million years apart",
        f"- size: {nz} shells, {ny} rows of latitude, {nx} columns of longitude",
        f"- box: {nx / nz:g} x {ny / nz:g} x 1 heights",
        f"- Rayleigh number: {setup.rayleigh!r}",
        f"- internal heating: {setup.heating!r} temperature contrasts a diffusion time",
        f"- seed: {setup.seed}",
        "- method: exact Stokes flow by sines, cosines and Fourier modes; van Leer's limited",
        "  advection along all axes; Heun's method; float32",
        "",
        "## Variables, each (lat, r, lon)",
        "",
        *(f"- {name} [{unit}]" for name, unit in UNITS.items()),
        "",
        "## Known departures from the contest's data",
        "",
        *(f"- {departure}" for departure in DEPARTURES),
    ]
    return "\n".join(lines) + "\n"


def _measured(rows: list[str]) -> list[str]:
    return [
        "## Measured",
        "",
        "Velocity in heights a diffusion time; correlation of the temperature anomaly with that of",
        "the step before.",
        "",
        "| file | million years | rms velocity | Nusselt number | correlation |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]
