"""IBM's jsrun, which cuts nodes into resource sets."""

from __future__ import annotations

from collections.abc import Sequence

from hpctrain.config.job import Resources
from hpctrain.launchers.base import Launcher, total


class JsrunLauncher(Launcher):
    """One resource set a rank: `-n sets -r sets a host -a 1 task -c cores -g GPUs -b binding`.

    Options as in the Summit user guide (olcf-user-docs systems/summit_user_guide.rst); `-E` names
    a variable that every task gets. A site whose MPI is Spectrum puts `--smpiargs=...` into `args`.
    """

    program = "jsrun"
    # No document says what jsrun does with USR1, and unhandled it would kill the launcher.
    forwards_usr1 = False
    usual_bind = "rs"

    def options(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """Sets, what each holds, the binding, then one -E for each variable."""
        words = ["-n", total(resources), "-r", str(resources.ranks_per_node), "-a", "1"]
        words += ["-c", str(resources.cpus_per_rank), "-g", str(resources.gpus_per_rank)]
        if self.spec.cpu_bind:
            words += ["-b", self.spec.cpu_bind]
        for name in env:
            words += ["-E", name]
        return words
