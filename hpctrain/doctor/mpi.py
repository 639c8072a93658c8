"""Which MPI starts the ranks, and which they were built for: the same, or each is alone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpctrain.doctor.topic import Topic
from hpctrain.launchers import Launcher

_FAMILIES = (
    ("Open MPI", "Open MPI", r"Open MPI\)?,? v?(\d+(?:\.\d+)+)"),
    ("Open MPI", r"OpenRTE|PRRTE|prte", r"(\d+(?:\.\d+)+)"),
    ("MPICH", r"Intel\(R\) MPI", r"Version (\d+(?:\.\d+)*)"),
    ("MPICH", r"MVAPICH", r"(\d+(?:\.\d+)+)"),
    ("MPICH", r"HYDRA|MPICH|CRAY", r"[Vv]ersion:?\s+(\d+(?:\.\d+)+)"),
)
"""Family, the words by which it is known, and where its version stands."""
_OF_LAUNCHER = {"openmpi": "Open MPI", "hydra": "MPICH"}
_INSIDE = ("APPTAINER_CONTAINER", "SINGULARITY_CONTAINER", "CH_RUNNING")
"""Variables of a shell inside an image."""
_MENDING = (
    "put the mpirun of that MPI first in PATH (module load, or its bin folder), or build mpi4py "
    "and Horovod with the MPI that starts the job"
)


@dataclass(frozen=True)
class Mpi:
    """Family and version; empty where they are not known."""

    family: str
    version: str = ""

    def __str__(self) -> str:
        return f"{self.family} {self.version}".strip() or "an unknown MPI"


def known_mpi(text: str) -> Mpi:
    """What `mpirun --version` or MPI_Get_library_version tells."""
    for family, words, version in _FAMILIES:
        if re.search(words, text):
            match = re.search(version, text)
            return Mpi(family, match[1] if match else "")
    return Mpi("")


def mpi_topic(
    launchers: Sequence[Mapping[str, Any]], found: Mapping[str, Any], launcher: Launcher, comm: str
) -> Topic:
    """Compare the launcher in PATH with the libraries of mpi4py and Horovod.

    Args:
        launchers: programs in PATH, as `inside.py` found them.
        found: what the job's Python has.
        launcher: what starts the ranks.
        comm: the job's launch.comm.
    """
    topic = Topic("mpi", facts={"launchers": list(launchers)})
    program = launcher.spec.command or launcher.program
    started = _launcher(topic, launchers, program, launcher.spec.kind)
    names = ("horovod", "mpi4py")
    libraries = {name: dict(found[name]) for name in names if found.get(name)}
    if comm in ("auto", "horovod") and found.get("mpi4py_beside_horovod"):
        libraries["mpi4py"] = dict(found["mpi4py_beside_horovod"])
    for name, own in libraries.items():
        _library(topic, name, own, started, comm)
    _same(topic, libraries)
    return topic


def _launcher(
    topic: Topic, launchers: Sequence[Mapping[str, Any]], program: str, kind: str
) -> Mpi | None:
    """Say which launcher there is; its MPI, where it brings one of its own."""
    if not program:
        topic.ok("launcher", "none: the script starts ranks itself, or torchrun does")
        return None
    here = [one for one in launchers if _is(one, program)]
    if not here:
        _missing(topic, program)
        return None
    first, *others = here
    mpi = known_mpi(first["text"])
    if kind not in _OF_LAUNCHER:
        _other(topic, program, first, mpi, kind)
        return None
    text = f"{mpi}, {first['path']}"
    wanted = _OF_LAUNCHER[kind]
    if first["code"] != 0:
        topic.error(
            "launcher",
            f"{first['path']} does not run: {_last(first['text'])}",
            "load the modules it needs, or take another folder first in PATH",
        )
    elif mpi.family and mpi.family != wanted:
        topic.error(
            "launcher",
            f"{text}: the site's launcher is {kind}, of the {wanted} family",
            "put the right one first in PATH, or name the other kind in launcher.kind of the site",
        )
    else:
        topic.ok("launcher", text)
    if others:
        paths = ", ".join(f"{known_mpi(one['text'])} in {one['path']}" for one in others)
        topic.note("launcher", f"behind it in PATH: {paths}")
    return mpi


def _other(topic: Topic, program: str, first: Mapping[str, Any], mpi: Mpi, kind: str) -> None:
    """A launcher that is no MPI's own, such as srun or PALS."""
    if mpi.family:
        topic.error(
            "launcher",
            f"{first['path']} is that of {mpi}, and the site's launcher is {kind}",
            f"put {kind}'s own {program} first in PATH, or name it in launcher.command of the site",
        )
    else:
        topic.ok("launcher", f"{program}, {first['path']}")


def _is(one: Mapping[str, Any], program: str) -> bool:
    return bool(one["path"] == program or os.path.basename(one["path"]) == program)


def _missing(topic: Topic, program: str) -> None:
    """In an image the host's launcher need not be; elsewhere nothing can start."""
    if any(name in os.environ for name in _INSIDE):
        text, remedy = f"there is no {program} in this image", "ask on the host, with --job JOB"
        topic.note("launcher", text, remedy)
    else:
        text = f"there is no {program} in PATH"
        remedy = "load the module that has it, or name it in launcher.command of the site"
        topic.error("launcher", text, remedy)
    topic.facts["missing"] = (text, remedy)


def _library(
    topic: Topic, name: str, own: Mapping[str, Any], started: Mpi | None, comm: str
) -> None:
    topic.facts[name] = dict(own)
    if "error" in own:
        needs = comm == {"horovod": "horovod", "mpi4py": "mpi"}[name]
        say = topic.error if needs else topic.warning
        say(name, f"its MPI does not load: {own['error']}", _MENDING)
        return
    mpi = known_mpi(own["version"])
    real = os.path.realpath(own["paths"][0]) if own["paths"] else ""
    topic.facts[name] |= {"family": mpi.family, "mpi_version": mpi.version, "real": real}
    text = f"{mpi}, {', '.join(own['paths'])}"
    if started is None or not started.family or not mpi.family:
        topic.ok(name, text)
        return
    say = topic.warning if comm in ("ddp", "single") else topic.error
    if mpi.family != started.family or _is_stranger(mpi, started):
        text = f"{text}: the launcher is {started}, so that each rank would be alone or not start"
        say(name, text, _MENDING)
    elif mpi.family == "Open MPI" and mpi.version != started.version:
        topic.warning(name, f"{text}: the launcher is {started}; see launch below", _MENDING)
    else:
        topic.ok(name, f"{text}, as the launcher")


def _is_stranger(mpi: Mpi, started: Mpi) -> bool:
    """Open MPI 5 under a launcher of 4 finds its ranks; 4 under one of 5 does not (tried)."""
    numbers = [one.version.partition(".")[0] for one in (mpi, started)]
    if started.family != "Open MPI" or not all(number.isdigit() for number in numbers):
        return False
    return int(numbers[0]) <= 4 < int(numbers[1])


def _same(topic: Topic, libraries: Mapping[str, Any]) -> None:
    """Two MPI in one process end in crashes and hangs."""
    paths = {name: os.path.realpath(p) for name, own in libraries.items() for p in _paths(own)}
    if len(set(paths.values())) > 1:
        text = " and ".join(f"{name} takes {path}" for name, path in paths.items())
        topic.warning(
            "libraries",
            f"{text}: two MPI in one process crash or hang",
            "set MPI4PY_LIBMPI to Horovod's, or build one of them with the MPI of the other",
        )


def _paths(own: Mapping[str, Any]) -> list[str]:
    return list(own.get("paths") or [])[:1]


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"
