"""By which interface srun's ranks find each other, and whether their MPI speaks it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hpctrain.doctor.secret import cut
from hpctrain.doctor.topic import Topic
from hpctrain.launchers import Launcher
from hpctrain.preflight.ask import SilentError, ask

_LIMIT_S = 15.0
_FITTING = {"Open MPI": ("pmix",), "MPICH": ("pmi2", "cray_shasta", "pmix")}


def pmi_topic(launcher: Launcher, mpi: Mapping[str, Any]) -> Topic:
    """What srun offers, beside what the ranks' MPI wants.

    Args:
        launcher: what starts the ranks.
        mpi: facts of the topic `mpi`.
    """
    topic = Topic("pmi")
    is_used = launcher.spec.kind == "srun"
    try:
        answer, config = ask(["srun", "--mpi=list"], _LIMIT_S), _default()
    except SilentError as e:
        _silent(topic, str(e), is_used)
        return topic
    if answer is None:
        if is_used:
            topic.error("srun", "is not in PATH", "log in to a node of the cluster")
        else:
            topic.ok("pmi", f"{launcher.spec.kind} brings its own; there is no srun here")
        return topic
    if answer.code:
        _silent(topic, f"--mpi=list: {cut(answer.words, -160)}", is_used)
        return topic
    offered = offered_pmi(answer.words)
    topic.facts |= {"srun": offered, "default": config}
    text = f"srun offers {', '.join(offered)}; default {config or 'not known'}"
    if not is_used:
        topic.ok("pmi", f"{text}; not used, as {launcher.spec.kind} starts the ranks")
        return topic
    _compare(topic, text, offered, _asked(launcher) or config, mpi)
    return topic


def _silent(topic: Topic, text: str, is_used: bool) -> None:
    remedy = "ask again when Slurm is up"
    if is_used:
        topic.error("srun", text, remedy)
    else:
        topic.note("srun", f"{text} (not used here)", remedy)


def offered_pmi(words: str) -> list[str]:
    """Names out of `srun --mpi=list`: "MPI plugin types are... none pmix pmi2 specific ..."."""
    plain, _, special = words.replace(",", " ").partition(
        "specific pmix plugin versions available:"
    )
    names = plain.partition("are...")[2].replace("srun: ", " ").split()
    return sorted({n for n in [*names, *special.split()] if re.fullmatch(r"[a-z0-9_]+", n)})


def _default() -> str:
    answer = ask(["scontrol", "show", "config"], _LIMIT_S)
    match = re.search(r"MpiDefault\s*=\s*(\S+)", answer.out) if answer else None
    return match[1] if match else ""


def _asked(launcher: Launcher) -> str:
    args = launcher.spec.args
    return next((arg.partition("=")[2] for arg in args if arg.startswith("--mpi=")), "")


def _compare(
    topic: Topic, text: str, offered: list[str], used: str, mpi: Mapping[str, Any]
) -> None:
    families = {mpi[name].get("family") for name in ("horovod", "mpi4py") if name in mpi}
    family = next((f for f in families if f), "")
    fitting = _FITTING.get(family, ())
    if used and used not in offered:
        topic.error("pmi", f"{text}; the site asks for {used}", "change launcher.args of the site")
    elif not family or not used:
        topic.note("pmi", f"{text}; whether it fits the ranks' MPI is not known")
    elif not used.startswith(fitting):
        there = [name for name in offered if name.startswith(fitting)]
        remedy = (
            f"set launcher: {{args: [--mpi={there[0]}]}} in the site"
            if there
            else "set launcher.kind: openmpi in the site, or launch.comm: ddp in the job"
        )
        topic.error("pmi", f"{text}; {family} wants {' or '.join(fitting)}, not {used}", remedy)
    else:
        topic.ok("pmi", f"{text}; {used} is used, and fits {family}")
