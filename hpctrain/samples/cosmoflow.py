"""The HDF5 layout of the CosmoFlow simulations: one file a universe, redshifts last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from hpctrain.samples.cosmology import Cosmology

REDSHIFTS = (0.0, 0.5, 1.5, 3.0)
"""Along the last axis of `full`."""
TAG = "4parE"
"""What the layout calls a set in which these four parameters vary."""
FIDUCIAL = Cosmology(omega_m=0.3, sigma_8=0.8, n_spec=0.96, h_0=70.0)
"""`unitPar` is the parameters' relative distance from these."""


@dataclass(frozen=True)
class Universe:
    """One simulation by name."""

    seed: int
    """Nine digits; of the initial field."""
    job: str
    """Number of the job that ran it; a folder is named after it."""
    number: int
    """Which one of the job, from 0."""
    cosmology: Cosmology

    @property
    def name(self) -> str:
        """The file, below the folder of all universes."""
        return f"cosmoUniverse_sample_{TAG}/{self.job}/univ_ics_2019-03_a{self.seed}.hdf5"


def parameters(cosmology: Cosmology) -> list[float]:
    """Omega_m, sigma_8, N_spec, H_0."""
    return [cosmology.omega_m, cosmology.sigma_8, cosmology.n_spec, cosmology.h_0]


def from_unit(unit: NDArray[np.floating]) -> Cosmology:
    """The cosmology at relative distances (4,) from the fiducial one."""
    return Cosmology(*(float(v) for v in np.array(parameters(FIDUCIAL)) * (1 + unit)))


def write_universe(path: Path, universe: Universe, full: NDArray[np.int16]) -> None:
    """Write one file.

    Args:
        path: of the new file, in a folder that is there.
        universe: what its attributes and parameters say.
        full: counts of particles (x, y, z, redshift).
    """
    physical = np.array(parameters(universe.cosmology))
    with h5py.File(path, "w") as file:
        file.attrs["dataset_tag"] = np.bytes_(TAG)
        file.attrs["seed9"] = universe.seed
        file.attrs["universe_tag"] = np.bytes_(f"{TAG}_{universe.job}-{universe.number}")
        file["full"] = full
        file["namePar"] = np.array([b"Omega_m", b"sigma_8", b"N_spec", b"H_0"])
        file["physPar"] = physical
        file["redshifts"] = np.array(REDSHIFTS)
        file["unitPar"] = physical / np.array(parameters(FIDUCIAL)) - 1
