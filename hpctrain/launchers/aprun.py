"""Cray ALPS: aprun, which hands on the whole environment."""

from __future__ import annotations

from collections.abc import Sequence

from hpctrain.config.job import Resources
from hpctrain.launchers.base import Launcher, total


class AprunLauncher(Launcher):
    """`aprun -n ranks -N ranks a node -d cores a rank -cc binding`; aprun(1)."""

    program = "aprun"
    forwards_usr1 = True  # aprun(1), "SIGNAL PROCESSING"

    def options(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """Counts and binding."""
        words = ["-n", total(resources), "-N", str(resources.ranks_per_node)]
        words += ["-d", str(resources.cpus_per_rank)]
        return [*words, "-cc", self.spec.cpu_bind] if self.spec.cpu_bind else words
