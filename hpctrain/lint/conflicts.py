"""Directives that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hpctrain.directives.model import Directive
from hpctrain.directives.pbs_select import split_chunk
from hpctrain.lint.script import Finds, Script

_IN_CHUNKS = ("nodes", "ncpus", "ngpus", "mpiprocs", "mem", "vmem", "ompthreads", "nodect", "procs")
_REPEATABLE = {"--env", "-W stagein", "-W stageout"}


def _pairs(script: Script) -> Iterator[tuple[Directive, Directive]]:
    """Each option with other values before, and its first one."""
    first: dict[str, Directive] = {}
    for directive in script.reading.read:
        earlier = first.setdefault(directive.option, directive)
        if earlier.value != directive.value and directive.option not in _REPEATABLE:
            yield earlier, directive


def twice_in_pbs(script: Script) -> Finds:
    """HT020."""
    for earlier, later in _pairs(script):
        text = f"{later.option} is given in line {earlier.line}, and PBS takes the first"
        yield later.line, f"{text}: {later.value!r} is ignored; keep one of the two"


def twice(script: Script) -> Finds:
    """HT021."""
    for earlier, later in _pairs(script):
        if later.option != "--attrs":
            text = f"{later.option} is given in line {earlier.line}, too, and the last one counts"
            yield later.line, f"{text}: {later.value!r}; keep one of the two"


def attrs_twice(script: Script) -> Finds:
    """HT022."""
    for fault in script.faults("twice"):
        text = "Cobalt refuses a second --attrs, also one on the command line"
        yield fault.line, f"{text}; join them as in --attrs filesystems=home,eagle:pubnet=true"


def select_and_nodes(script: Script) -> Finds:
    """HT023."""
    if not (script.has_directive("-l select") or script.has_directive("-l place")):
        return
    for name in _IN_CHUNKS:
        for directive in script.options(f"-l {name}"):
            text = f"qsub refuses -l {name} together with select or place"
            what = "take it out" if name in ("nodes", "nodect", "procs") else f"put {name} in"
            yield directive.line, f"{text}; {what}, as in select=2:ncpus=4:mpiprocs=4"


def no_scatter(script: Script) -> Finds:
    """HT024."""
    if script.has_directive("-l place"):
        return
    for directive in script.options("-l select"):
        number = sum(split_chunk(part)[0] for part in (directive.value or "").split("+"))
        if number > 1:
            text = f"PBS may put all {number} chunks on one host, as no place is given"
            yield directive.line, f"{text}; add #PBS -l place=scatter for one chunk a host"


def gres_and_gpus(script: Script) -> Finds:
    """HT025."""
    for directive in script.options("--gres"):
        if re.match(r"(?:gres[:/])?gpus?\b", directive.value or "") and script.has_directive(
            "--gpus-per-node"
        ):
            text = "--gres=gpu and --gpus-per-node exclude each other"
            yield directive.line, f"{text}; keep --gpus-per-node"


def foreign_resource(script: Script) -> Finds:
    """HT026."""
    for directive in script.options("-l select", "-l nodes"):
        is_select = directive.option == "-l select"
        wrong = {"ppn", "gpus"} if is_select else {"ncpus", "mpiprocs", "ngpus"}
        for part in (directive.value or "").split("+"):
            for name in sorted(wrong & set(split_chunk(part)[1])):
                other = "nodes=" if is_select else "select="
                text = f"{name} belongs into {other}, not into {directive.option[3:]}="
                good = "select=2:ncpus=4:mpiprocs=4:ngpus=4"
                yield directive.line, f"{text}; write it as in {good}"


def refused_value(script: Script) -> Finds:
    """HT027."""
    for fault in script.faults("value"):
        yield fault.line, f"Cobalt refuses {fault.word!r}; write {fault.hint}"
