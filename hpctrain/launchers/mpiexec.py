"""`mpiexec` of Cray PALS, and of Hydra (MPICH, Intel MPI); both hand on the whole environment."""

from __future__ import annotations

from collections.abc import Sequence

from hpctrain.config.job import Resources
from hpctrain.launchers.base import Launcher, total


class PalsLauncher(Launcher):
    """HPE Cray PALS, as on Polaris and Derecho.

    mpiexec(1) of PALS: `-n`, `--ppn`, `--depth` and `--cpu-bind` (none, depth, core, list:...); it
    finds the hosts of a PBS job by itself, and takes another list by `--hostfile`.
    """

    program = "mpiexec"
    # No document says what PALS does with USR1, and unhandled it would kill the launcher.
    forwards_usr1 = False
    usual_bind = "depth"

    def options(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """Counts, then the depth (cores of a rank) and how it is bound."""
        words = ["-n", total(resources), "--ppn", str(resources.ranks_per_node)]
        words += [*self.hosts("--hostfile"), "--depth", str(resources.cpus_per_rank)]
        if self.spec.cpu_bind:
            words += ["--cpu-bind", self.spec.cpu_bind]
        return words


class HydraLauncher(Launcher):
    """Process manager of MPICH and Intel MPI.

    MPICH doc/wiki/how_to/Using_the_Hydra_Process_Manager.md: `-f` names the hosts, `-ppn` goes
    before slots written there, `-genvall` hands on the whole environment.
    """

    program = "mpiexec"
    forwards_usr1 = True  # mpiexec.hydra passes USR1 and USR2 on to all processes

    def options(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """Counts, hosts and binding."""
        words = ["-n", total(resources), "-ppn", str(resources.ranks_per_node), *self.hosts("-f")]
        if self.spec.cpu_bind:
            words += ["-bind-to", self.spec.cpu_bind]
        return [*words, "-genvall"]
