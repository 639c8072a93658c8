"""PBS, Slurm, Cobalt, and no scheduler at all."""

from __future__ import annotations

from hpctrain.schedulers.base import Scheduler, Which


class SlurmScheduler(Scheduler):
    """Slurm."""

    name = "slurm"
    generic_site = "generic-slurm"

    def submit_command(self, script: str) -> list[str]:
        """`sbatch SCRIPT`."""
        return ["sbatch", script]

    def is_here(self, which: Which) -> bool:
        """`sbatch` is there."""
        return which("sbatch") is not None


class PbsScheduler(Scheduler):
    """PBS Pro and OpenPBS."""

    name = "pbs"
    generic_site = "generic-pbs"

    def submit_command(self, script: str) -> list[str]:
        """`qsub SCRIPT`."""
        return ["qsub", script]

    def is_here(self, which: Which) -> bool:
        """`qsub` is there, and it is not Cobalt's: only PBS has `pbsnodes` beside it."""
        return which("qsub") is not None and which("pbsnodes") is not None


class CobaltScheduler(Scheduler):
    """Cobalt."""

    name = "cobalt"
    generic_site = "generic-cobalt"

    def submit_command(self, script: str) -> list[str]:
        """`qsub SCRIPT`; the script is run in place, so it must stay."""
        return ["qsub", script]

    def is_here(self, which: Which) -> bool:
        """One of the commands that only Cobalt has is there."""
        return which("cqsub") is not None or which("cqstat") is not None


class LocalScheduler(Scheduler):
    """No scheduler: the script is started by hand."""

    name = "local"
    generic_site = "local"

    def submit_command(self, script: str) -> list[str]:
        """The script itself."""
        return [script]

    def is_here(self, which: Which) -> bool:
        """Always."""
        return True
