"""What the options of #SBATCH lines ask for."""

from __future__ import annotations

import re

from hpctrain.directives.fields import (
    Fields,
    Reader,
    as_is,
    count,
    depend,
    memory_mb,
    number,
    settled,
    time,
    variables,
)
from hpctrain.directives.words import split_outside_quotes


def _depend(text: str) -> Fields:
    if "?" in text:
        raise ValueError(text)
    return depend(text)


def _mail(value: str) -> Fields:
    names = {"BEGIN": {"begin"}, "END": {"end"}, "FAIL": {"fail"}, "ALL": {"begin", "end", "fail"}}
    words = value.upper().split(",")
    if any(word not in {*names, "NONE"} for word in words):
        raise ValueError(value)
    return {"mail_at": frozenset(at for word in words for at in names.get(word, ()))}


def _nodes(value: str) -> Fields:
    if re.fullmatch(r"(\d+)-\1", value):
        value = value.partition("-")[0]
    return {"nodes": number(value)}


def _gres(value: str) -> Fields:
    match = re.fullmatch(r"(?:gres[:/])?gpus?(?::(\d+))?", value)
    if match is None:
        raise ValueError(value)
    return {"gpus_per_node": int(match[1] or 1)}


def _export(value: str) -> Fields:
    parts = split_outside_quotes(value, ",")
    first = parts[0].upper()
    if first in ("ALL", "NONE", "NIL"):
        parts = parts[1:]
    return {"has_whole_env": first == "ALL", "env": variables(parts)}


SLURM: dict[str, Reader] = {
    **{"--job-name": as_is("name"), "--account": as_is("account"), "--partition": as_is("queue")},
    **{"--output": as_is("output"), "--error": as_is("error"), "--array": as_is("array")},
    **{"--mail-user": as_is("mail_to"), "--mail-type": _mail, "--chdir": as_is("workdir")},
    **{"--nodes": _nodes, "--ntasks-per-node": count("ranks_per_node")},
    **{"--ntasks": count("tasks"), "--cpus-per-task": count("cpus_per_task")},
    **{"--gpus-per-node": lambda value: _gres(f"gpu:{value}"), "--gres": _gres},
    **{"--gpus-per-task": count("gpus_per_task"), "--gpus": count("gpus")},
    **{"--requeue": settled(is_rerunnable=True), "--no-requeue": settled(is_rerunnable=False)},
    **{"--hold": settled(is_held=True), "--export": _export, "--dependency": _depend},
    # 0 means all memory of the node, which no number says
    "--mem": lambda value: {"memory_mb": memory_mb(value, "m")},
    "--time": time("slurm"),
    "--exclusive": settled(is_exclusive=True),
    "--open-mode": settled(),
}
