"""The index of the files that a job reads, with what only numeric packages can tell of them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from hpctrain.config.job import Job
    from hpctrain.index import Index
    from hpctrain.index.headers.arrays import FileHeader


def job_index(job: Job, cwd: Path) -> Index:
    """Scan, pair, split and check the files of a job; tells of long work."""
    from hpctrain.index import build_job_index

    def say(line: str) -> None:
        typer.echo(line, err=True)

    return build_job_index(job, cwd, say, _read_hdf5)


def _read_hdf5(header: FileHeader) -> FileHeader | None:
    """The header filled in; a login node without h5py leaves that to the trainer."""
    from hpctrain.registry import HDF5_HEADER, resolve

    if find_spec("h5py") is None or find_spec("numpy") is None:
        typer.echo(
            f"note: {header.path}: is netCDF-4/HDF5, and h5py is not installed here, so that the "
            "sizes in data: are compared with it only when the training starts",
            err=True,
        )
        return None
    filled: FileHeader = resolve(HDF5_HEADER)(header)
    return filled
