"""Which scheduler a script is for, and what it reads there."""

from __future__ import annotations

import re
from collections.abc import Callable

from hpctrain.directives.cobalt import read_cobalt
from hpctrain.directives.model import Reading, SchedulerName
from hpctrain.directives.pbs import read_pbs
from hpctrain.directives.shell import heredoc_lines
from hpctrain.directives.slurm import read_slurm

READERS: dict[SchedulerName, Callable[[str], Reading]] = {
    "pbs": read_pbs,
    "slurm": read_slurm,
    "cobalt": read_cobalt,
}
_MARKS: dict[str, SchedulerName] = {"#PBS": "pbs", "#SBATCH": "slurm", "#COBALT": "cobalt"}


def read_script(text: str, scheduler: SchedulerName) -> Reading:
    """The directives of a script as a scheduler reads them."""
    return READERS[scheduler](text)


def find_schedulers(text: str) -> list[SchedulerName]:
    """Schedulers that a script has directive lines for; the one with most lines first."""
    inside = heredoc_lines(text)
    counts: dict[SchedulerName, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r"\s*(#PBS|#SBATCH|#COBALT)(?=[\s-]|$)", line)
        if match and number not in inside:
            scheduler = _MARKS[match[1]]
            counts[scheduler] = counts.get(scheduler, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])
