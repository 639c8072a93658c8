"""How qsub reads a script and its own command line (stand-in; see pbs_store)."""

from __future__ import annotations

import getopt
import re
import shlex
from pathlib import Path
from typing import Any

from pbs_store import RefusedError

OPTIONS = "a:A:c:C:e:hI:j:J:k:l:m:M:N:o:p:P:q:r:R:S:u:v:VW:X:z"
QUEUES = {"workq": 24 * 3600, "debug": 3600}
"""Queues and their longest walltimes."""
RESOURCES = {"ncpus", "mem", "ngpus", "mpiprocs", "ompthreads", "host", "vnode", "arch", "walltime"}
JOB_WIDE = {"select", "place", "walltime", "nodes", "ncpus", "mem", "filesystems", "job_priority"}


def directives(text: str) -> list[str]:
    """Words of all directive lines, down to the first line that is neither blank nor comment."""
    if "\r\n" in text:
        raise RefusedError(1, "script contains cr, lf")
    words: list[str] = []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("#PBS"):
            if re.search(r"\s#", line[4:]):
                raise RefusedError(1, f"directive error: {line[4:].strip()}")
            words += shlex.split(line[4:])
        elif line and not line.startswith(("#", ":")):
            break
    return words


def options(words: list[str], where: str) -> tuple[list[tuple[str, str]], list[str]]:
    """Options and what is left of a command line."""
    try:
        return getopt.getopt(words, OPTIONS)
    except getopt.GetoptError as e:
        raise RefusedError(1, f"{where}: invalid option -- {e.opt}") from None


def request(command_line: list[tuple[str, str]], script: Path) -> dict[str, Any]:
    """All that a job asks for: the command line wins, then the first directive of a kind."""
    own, rest = options(directives(script.read_bytes().decode()), "directive error")
    if rest:
        raise RefusedError(1, f"directive error: {' '.join(rest)}")
    found: dict[str, Any] = {"resources": {}, "variables": {}, "W": {}}
    for option, value in [*command_line, *own]:
        if option == "-l":
            for name, amount in _resources(value).items():
                found["resources"].setdefault(name, amount)
        elif option == "-v":
            pairs = (pair.partition("=") for pair in value.split(","))
            found["variables"] = {**{k: v for k, _, v in pairs}, **found["variables"]}
        elif option == "-W":
            for pair in _attributes(value):
                found["W"].setdefault(*pair)
        else:
            found.setdefault(option, value)
    _check(found)
    return found


def _attributes(value: str) -> list[tuple[str, str]]:
    # depend=afterok:1,afterany:2,umask=022: a new one begins where a word and '=' stand
    parts = re.split(r",(?=\w+=)", value)
    return [(name, amount) for name, _, amount in (part.partition("=") for part in parts)]


def _resources(value: str) -> dict[str, str]:
    found = {}
    for part in value.split(","):
        name, _, amount = part.partition("=")
        if name not in JOB_WIDE:
            raise RefusedError(187, f"Unknown resource: {name}")
        found[name] = amount
    return found


def _check(found: dict[str, Any]) -> None:
    queue = found.setdefault("-q", "workq")
    if queue not in QUEUES:
        raise RefusedError(170, "Unknown queue")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,229}", found.setdefault("-N", "STDIN")):
        raise RefusedError(1, "illegal -N value")
    for chunk in filter(None, found["resources"].get("select", "").split("+")):
        for part in chunk.split(":")[1:]:
            if part.partition("=")[0] not in RESOURCES:
                raise RefusedError(187, f"Unknown resource: {part.partition('=')[0]}")
    if seconds(found["resources"].setdefault("walltime", "01:00:00")) > QUEUES[queue]:
        raise RefusedError(188, "Job exceeds queue and/or server resource limits")


def seconds(walltime: str) -> int:
    """Seconds of HH:MM:SS, MM:SS or a bare number."""
    if not re.fullmatch(r"\d+(:\d+){0,2}", walltime):
        raise RefusedError(
            166, f"Illegal attribute or resource value Resource_List.walltime: {walltime}"
        )
    return sum(int(n) * 60**place for place, n in enumerate(reversed(walltime.split(":"))))


def chunks(select: str) -> list[dict[str, int]]:
    """One entry a chunk with its numbers: `2:ncpus=4:mpiprocs=2` is two entries."""
    found = []
    for part in filter(None, (select or "1:ncpus=1").split("+")):
        first, *rest = part.split(":")
        times, pairs = (int(first), rest) if first.isdigit() else (1, [first, *rest])
        numbers = {k: int(v) for k, _, v in (p.partition("=") for p in pairs) if v.isdigit()}
        found += [numbers] * times
    return found
