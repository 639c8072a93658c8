"""Pairs of pictures for the tasks that learn from them, and what is measured of these once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpctrain.config.job import Job
from hpctrain.config.pair_data import Pairs
from hpctrain.data.pairs import PairDataset, PairScales
from hpctrain.data.pairs.planes import kept_pairs, pair_bytes
from hpctrain.data.pairs.scales import measure_edges
from hpctrain.errors import StagingError
from hpctrain.log import logger
from hpctrain.staging import expand
from hpctrain.train.task import Data, Place

CACHE = "cache"
"""Folder of decoded pictures in a run directory."""
_MEASURED = 256
"""Training pictures that the edges of bins are measured on; they are spread over all."""


@dataclass(frozen=True)
class Samples:
    """Both splits, and what was measured of them."""

    data: Data
    scales: PairScales

    def state(self) -> dict[str, Any]:
        """What a checkpoint must remember."""
        return {"scales": self.scales.to_dict()}


def open_samples(
    job: Job, place: Place, saved: Mapping[str, Any] | None, share: Callable[[Any], Any]
) -> Samples:
    """Open both splits of a job; scales are measured by rank 0, on the first start of the run.

    Args:
        job: with a `data:` block of pairs.
        place: where the run reads.
        saved: what `Samples.state` returned when the run was checkpointed, or None.
        share: gives every rank the value of rank 0.
    """
    pairs, index, seed = job.pairs, place.read_index(), job.train.seed
    cache = cache_folder(pairs, place.run_dir)
    train = PairDataset(pairs, index, "train", seed, cache=cache)
    validation = PairDataset(pairs, index, "validation", seed, cache=cache)
    if cache is not None and not place.rank:
        for told in cache_warnings(pairs, len(index.rows), cache, train.missing_bytes):
            logger.warning("%s", told)
    if saved is not None:
        page = saved["scales"]
    else:
        page = share(measure_scales(train).to_dict() if place.rank == 0 else None)
    train.scales = validation.scales = scales = PairScales.from_dict(page)
    return Samples(Data(train, validation), scales)


def cache_folder(pairs: Pairs, run_dir: Path) -> Path | None:
    """Where decoded pictures are kept; None: nowhere.

    Args:
        pairs: the `data:` block.
        run_dir: of the run.
    """
    if not pairs.cache:
        return None
    if pairs.cache_dir is None:
        return run_dir / CACHE
    try:
        return expand(pairs.cache_dir)
    except StagingError as e:
        logger.warning("data.cache_dir: %s; pictures are decoded each time", e)
        return None


def cache_warnings(pairs: Pairs, count: int, folder: Path, missing: int) -> list[str]:
    """What is to be said of the room that decoded pictures take.

    Args:
        pairs: the `data:` block.
        count: pairs of the index.
        folder: of their stores; there may be none.
        missing: bytes that are yet to be written.
    """
    told, kept = [], kept_pairs(pairs, count)
    if kept < count:
        whole = _gigabytes(count * pair_bytes(pairs))
        told.append(
            f"data.cache_limit_gb {pairs.cache_limit_gb:g}: of {count} pairs, of which all take up "
            f"to {whole}, those behind the first {kept} are not written"
        )
    try:
        free = shutil.disk_usage(folder).free if missing else 0
    except OSError:
        return told  # without a folder there are no stores, which is told where they are opened
    if missing > free:
        told.append(
            f"{folder}: decoded pictures take up to {_gigabytes(missing)} more, and "
            f"{_gigabytes(free)} are free there; give data.cache_limit_gb, another data.cache_dir, "
            "or data.cache: false"
        )
    return told


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.0f} GB" if count >= 1e10 else f"{count / 1e9:.2g} GB"


def measure_scales(train: PairDataset) -> PairScales:
    """What is measured of the training split.

    Raises:
        DataError: a picture that cannot be read, or edges that are equal.
    """
    bins = train.pairs.thermal.bins
    if bins is None:
        return PairScales()
    count = min(_MEASURED, len(train))
    spread = (int(i) for i in np.linspace(0, len(train) - 1, count))
    return PairScales(measure_edges(bins, (train.temperatures(i) for i in spread)))
