"""Limits of a process on the machines where ranks run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpctrain.doctor.topic import Topic, amount

_FEW_FILES = 1024
_FEW_PROCESSES = 1024
_SMALL_STACK = 8 << 20
_SMALL_SHM = 1 << 30
_SHM = "/dev/shm"  # noqa: S108 - a name on the page


def limits_topic(hosts: Mapping[str, Mapping[str, Any]]) -> Topic:
    """Judge the limits of each host; hosts that are alike share their lines.

    Args:
        hosts: facts of `provenance.limits` by host.
    """
    topic = Topic("limits", facts=dict(hosts))
    alike: dict[str, list[str]] = {}
    for host, facts in hosts.items():
        alike.setdefault(str(_judged(facts)), []).append(host)
    for names in alike.values():
        where = "" if len(alike) == 1 else f" on {', '.join(names[:4])}"
        _lines(topic, hosts[names[0]], where)
    return topic


def _judged(facts: Mapping[str, Any]) -> list[Any]:
    shm = facts.get("shm") or {}
    names = ("open_files", "processes", "locked_memory", "stack", "infiniband")
    return [*(facts.get(name) for name in names), shm.get("size")]


def _lines(topic: Topic, facts: Mapping[str, Any], where: str) -> None:
    files, processes = facts["open_files"], facts["processes"]
    text = f"{_count(files)} open files, {_count(processes)} processes{where}"
    if files is not None and files <= _FEW_FILES:
        remedy = (
            "raise it: ulimit -n 65536 in the site's profile or ~/.bashrc; many loaders need it"
        )
        topic.warning("ulimit", text, remedy)
    elif processes is not None and processes < _FEW_PROCESSES:
        topic.warning("ulimit", text, "raise it: ulimit -u 4096; threads count as processes")
    else:
        topic.ok("ulimit", text)
    _memlock(topic, facts, where)
    stack = facts["stack"]
    text = f"{_size(stack)}{where}"
    if stack is not None and stack < _SMALL_STACK:
        topic.warning("stack", text, "raise it: ulimit -s 8192; programs of MPI may crash")
    else:
        topic.ok("stack", text)
    _shm(topic, facts.get("shm"), where)
    memory = facts.get("memory")
    if memory:
        topic.ok("memory", f"{amount(memory)} for this job{where}, {len(facts['cores'])} cores")


def _memlock(topic: Topic, facts: Mapping[str, Any], where: str) -> None:
    memlock, fabrics = facts["locked_memory"], facts.get("infiniband") or []
    text = f"{_size(memlock)}{where}"
    if memlock is None or not fabrics:
        topic.ok("memlock", text if fabrics else f"{text}; no InfiniBand here that would need more")
        return
    topic.warning(
        "memlock",
        f"{text}, and {', '.join(fabrics[:3])} needs pages locked: MPI and NCCL fail or go slowly",
        "raise it: ulimit -l unlimited; of Slurm's jobs PropagateResourceLimitsExcept=MEMLOCK",
    )


def _shm(topic: Topic, shm: Mapping[str, int] | None, where: str) -> None:
    if shm is None:
        topic.warning(
            _SHM,
            f"is not there{where}",
            "in a container mount the host's: container.binds: [/dev/shm]",
        )
        return
    text = f"{amount(shm['size'])}, {amount(shm['free'])} free{where}"
    if shm["free"] < _SMALL_SHM:
        topic.warning(
            _SHM,
            f"{text}: loaders, MPI and NCCL between processes of a node live there",
            "remove what was left (ls -l /dev/shm), or in a container bind the host's; lower "
            "data.workers",
        )
    else:
        topic.ok(_SHM, text)


def _count(value: int | None) -> str:
    return "unlimited" if value is None else str(value)


def _size(value: int | None) -> str:
    return "unlimited" if value is None else amount(value)
