"""`hpctrain predict` of a run that finds ink: whole segments into pictures, on all ranks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hpctrain import log
from hpctrain.comm import Ranks
from hpctrain.predict.memory import most_bytes
from hpctrain.predict.options import Options
from hpctrain.predict.ranks import (
    OtherRankError,
    choose_device,
    leave_quietly,
    leaving_on_sigterm,
    meet,
    set_threads,
)
from hpctrain.predict.segment.parts import Parts
from hpctrain.predict.segment.product import Product
from hpctrain.predict.segment.setup import Group, set_up
from hpctrain.predict.segment.work import Work


def predict(
    run_dir: Path, options: Options, see: Callable[[Product], None] = lambda _: None
) -> list[str] | None:
    """Predict; returns lines that tell of it on rank 0, None on others.

    Args:
        run_dir: the run directory of task `ink`; nothing in it is changed.
        options: what is asked for.
        see: called on rank 0 with what was written of each segment, before that counts as done; not
            with those that an interrupted prediction had done.

    Raises:
        ConfigError: options, files or a checkpoint that do not fit.
        DataError: files that cannot be read.
    """
    ranks = Ranks.from_environment()
    log.setup(str(ranks) if ranks.world_size > 1 else "")
    set_threads(ranks)
    parts: list[Parts] = []
    with leaving_on_sigterm(lambda: "" if ranks.rank else _what_stays(parts)):
        comm = meet(ranks, choose_device(options.device), run_dir)
        try:
            lines = _predict(run_dir, options, Group(comm), parts, see)
        except OtherRankError:
            leave_quietly()
        comm.barrier()
        comm.close()
    return lines if ranks.rank == 0 else None


def _what_stays(parts: Sequence[Parts]) -> str:
    kept = [own.folder for own in parts if own.folder.is_dir()]
    if not kept:
        return "nothing was done yet"
    return f"what is done stays in {kept[-1]}, and the same command goes on with it"


def _predict(
    run_dir: Path,
    options: Options,
    group: Group,
    parts: list[Parts],
    see: Callable[[Product], None],
) -> list[str]:
    """Predict; `parts` gets those of each segment that is begun."""
    ready, settled = set_up(run_dir, options, group)
    begin, pixels = time.perf_counter(), 0
    lines: list[str] = []
    for found, target in zip(settled.found, settled.targets, strict=True):
        parts.append(Parts(target.parts, {}))
        work = Work(ready, group, found, target, parts[-1])
        lines += work.run(see)
        pixels += work.pixels
    if group.is_first:
        for own in parts:
            own.remove()
    seconds = time.perf_counter() - begin
    peak = most_bytes(group.comm.device) / 1e6
    return [*lines, f"{pixels / seconds:.3g} pixels/s, {seconds:.1f} s, {peak:.0f} MB at most"]
