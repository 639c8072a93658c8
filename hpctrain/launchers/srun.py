"""Slurm's srun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


MPI_VARIABLE = "SLURM_MPI_TYPE"


def asked_plugin(args: Sequence[str], env: Mapping[str, str]) -> tuple[str, str]:
    """The plugin by which srun is told to start MPI, and the words that say so, as `--mpi=pmix`.

    The last option counts, then the variable: srun(1), INPUT ENVIRONMENT VARIABLES.

    Args:
        args: the site's `launcher.args`.
        env: variables of the run script, as of site and job.

    Returns:
        Two empty texts where nothing is asked for, and srun takes its MpiDefault.
    """
    for place in reversed(range(len(args))):
        word, _, value = args[place].partition("=")
        if word == "--mpi":
            name = value or "".join(args[place + 1 : place + 2])
            return name, f"--mpi={name}"
    name = env.get(MPI_VARIABLE, "")
    return (name, f"{MPI_VARIABLE}={name}") if name else ("", "")
