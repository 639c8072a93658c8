"""Slurm's srun."""

from __future__ import annotations

from collections.abc import Sequence

from hpctrain.config.job import Resources
from hpctrain.launchers.base import Launcher, total


class SrunLauncher(Launcher):
    """One step over all nodes; srun(1).

    All counts are said again: since 22.05 a step inherits no --cpus-per-task from the batch job.
    """

    program = "srun"
    forwards_usr1 = True  # srun(1), "SIGNALS AND ESCAPE SEQUENCES"

    def options(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """Counts, the environment, and the end of all ranks when one dies."""
        words = [
            f"--nodes={resources.nodes}",
            f"--ntasks={total(resources)}",
            f"--ntasks-per-node={resources.ranks_per_node}",
            f"--cpus-per-task={resources.cpus_per_rank}",
            "--export=ALL",
            # a clean stop leaves with 75, which must not kill the ranks that are still closing;
            # after a crash the others end 30 s later
            "--kill-on-bad-exit=0",
            "--wait=30",
        ]
        return [*words, f"--cpu-bind={self.spec.cpu_bind}"] if self.spec.cpu_bind else words
