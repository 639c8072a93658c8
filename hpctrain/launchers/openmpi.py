"""Open MPI 4 and 5: mpirun."""

from __future__ import annotations

from collections.abc import Sequence

from hpctrain.config.job import Resources
from hpctrain.launchers.base import Launcher, total


class OpenMpiLauncher(Launcher):
    """`mpirun`; remote nodes get only the variables named by -x.

    `--map-by ppr:N:node[:PE=CORES]`, `--bind-to`, `--hostfile` and `-x` mean the same to Open MPI 4
    (orte) and 5 (prrte); see mpirun(1). A host that stands several times in the file has so many
    slots.
    """

    program = "mpirun"
    forwards_usr1 = True  # mpirun(1), "Signal Propagation"
    has_own_python = True
    usual_bind = "none"  # one or two ranks would get a core each, for all their threads

    def options(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """Counts, mapping, binding, then one -x for each variable."""
        words = ["-np", total(resources), *self.hosts("--hostfile")]
        if self.spec.oversubscribe:
            words += ["--oversubscribe"]
        else:
            words += ["--map-by", self._mapping(resources)]
        if self.spec.cpu_bind:
            words += ["--bind-to", self.spec.cpu_bind]
        for name in env:
            words += ["-x", name]
        return words

    def _mapping(self, resources: Resources) -> str:
        # PE asks for cores to bind to, so it only goes with a binding to cores
        width = f":PE={resources.cpus_per_rank}" if self.spec.cpu_bind == "core" else ""
        return f"ppr:{resources.ranks_per_node}:node{width}"
