"""The index of a job's `data:` block, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpctrain.index.chosen_pairs import build_pairs_index, pair_rows
from hpctrain.index.fields.build import ReadHdf5, build_fields_index
from hpctrain.index.fields.chosen import rows_of_index
from hpctrain.index.fields.split import split_rows
from hpctrain.index.scroll.build import build_scroll_index, scroll_rows
from hpctrain.index.table import Index, Row

if TYPE_CHECKING:
    from hpctrain.config.job import Job


def build_job_index(
    job: Job,
    cwd: Path,
    progress: Callable[[str], None] | None = None,
    read_hdf5: ReadHdf5 | None = None,
) -> Index:
    """Scan, pair, split and check the files of a job.

    Args:
        job: the job.
        cwd: folder that a relative `data.root` starts from.
        progress: called with a line before many bytes are read.
        read_hdf5: fills the header of an HDF5 file, or returns None where h5py is not installed.

    Raises:
        DataError: anything that would stop the training or make it learn from wrong samples.
    """
    data: Any = job.data
    if data.kind == "scroll":
        return build_scroll_index(data, cwd, progress)
    if data.kind == "pairs":
        return build_pairs_index(data, cwd)
    return build_fields_index(data, job.train.upscale_factor, cwd, progress, read_hdf5)


def rows_of_job(job: Job, root: Path) -> list[Row]:
    """Rows of the files that a job would read, without sizes and digests.

    Args:
        job: with absolute paths.
        root: folder of the data.

    Raises:
        DataError: files that are missing, or do not fit each other.
    """
    data: Any = job.data
    if data.kind == "scroll":
        return scroll_rows(data, root)
    if data.kind == "pairs":
        return pair_rows(data, Path())
    return rows_of_index(data, Path()) if data.index else split_rows(data, root)
