"""Launchers: what starts one process a rank."""

from __future__ import annotations

from hpctrain.config.site import LauncherSpec
from hpctrain.launchers.aprun import AprunLauncher
from hpctrain.launchers.base import Launcher as Launcher
from hpctrain.launchers.base import ShellVariable as ShellVariable
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
    "none": NoLauncher,
}

__all__ = ["LAUNCHERS", "Launcher", "ShellVariable", "make_launcher"]


def make_launcher(spec: LauncherSpec) -> Launcher:
    """The launcher that a site names."""
    return LAUNCHERS[spec.kind](spec)
