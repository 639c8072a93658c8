"""`hpctrain sample nbody`: universes of dark matter, with parameters that differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import hpctrain
from hpctrain.errors import ConfigError
from hpctrain.samples import folder
from hpctrain.samples.cosmoflow import (
    FIDUCIAL,
    REDSHIFTS,
    Universe,
    from_unit,
    parameters,
    write_universe,
)
from hpctrain.samples.initial import Grid
from hpctrain.samples.particle_mesh import FINER, START, STEP, simulate

RANGES = (0.3, 0.3, 0.1, 0.2)
"""How far Omega_m, sigma_8, N_spec and H_0 lie from the fiducial ones at most, relatively."""

DEPARTURES = (
    "gravity on a mesh of half the particles' spacing, without direct forces between neighbours: "
    "haloes are smoother. At 0.5 Mpc/h a cell, a simulation with direct forces (Abacus) has some "
    "1.6 times the variance and twice the highest count, and 2 % more empty cells",
    "the box is far smaller than CosmoFlow's 512 Mpc/h: no waves longer than the box, so large "
    "scales vary less, and universes of one cosmology differ more",
    "Eisenstein and Hu's transfer function without wiggles: no baryon acoustic peaks; "
    "Omega_b h^2 is 0.0224 in all universes; no neutrinos, no radiation",
    "particles start on a lattice: where cells are much larger than 1 Mpc/h, few have left their "
    "own cell at redshift 3, and counts there vary too little",
    "parameters are spread by a Latin hypercube over ranges of this generator's own",
    "the job in names and attributes is the seed; no batch job ran",
)
"""What differs from CosmoFlow's data, and from physics."""


@dataclass(frozen=True)
class Setup:
    """Everything that the files depend on."""

    count: int
    grid: Grid
    seed: int

    def __post_init__(self) -> None:
        cells, cell = self.grid.cells, self.grid.length / self.grid.cells
        if not 1 <= self.count <= 10_000:
            raise ConfigError(f"sample nbody: universes is {self.count}; give 1 to 10000")
        if not 8 <= cells <= 256 or cells % 2:
            raise ConfigError(f"sample nbody: size is {cells}; give an even number, 8 to 256")
        if not 0.25 <= cell <= 4:
            raise ConfigError(
                f"sample nbody: box is {self.grid.length:g} Mpc/h, {cell:g} a cell; "
                f"give 0.25 to 4 a cell, so {0.25 * cells:g} to {4 * cells:g}"
            )
        if not 0 <= self.seed < 10**8:
            raise ConfigError(f"sample nbody: seed is {self.seed}; give 0 to 99999999")

    def universes(self) -> list[Universe]:
        """Seeds and parameters; each parameter is spread evenly over its range."""
        rng = np.random.default_rng(self.seed)
        ranks = np.stack([rng.permutation(self.count) for _ in RANGES], axis=1)
        share = (ranks + rng.random(ranks.shape)) / self.count
        units = (2 * share - 1) * np.array(RANGES)
        seeds = 100_000_000 + rng.choice(900_000_000, self.count, replace=False)
        job = f"{self.seed:08d}"
        return [
            Universe(int(seed), job, number, from_unit(unit))
            for number, (seed, unit) in enumerate(zip(seeds, units, strict=True))
        ]


def write_sample(
    out: Path,
    universes: int = 6,
    size: int = 64,
    box: float | None = None,
    seed: int = 0,
    progress: folder.Progress = lambda line: None,
) -> list[Path]:
    """Let dark matter fall together in several universes, and count it, with a data card.

    Nothing is computed where the same sample is already there, complete and unaltered.

    Args:
        out: folder, made if need be.
        universes: number of files.
        size: particles, and cells, along each axis.
        box: along each axis, in Mpc/h; default 1 a cell, as CosmoFlow has.
        seed: of parameters and initial fields.
        progress: is told a line at a time.

    Returns:
        The HDF5 files.

    Raises:
        ConfigError: a parameter is out of bounds, or the folder holds something else.
    """
    setup = Setup(universes, Grid(size, float(size if box is None else box)), seed)
    all_of_them = setup.universes()

    def make(scratch: Path) -> list[str]:
        rows = [_write(scratch, setup, universe, progress) for universe in all_of_them]
        return _measured(rows)

    names = [universe.name for universe in all_of_them]
    return folder.write(Path(out), names, _card_head(setup), make, progress)


def _write(scratch: Path, setup: Setup, universe: Universe, progress: Callable[[str], None]) -> str:
    """Run and write one universe; gives its row of the card's table."""
    full = counts(universe, setup.grid)
    path = scratch / universe.name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_universe(path, universe, full)
    now = full[..., 0]
    values = " ".join(f"{value:.4g}" for value in parameters(universe.cosmology))
    variance, empty = float(now.var(dtype=float)), float((now == 0).mean())
    progress(
        f"universe {universe.number + 1} of {setup.count}: parameters {values}; at redshift 0 "
        f"variance {variance:.1f}, highest count {now.max()}, {empty:.0%} of cells empty"
    )
    table = " | ".join(values.split())
    return f"| {path.name} | {table} | {variance:.2f} | {now.max()} | {empty:.3f} |"


def counts(universe: Universe, grid: Grid) -> NDArray[np.int16]:
    """Run one universe.

    Returns:
        Particles in each cell, (x, y, z, redshift).

    Raises:
        ConfigError: a cell holds more than fits.
    """
    full = np.empty((*(grid.cells,) * 3, len(REDSHIFTS)), np.int16)
    early_first = REDSHIFTS[::-1]
    runs = simulate(universe.cosmology, grid, universe.seed, early_first)
    for position, found in enumerate(runs, start=1):
        full[..., -position] = as_int16(found)
    return full


def as_int16(found: NDArray[np.int64]) -> NDArray[np.int16]:
    """The same counts in the layout's type.

    Raises:
        ConfigError: a cell holds more than fits.
    """
    if found.max() > np.iinfo(np.int16).max:
        raise ConfigError(
            f"sample nbody: a cell holds {found.max()} particles, and the layout has 16 bits; "
            "give a larger box"
        )
    return found.astype(np.int16)


def _card_head(setup: Setup) -> str:
    """What follows from the parameters alone: it tells whether a folder holds this sample."""
    cells, length = setup.grid.cells, setup.grid.length
    ranges = ", ".join(
        f"{name} {value * (1 - width):.4g} to {value * (1 + width):.4g}"
        for name, value, width in zip(
            ("Omega_m", "sigma_8", "N_spec", "H_0"), parameters(FIDUCIAL), RANGES, strict=True
        )
    )
    lines = [
        "# N-body sample",
        "",
        "Synthetic: dark matter on a particle mesh, in the layout of the CosmoFlow simulations.",
        "",
        f"- generator: hpctrain {hpctrain.__version__}, `hpctrain sample nbody`",
        f"- universes: {setup.count}, each of its own initial field and parameters",
        f"- parameters: {ranges} km/s/Mpc",
        f"- size: {cells}^3 particles counted in {cells}^3 cells, one a cell on average",
        f"- box: {length:g} Mpc/h, periodic",
        f"- seed: {setup.seed}",
        f"- method: second-order start at redshift {1 / START - 1:g}, steps of at most {STEP:g} in "
        f"scale factor, forces on {FINER * cells}^3 cells, float32",
        "",
        "## Datasets of each file",
        "",
        f"- full: particles a cell (x, y, z, redshift), int16, ({cells}, {cells}, {cells}, 4)",
        f"- redshifts: {', '.join(f'{z:g}' for z in REDSHIFTS)}, along the last axis of `full`",
        "- namePar, physPar: Omega_m, sigma_8 and N_spec (no unit), H_0 [km/s/Mpc]",
        "- unitPar: physPar / (0.3, 0.8, 0.96, 70) - 1",
        "- attributes: dataset_tag, seed9 (of the initial field), universe_tag",
        "",
        "## Known departures from CosmoFlow's data and from physics",
        "",
        *(f"- {departure}" for departure in DEPARTURES),
    ]
    return "\n".join(lines) + "\n"


def _measured(rows: list[str]) -> list[str]:
    return [
        "## Measured at redshift 0",
        "",
        "| file | Omega_m | sigma_8 | N_spec | H_0 | variance | highest count | empty cells |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]
