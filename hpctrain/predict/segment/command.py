"""`hpctrain predict` of a run that finds ink: whole segments into pictures, on all ranks."""

from __future__ import annotations

import time
from pathlib import Path

from hpctrain import log
from hpctrain.comm import Ranks
from hpctrain.predict.memory import most_bytes
from hpctrain.predict.options import Options
from hpctrain.predict.ranks import (
    OtherRankError,
    choose_device,
    leave_quietly,
    meet,
    set_threads,
)
from hpctrain.predict.segment.setup import Group, set_up
from hpctrain.predict.segment.work import Work


def predict(run_dir: Path, options: Options) -> list[str] | None:
    """Predict; returns lines that tell of it on rank 0, None on others.

    Args:
        run_dir: the run directory of task `ink`; nothing in it is changed.
        options: what is asked for.

    Raises:
        ConfigError: options, files or a checkpoint that do not fit.
        DataError: files that cannot be read.
    """
    ranks = Ranks.from_environment()
    log.setup(str(ranks) if ranks.world_size > 1 else "")
    set_threads(ranks)
    comm = meet(ranks, choose_device(options.device), run_dir)
    try:
        lines = _predict(run_dir, options, Group(comm))
    except OtherRankError:
        leave_quietly()
    comm.barrier()
    comm.close()
    return lines if ranks.rank == 0 else None


def _predict(run_dir: Path, options: Options, group: Group) -> list[str]:
    ready, settled = set_up(run_dir, options, group)
    begin, pixels = time.perf_counter(), 0
    lines: list[str] = []
    for found, target in zip(settled.found, settled.targets, strict=True):
        work = Work(ready, group, found, target)
        lines += work.run()
        pixels += work.pixels
    seconds = time.perf_counter() - begin
    peak = most_bytes(group.comm.device) / 1e6
    return [*lines, f"{pixels / seconds:.3g} pixels/s, {seconds:.1f} s, {peak:.0f} MB at most"]
