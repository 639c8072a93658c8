"""What this host offers the ranks of an image: launcher, PMI, C library, GPU driver."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hpctrain.config.site import LauncherSpec
from hpctrain.launchers import make_launcher
from hpctrain.preflight.ask import SilentError, ask

_DRIVER = Path("/proc/driver/nvidia/version")
_KINDS = {"Open MPI": "openmpi", "OpenRTE": "openmpi", "PRRTE": "openmpi", "HYDRA": "hydra"}
_KINDS |= {"Intel(R) MPI": "hydra", "PALS": "pals", "slurm": "srun"}


@dataclass(frozen=True)
class HostFacts:
    """Empty: not known, or not asked, because this host is none of the site's.

    Attributes:
        launcher: family of the program that starts ranks, by what it says of itself.
        launcher_version: its version.
        program: its command.
        plugins: what `srun --mpi=list` offers.
        default_plugin: what srun takes without --mpi.
        glibc: version of the C library.
        arch: machine, as uname says.
        driver: version of the GPU driver.
    """

    launcher: str = ""
    launcher_version: str = ""
    program: str = ""
    plugins: tuple[str, ...] = ()
    default_plugin: str = ""
    glibc: str = ""
    arch: str = ""
    driver: str = ""

    def page(self) -> dict[str, Any]:
        """What is known, for programs."""
        return {name: value for name, value in asdict(self).items() if value not in ("", ())}


def host_facts(spec: LauncherSpec) -> HostFacts:
    """Ask the host's own programs; what does not answer is not known."""
    program = spec.command or make_launcher(spec).program
    words = _say([program, "--version"]) if program else ""
    kind = next((own for text, own in _KINDS.items() if text in words), "")
    number = re.search(r"\d+\.\d+(\.\d+)?", words.partition("Version:")[2] or words)
    is_srun = spec.kind == "srun"
    return HostFacts(
        launcher=kind,
        launcher_version=number.group() if kind and number else "",
        program=program,
        plugins=_plugins() if is_srun else (),
        default_plugin=_default_plugin() if is_srun else "",
        glibc=platform.libc_ver()[1] if platform.libc_ver()[0] == "glibc" else "",
        arch=platform.machine(),
        driver=_driver(),
    )


def _say(argv: list[str]) -> str:
    """All words of a program, on one line; nothing where it is missing or silent."""
    try:
        answer = ask(argv)
    except SilentError:
        return ""
    return answer.words if answer else ""


def _plugins() -> tuple[str, ...]:
    words = _say(["srun", "--mpi=list"])
    found = re.findall(r"\b(none|cray_shasta|openmpi|pmi2|pmix(?:_v\d+)?)\b", words)
    return tuple(sorted(set(found)))


def _default_plugin() -> str:
    if own := os.environ.get("SLURM_MPI_TYPE"):
        return own
    found = re.search(r"MpiDefault\s*=\s*(\S+)", _say(["scontrol", "show", "config"]))
    return found.group(1) if found else ""


def _driver() -> str:
    try:
        text = _DRIVER.read_text()
    except OSError:
        text = _say(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"])
    found = re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", text)
    return found.group() if found else ""
