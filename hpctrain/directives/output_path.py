"""Paths of output files: each scheduler has its own placeholders in them, or none."""

from __future__ import annotations

import re

from hpctrain.directives.model import SchedulerName

_SLURM_ID = re.compile(r"%\d*[jA]")


def pbs_path(path: str, source: SchedulerName, name: str | None) -> str | None:
    """A path for PBS: a folder where the file's name holds the job's number; None: no folder."""
    if source == "slurm":
        path = path.replace("%x", name or "job").replace("%%", "%")
        path = re.sub(r"%\d*a", "^array_index^", path)
    if re.search(r"%\d*[A-Za-z]|\$jobid", path):
        folder = path.rpartition("/")[0]
        return f"{folder}/" if folder and not re.search(r"[%$]", folder) else None
    return path


def slurm_path(path: str, source: SchedulerName, letter: str) -> str:
    """A path for Slurm; in a folder the file gets the name that PBS would give it."""
    if source == "pbs":
        path = re.sub(r"^[\w.-]+:(?=/)", "", path)  # PBS: host:/path
        path = path.replace("%", "%%").replace("^array_index^", "%a")
        return f"{path}%x.{letter}%j" if path.endswith("/") else path
    return path.replace("%", "%%").replace("$jobid", "%j")


def cobalt_path(path: str, source: SchedulerName, letter: str, name: str | None) -> str:
    """A path for Cobalt, which puts in the number for `$jobid`."""
    if source == "pbs":
        path = re.sub(r"^[\w.-]+:(?=/)", "", path).replace("^array_index^", "0")
        return f"{path}{name or 'job'}.{letter}$jobid" if path.endswith("/") else path
    path = _SLURM_ID.sub("$jobid", path.replace("%x", name or "job"))
    return re.sub(r"%\d*[A-Za-z]", "0", path).replace("%%", "%")
