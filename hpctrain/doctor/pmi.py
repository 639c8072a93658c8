"""By which interface srun's ranks find each other, and whether their MPI speaks it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hpctrain.doctor.secret import cut
from hpctrain.doctor.topic import Topic
from hpctrain.launchers import Launcher
from hpctrain.launchers.srun import asked_plugin
from hpctrain.preflight.ask import SilentError, ask
from hpctrain.preflight.images.pmi import fitting_srun, interfaces_of

_LIMIT_S = 15.0


def pmi_topic(
    launcher: Launcher, mpi: Mapping[str, Any], env: Mapping[str, str], comm: str
) -> Topic:
    """What srun offers, beside what the ranks' MPI wants.

    Args:
        launcher: what starts the ranks.
        mpi: facts of the topic `mpi`.
        env: variables of the run script.
        comm: the job's launch.comm.
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
    asked, _ = asked_plugin(launcher.spec.args, env)
    _compare(topic, text, offered, asked or config, mpi, comm)
    return topic


def _silent(topic: Topic, text: str, is_used: bool) -> None:
    if is_used:
        topic.error("srun", text, "ask again when Slurm is up")
    else:
        topic.facts["srun_said"] = text
        topic.note("srun", "is here and does not answer; another launcher starts the ranks")


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


def _compare(
    topic: Topic, text: str, offered: list[str], used: str, mpi: Mapping[str, Any], comm: str
) -> None:
    known = [mpi[name] for name in ("horovod", "mpi4py") if mpi.get(name, {}).get("family")]
    if used and used not in offered:
        topic.error("pmi", f"{text}; the site asks for {used}", "change launcher.args of the site")
        return
    if not known or not used:
        topic.note("pmi", f"{text}; whether it fits the ranks' MPI is not known")
        return
    family = known[0]["family"]
    words = f"{family} {known[0].get('version', '')}"
    fitting = interfaces_of(words, has_pmix=bool(known[0].get("has_pmix")))
    if set(fitting) & set(fitting_srun(used)):
        topic.ok("pmi", f"{text}; {used} is used, and fits {family}")
        return
    there = [name for name in offered if set(fitting) & set(fitting_srun(name))]
    remedy = (
        f"set launcher: {{args: [--mpi={there[0]}]}} in the site"
        if there
        else "set launcher.kind: openmpi in the site, or launch.comm: ddp in the job"
    )
    say = topic.warning if comm in ("ddp", "single") else topic.error
    say("pmi", f"{text}; {family} wants {' or '.join(fitting)}, not {used}", remedy)
