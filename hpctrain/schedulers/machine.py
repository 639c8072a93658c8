"""What a scheduler says of its own machine: queues, their limits and their nodes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hpctrain.directives.walltime import UNLIMITED, walltime_s
from hpctrain.errors import SchedulerError
from hpctrain.schedulers.run import Answer, run

_SINFO = ["sinfo", "-h", "-a", "-o", "%P|%l|%s|%D|%c|%G|%a"]
_CONFIG = ["scontrol", "show", "config"]
_QSTAT = ["qstat", "-Q", "-f", "-F", "json"]
_PBSNODES = ["pbsnodes", "-a", "-F", "json"]


@dataclass(frozen=True)
class LiveQueue:
    """A queue as the scheduler describes it; None: it says nothing, or has no limit.

    Attributes:
        name: of the queue or partition.
        walltime: longest, in seconds.
        nodes: smallest and largest number of nodes of a job.
        num_nodes: how many nodes there are.
        cpus: of each node; None where they differ.
        gpus: of each node; None where they differ.
        is_default: whether jobs without a queue come here.
        is_open: whether it takes jobs.
        max_queued: most jobs of a user in the queue.
        max_running: most of them that run at a time.
    """

    name: str
    walltime: int | None = None
    nodes: tuple[int, int | None] = (1, None)
    num_nodes: int | None = None
    cpus: int | None = None
    gpus: int | None = None
    is_default: bool = False
    is_open: bool = True
    max_queued: int | None = None
    max_running: int | None = None


@dataclass(frozen=True)
class Machine:
    """A machine as its scheduler describes it.

    Attributes:
        queues: in the scheduler's order.
        commands: what was asked, for the note of the source.
        name: of the cluster; empty: not told.
        max_array: most elements of a job array; None: not told.
    """

    queues: tuple[LiveQueue, ...]
    commands: str
    name: str = ""
    max_array: int | None = None


def ask_machine(scheduler: str) -> Machine:
    """Ask the scheduler of this host.

    Raises:
        SchedulerError: its commands are missing, refuse, or answer nonsense; or it has none.
    """
    if scheduler not in ("slurm", "pbs"):
        raise SchedulerError(f"{scheduler}: has no command that tells queues and their limits")
    is_slurm = scheduler == "slurm"
    answers = [_ask(argv) for argv in ((_SINFO, _CONFIG) if is_slurm else (_QSTAT, _PBSNODES))]
    texts = [answer.out for answer in answers]
    try:
        return parse_slurm(*texts) if is_slurm else parse_pbs(*texts)
    except (ValueError, LookupError, TypeError, AttributeError) as e:
        words = "\n".join(answer.words for answer in answers)
        raise SchedulerError(f"{scheduler}: answered what is no list of queues:\n{words}") from e


def _ask(argv: list[str]) -> Answer:
    answer = run(argv)
    if answer.code:
        raise SchedulerError(f"{argv[0]}: refused to answer:\n{answer.words}")
    return answer


def parse_slurm(sinfo: str, config: str) -> Machine:
    """A machine from `sinfo`, a line for each kind of nodes of a partition, and its settings.

    Raises:
        ValueError: the text is not what sinfo prints.
    """
    kinds: dict[str, list[list[str]]] = {}
    for line in filter(None, (line.strip() for line in sinfo.splitlines())):
        name, *rest = line.split("|")
        kinds.setdefault(name, []).append(rest)
    settings = dict(re.findall(r"^(\w+)\s*= (.*?)\s*$", config, re.MULTILINE))
    array = settings.get("MaxArraySize", "")
    return Machine(
        tuple(_partition(name, rows) for name, rows in kinds.items()),
        "sinfo, scontrol show config",
        settings.get("ClusterName", ""),
        int(array) - 1 if array.isdigit() and array != "0" else None,
    )


def _partition(name: str, rows: list[list[str]]) -> LiveQueue:
    times, sizes, counts, cpus, gres, states = zip(*rows, strict=True)
    low, _, high = sizes[0].partition("-")
    return LiveQueue(
        name=name.removesuffix("*"),
        walltime=None if times[0] in UNLIMITED else walltime_s(times[0], "slurm"),
        nodes=(max(1, int(low)), int(high) if high.isdigit() else None if high else int(low)),
        num_nodes=sum(int(count) for count in counts),
        cpus=_same(int(count.rstrip("+")) for count in cpus),
        gpus=_same(sum(map(int, re.findall(r"gpu(?::[\w.-]+)?:(\d+)", text))) for text in gres),
        is_default=name.endswith("*"),
        is_open=states[0] == "up",
    )


def _same(values: Iterable[int]) -> int | None:
    """The value that all have; None where they differ."""
    found = set(values)
    return found.pop() if len(found) == 1 else None


def parse_pbs(qstat: str, pbsnodes: str) -> Machine:
    """A machine from the JSON of `qstat -Qf` and `pbsnodes -a`.

    Raises:
        ValueError: the texts are no JSON; a LookupError or TypeError: JSON of another form.
    """
    found = json.loads(qstat)
    nodes = [node.get("resources_available", {}) for node in json.loads(pbsnodes)["nodes"].values()]
    shape = {
        "num_nodes": len(nodes),
        "cpus": _same(int(node.get("ncpus", 0)) for node in nodes),
        "gpus": _same(int(node.get("ngpus", 0)) for node in nodes),
    }
    queues = tuple(_queue(name, facts, shape) for name, facts in found["Queue"].items())
    return Machine(queues, "qstat -Qf, pbsnodes -a", str(found.get("pbs_server", "")))


def _queue(name: str, facts: Mapping[str, Any], shape: Mapping[str, Any]) -> LiveQueue:
    most, least = facts.get("resources_max", {}), facts.get("resources_min", {})
    walltime, high = most.get("walltime"), most.get("nodect")
    return LiveQueue(
        name=name,
        walltime=None if walltime is None else walltime_s(str(walltime), "pbs"),
        nodes=(int(least.get("nodect", 1)), None if high is None else int(high)),
        is_open=str(facts.get("enabled")) == "True" and str(facts.get("started")) == "True",
        max_queued=_of_a_user(facts.get("max_queued")),
        max_running=_of_a_user(facts.get("max_run")),
        **shape,
    )


def _of_a_user(limit: object) -> int | None:
    """The number in `[u:PBS_GENERIC=5]`, which is for every user."""
    match = re.search(r"\bu:PBS_GENERIC=(\d+)", str(limit))
    return int(match[1]) if match else None
