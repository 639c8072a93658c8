"""From what a script asks for to the directive lines of one scheduler, and what gets lost."""

from __future__ import annotations

from collections.abc import Callable

from hpctrain.directives.model import Request, SchedulerName
from hpctrain.directives.write_cobalt import write_cobalt
from hpctrain.directives.write_pbs import write_pbs
from hpctrain.directives.write_slurm import write_slurm
from hpctrain.directives.written import PREFIXES, TITLES, Written

_WRITERS: dict[str, Callable[[Request, Written, SchedulerName], None]] = {
    "pbs": write_pbs,
    "slurm": write_slurm,
    "cobalt": write_cobalt,
}


def write_directives(request: Request, scheduler: SchedulerName, source: SchedulerName) -> Written:
    """Directive lines for a scheduler.

    Args:
        request: what the script asks for.
        scheduler: who shall read the lines.
        source: whose placeholders stand in the request's paths.

    Raises:
        ConfigError: the scheduler refuses a script that does not say more.
    """
    written = Written(PREFIXES[scheduler])
    _WRITERS[scheduler](request, written, source)
    if request.dependencies:
        written.notes.append(
            f"the dependencies name jobs of {TITLES[source]}; put in the numbers that "
            f"{TITLES[scheduler]} gives them"
        )
    if request.has_whole_env and scheduler != "slurm":
        _note_environment(written, scheduler, source)
    if (request.ranks_per_node or 1) > 1 and {scheduler, source} == {"pbs", "cobalt"}:
        written.notes.append(
            "PBS_NODEFILE names a host once for each rank, COBALT_NODEFILE once: see who counts it"
        )
    return written


def _note_environment(written: Written, scheduler: SchedulerName, source: SchedulerName) -> None:
    if source == "pbs":
        written.lost.append("-V: the environment of the submission")
        return
    hint = ", or add #PBS -V" if scheduler == "pbs" else ""
    written.notes.append(
        f"Slurm hands the environment of the submission on and {TITLES[scheduler]} does not; "
        f"load in the script what it needs{hint}"
    )
