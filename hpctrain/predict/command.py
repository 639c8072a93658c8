"""`hpctrain predict`: whole fields of a run's network into files, on all ranks."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

from hpctrain import log
from hpctrain.comm import Communicator, Ranks
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
from hpctrain.predict.setup import set_up
from hpctrain.predict.work import Work


@dataclass(frozen=True)
class Done:
    """What was written, and how fast."""

    paths: tuple[Path, ...]
    shape: tuple[int, int, int]
    names: tuple[str, ...]
    seconds: float
    peak_bytes: int
    """Of this process on a CPU, of the device on a GPU."""

    @property
    def voxels_per_s(self) -> float:
        """Output cells a second; one cell of all variables counts once."""
        return len(self.paths) * math.prod(self.shape) / self.seconds


def predict(run_dir: Path, options: Options) -> Done | None:
    """Predict; returns what was done on rank 0, None on others.

    Args:
        run_dir: the run directory; nothing in it is changed.
        options: what is asked for.

    Raises:
        ConfigError: options, files or a checkpoint that do not fit.
        DataError: files that cannot be read.
    """
    ranks = Ranks.from_environment()
    log.setup(str(ranks) if ranks.world_size > 1 else "")
    set_threads(ranks)
    with leaving_on_sigterm():
        comm = meet(ranks, choose_device(options.device), run_dir)
        try:
            done = _predict(run_dir, options, comm)
        except OtherRankError:
            leave_quietly()
        comm.barrier()
        comm.close()
    return done if ranks.rank == 0 else None


def _predict(run_dir: Path, options: Options, comm: Communicator) -> Done:
    ready = set_up(run_dir, options, comm)
    begin = time.perf_counter()
    Work(ready, comm).run()
    return Done(
        tuple(output.path for output in ready.outputs),
        ready.tiling.plan.shape,
        ready.trained.scales.names,
        time.perf_counter() - begin,
        most_bytes(comm.device),
    )
