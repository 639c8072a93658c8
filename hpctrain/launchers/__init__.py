"""Launchers: what starts one process a rank."""

from __future__ import annotations

from hpctrain.config.job import Job
from hpctrain.config.site import LauncherSpec, Site
from hpctrain.launchers.aprun import AprunLauncher
from hpctrain.launchers.base import Launcher as Launcher
from hpctrain.launchers.base import ShellVariable as ShellVariable
from hpctrain.launchers.ibrun import IbrunLauncher
from hpctrain.launchers.jsrun import JsrunLauncher
from hpctrain.launchers.mpiexec import HydraLauncher, PalsLauncher
from hpctrain.launchers.none import NoLauncher
from hpctrain.launchers.openmpi import OpenMpiLauncher
from hpctrain.launchers.srun import SrunLauncher

LAUNCHERS: dict[str, type[Launcher]] = {
    "openmpi": OpenMpiLauncher,
    "pals": PalsLauncher,
    "hydra": HydraLauncher,
    "srun": SrunLauncher,
    "aprun": AprunLauncher,
    "ibrun": IbrunLauncher,
    "jsrun": JsrunLauncher,
    "none": NoLauncher,
}

__all__ = ["LAUNCHERS", "Launcher", "ShellVariable", "choose_launcher", "make_launcher"]


def make_launcher(spec: LauncherSpec) -> Launcher:
    """The launcher that a site names."""
    return LAUNCHERS[spec.kind](spec)


def choose_launcher(job: Job, site: Site) -> Launcher:
    """What starts the ranks of a job; of torchrun: what starts its agents, one a node.

    The site's launcher, or the one that the job names, which gets nothing of the site but the file
    of hosts; none where a single process runs on this very machine.
    """
    kind, here = job.launch.launcher, site.scheduler == "local"
    if kind == "torchrun" and job.resources.nodes == 1:
        return make_launcher(LauncherSpec(kind="none"))
    if kind == "site" and here and job.total_ranks == 1:
        return make_launcher(LauncherSpec(kind="none"))
    if kind in ("site", "torchrun", site.launcher.kind):
        return make_launcher(site.launcher)
    own = {"cpu_bind": LAUNCHERS[kind].usual_bind}
    hosts = {"hostfile_variable": site.launcher.hostfile_variable}
    return make_launcher(LauncherSpec.model_validate({"kind": kind, **own, **hosts}))
