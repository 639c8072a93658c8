"""#PBS lines."""

from __future__ import annotations

import re

from hpctrain.directives.model import Request, SchedulerName
from hpctrain.directives.output_path import pbs_path
from hpctrain.directives.walltime import clock
from hpctrain.directives.written import PLAIN, Written, depend_text, pairs

_KINDS = frozenset(
    ["after", "afterok", "afternotok", "afterany"]
    + ["before", "beforeok", "beforenotok", "beforeany", "on"]
)


def write_pbs(request: Request, written: Written, source: SchedulerName) -> None:
    """Add all directives for PBS."""
    if request.name:
        written.add(f"-N {_pbs_name(request.name, written)}")
    if request.account:
        written.add(f"-A {_quoted(request.account)}")
    if request.queue:
        written.add(f"-q {_quoted(request.queue)}")
    _select(request, written)
    if request.walltime_s is not None:
        written.add(f"-l walltime={clock(request.walltime_s)}")
    if request.filesystems:
        written.add(f"-l filesystems={':'.join(request.filesystems)}")
    _pbs_output(request, written, source)
    if request.array:
        _array(request.array, written)
    depend = depend_text(request, _KINDS, written)
    if depend:
        written.add(f"-W depend={depend}")
    _pbs_rest(request, written)


def _pbs_name(name: str, written: Written) -> str:
    safe = re.sub(r"[^A-Za-z0-9_+.-]", "_", name)[:230]
    if safe != name:
        written.lost.append(f"job name {name!r}, which PBS refuses; it is {safe} now")
    return safe


def _select(request: Request, written: Written) -> None:
    parts = [
        ("ncpus", request.cpus_per_node),
        ("mpiprocs", request.ranks_per_node),
        ("ngpus", request.gpus_per_node),
        ("mem", None if request.memory_mb is None else f"{request.memory_mb}mb"),
    ]
    given = [f"{key}={value}" for key, value in parts if value is not None]
    if request.nodes is None and not given:
        return
    nodes = request.nodes or 1
    written.add(f"-l select={':'.join([str(nodes), *given])}")
    if nodes > 1 or request.is_exclusive:
        written.add("-l place=scatter" + (":excl" if request.is_exclusive else ""))
    if request.cpus_per_node is None:
        written.notes.append(
            "no number of CPUs is given, and PBS gives one a chunk; add :ncpus= to select"
        )


def _pbs_output(request: Request, written: Written, source: SchedulerName) -> None:
    if request.is_joined:
        written.add("-j oe")
    for letter, path in (("o", request.output), ("e", request.error)):
        place = pbs_path(path, source, request.name) if path is not None else None
        if place is not None:
            written.add(f"-{letter} {_quoted(place)}")
        if path is not None and place != path:
            where = "PBS' own file there" if place else "PBS' own file in the folder of submission"
            written.notes.append(
                f"output {path} is now {place or where}, as PBS puts in no numbers"
            )


def _pbs_rest(request: Request, written: Written) -> None:
    if request.mail_to:
        written.add(f"-M {_quoted(request.mail_to)}")
    if request.mail_at:
        letters = {"begin": "b", "end": "e", "fail": "a"}
        written.add("-m " + "".join(letters[at] for at in sorted(request.mail_at)))
    if request.is_rerunnable is not None:
        written.add(f"-r {'y' if request.is_rerunnable else 'n'}")
    if request.is_held:
        written.add("-h")
    if request.env:
        written.add(f"-v {_quoted(pairs(request))}")


def _array(array: str, written: Written) -> None:
    if re.fullmatch(r"\d+-\d+(:\d+)?(%\d+)?", array):
        written.add(f"-J {array}")
    else:
        written.lost.append(f"array {array}: PBS knows START-END:STEP%MOST only")


def _quoted(value: str) -> str:
    # no backslash counts within quotes, and one outside escapes a quote
    if re.fullmatch(PLAIN, value):
        return value
    return '"' + value.replace('"', '"\\""') + '"'
