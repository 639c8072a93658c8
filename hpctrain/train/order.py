"""The order in which a training goes through its samples, and what the page cache is told of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hpctrain.comm import Communicator
from hpctrain.config.job import Job
from hpctrain.data import DividedSampler, GlobalSampler
from hpctrain.data.page_cache import UsedFiles, Window, memory_bytes, read_files_ahead
from hpctrain.data.sampler import DrawnSampler, Sampler, Share
from hpctrain.log import logger


def make_sampler(job: Job, samples: Any) -> GlobalSampler:
    """The sampler that the job file asks for; it knows no ranks.

    Raises:
        ConfigError: fewer samples than one batch.
    """
    settings, order = job.train, job.data.order
    sizes = len(samples), settings.global_batch_size, settings.seed
    is_last_kept = settings.last_batch == "keep"
    if job.data.kind == "scroll":
        return DrawnSampler(*sizes, is_last_kept=is_last_kept)
    if order.kind == "global":
        return GlobalSampler(*sizes, is_last_kept=is_last_kept)
    per_file = samples.samples_per_file
    return DividedSampler(*sizes, order, per_file, is_last_kept=is_last_kept)


def with_page_cache(
    sampler: Sampler, samples: Any, shares: Iterator[Share], comm: Communicator
) -> tuple[Iterator[Share], Callable[[int, int], None] | None]:
    """Shares that read their files ahead, and what is to be called after each sample.

    Neither changes a sample. Where all files of this node fit into its memory, none is let go.
    """
    if not isinstance(sampler, DividedSampler):
        return shares, None
    local_ranks, memory = comm.ranks.local_size, memory_bytes()
    file_bytes = sum(path.stat().st_size for path in samples.paths(0))
    window = Window.of(sampler, comm.world_size)
    in_use = window.num_files * file_bytes * local_ranks
    num_files = -(-len(samples) // sampler.samples_per_file)
    node_bytes = -(-num_files * local_ranks // comm.world_size) * file_bytes
    after = UsedFiles(samples).count if node_bytes > memory else None
    if in_use > memory // 2 and node_bytes > memory:
        if comm.rank == 0:
            _warn(in_use, memory)
        return shares, None
    return read_files_ahead(samples, shares, window), after


def _warn(in_use: int, memory: int) -> None:
    logger.warning(
        "data.order: %.1f GB of files are in use at a time on this node, more than half of its "
        "%.1f GB of free memory; files are not read ahead, and may be read several times: lower "
        "data.order.shuffle_distance, or take fewer parts",
        in_use / 1e9,
        memory / 1e9,
    )
