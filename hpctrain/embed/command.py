"""`hpctrain embed`: all pictures of a run through each encoder, on all ranks."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hpctrain import log
from hpctrain.comm import Communicator, Ranks
from hpctrain.embed.options import Options
from hpctrain.embed.ranges import share_of
from hpctrain.embed.setup import Ready, set_up
from hpctrain.embed.work import Work
from hpctrain.embed.writer import Writer, finish
from hpctrain.errors import ConfigError
from hpctrain.log import logger
from hpctrain.predict.ranks import (
    OtherRankError,
    choose_device,
    leave_quietly,
    leaving_on_sigterm,
    meet,
    set_threads,
    together,
)
from hpctrain.provenance import stamp_run

_BLOCK = 1024
"""Most rows that are written at a time: so many are embedded again after a crash."""
_BLOCKS = 4
"""Least blocks of a rank, where there are that many batches."""
_STAYS = "what is written stays, and the same command goes on with it"


def embed(run_dir: Path, options: Options) -> list[str] | None:
    """Embed; returns lines that tell of it on rank 0, None on others.

    Args:
        run_dir: the run directory.
        options: what is asked for.

    Raises:
        ConfigError: options, a run or a store that do not fit.
        CheckpointError: no such checkpoint.
        DataError: pictures that cannot be read.
    """
    if options.out is not None and len(options.checkpoints) > 1:
        raise ConfigError(
            "--out: is one store, and several checkpoints were given; leave it out, then each has "
            "its own in the run directory"
        )
    ranks = Ranks.from_environment()
    log.setup(str(ranks) if ranks.world_size > 1 else "")
    set_threads(ranks)
    lines = []
    with leaving_on_sigterm(lambda: "" if ranks.rank else _STAYS):
        comm = meet(ranks, choose_device(options.device), run_dir)
        try:
            for checkpoint in options.checkpoints or (None,):
                lines.append(_embed(run_dir.resolve(), checkpoint, options, comm))
        except OtherRankError:
            leave_quietly()
        comm.barrier()
        comm.close()
    return lines if ranks.rank == 0 else None


def _embed(run_dir: Path, checkpoint: str | None, options: Options, comm: Communicator) -> str:
    ready = set_up(run_dir, checkpoint, options, comm)
    begin = time.perf_counter()
    left = ready.store.to_do
    count = sum(stop - start for start, stop in left)
    together(comm, lambda: _fill(ready, options, comm))

    def end() -> None:
        if not comm.rank:
            finish(ready.store, stamp_run(run_dir, "embedding", **ready.facts))

    together(comm, end)
    folder, total = ready.store.folder, ready.store.num_rows
    if not count:
        return f"{folder}: all {total} pairs were there"
    seconds = time.perf_counter() - begin
    there = f", {total - count} were there" if count < total else ""
    return f"wrote {folder}: {count} pairs in {seconds:.1f} s ({count / seconds:.0f}/s){there}"


def _fill(ready: Ready, options: Options, comm: Communicator) -> None:
    """Embed this rank's part of what is missing."""
    left = ready.store.to_do
    count = sum(stop - start for start, stop in left)
    even = -(-count // (_BLOCKS * comm.world_size))
    size = min(_BLOCK, max(options.batch_size, even))
    ranges = share_of(left, comm.rank, comm.world_size, size)
    cores = len(os.sched_getaffinity(0)) // comm.ranks.local_size
    work = Work(
        ready.dataset,
        ready.encoders,
        comm.device,
        ready.precision,
        batch_size=options.batch_size,
        threads=max(1, min(8, cores)),
    )
    own, done = sum(stop - start for start, stop in ranges), 0

    def tell(rows: int) -> None:
        nonlocal done
        done += rows
        logger.info("%s: %d of %d pairs", ready.store.folder.name, done, own)

    with Writer(ready.store, comm.rank) as writer:
        work.run(ranges, writer, tell)
