"""TACC's ibrun, which finds the hosts and the MPI of the job by itself."""

from __future__ import annotations

from collections.abc import Sequence

from hpctrain.config.job import Resources
from hpctrain.launchers.base import Launcher, total


class IbrunLauncher(Launcher):
    """`ibrun -n ranks -o offset`: so many lines of the job's host list, from that one on.

    The list has each node as often as `--ntasks-per-node` says, so that option alone places the
    ranks; `-n` and `-o` must be given together (TACC-Docs docs/hpc/lonestar6.md). Bindings are
    left to the MPI or to `task_affinity`, which a site may name in `args`.
    """

    program = "ibrun"
    forwards_usr1 = False  # a shell script; the signal would kill it
    fixed_ranks_per_node = True

    def options(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """Ranks, from the first host on; the environment goes along by itself."""
        return ["-n", total(resources), "-o", "0"]
