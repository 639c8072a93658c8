"""All rules: code, title, severity, schedulers, function. A code never changes its meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hpctrain.lint import (
    chains,
    conflicts,
    folders,
    gpus,
    launch,
    machine,
    names,
    reading,
    times,
    variables,
)
from hpctrain.lint.script import Finds, Script

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong."""

    code: str
    title: str
    severity: Severity
    schedulers: str
    """Whose scripts it is about; "any": also those without directives."""
    check: Callable[[Script], Finds]

    def fits(self, scheduler: str | None) -> bool:
        """Whether it is about scripts of a scheduler."""
        return self.schedulers == "any" or scheduler in self.schedulers.split()


_ALL = "pbs slurm cobalt"

RULES = (
    Rule("HT001", "Directive after the first command", "error", _ALL, reading.after_command),
    Rule("HT002", "Indented #SBATCH", "error", "slurm", reading.indented),
    Rule("HT003", "Directive in small letters", "warning", _ALL, reading.wrong_case),
    Rule("HT004", "#COBALT behind a blank or comment line", "error", "cobalt", reading.gap),
    Rule("HT005", "#COBALT without a blank behind it", "error", "cobalt", reading.bare),
    Rule("HT006", "Quotes in #COBALT", "error", "cobalt", reading.cobalt_quotes),
    Rule("HT007", "Stray word in #COBALT", "error", "cobalt", reading.cobalt_stray),
    Rule("HT008", "Comment between #PBS lines", "warning", "pbs", reading.comment_between),
    Rule("HT009", "Stray word or comment in #PBS", "error", "pbs", reading.pbs_stray),
    Rule("HT010", "No #! in line 1", "error", "slurm cobalt", reading.no_shebang),
    Rule("HT011", "No #! in a PBS script", "warning", "pbs", reading.no_shebang_pbs),
    Rule("HT012", "Lines end as on Windows", "error", "any", reading.crlf),
    Rule(
        "HT013", "Cobalt script that is not executable", "error", "cobalt", reading.not_executable
    ),
    Rule("HT014", "Stray word in #SBATCH", "error", "slurm", reading.slurm_stray),
    Rule("HT015", "Unknown option", "error", _ALL, reading.unknown_option),
    Rule("HT016", "Option without a value", "error", _ALL, reading.empty_value),
    Rule("HT017", "Quote that is not closed", "error", "pbs slurm", reading.open_quote),
    Rule("HT018", "Shell variable in #SBATCH", "error", "slurm", reading.unexpanded),
    Rule("HT019", "#PBS that Slurm reads, too", "warning", "slurm", reading.two_schedulers),
    Rule("HT020", "Option twice in PBS", "error", "pbs", conflicts.twice_in_pbs),
    Rule("HT021", "Option twice", "warning", "slurm cobalt", conflicts.twice),
    Rule("HT022", "--attrs twice", "error", "cobalt", conflicts.attrs_twice),
    Rule(
        "HT023", "select together with nodes or ncpus", "error", "pbs", conflicts.select_and_nodes
    ),
    Rule("HT024", "Several chunks without a place", "warning", "pbs", conflicts.no_scatter),
    Rule("HT025", "gres together with gpus-per-node", "error", "slurm", conflicts.gres_and_gpus),
    Rule("HT026", "Part of a chunk in the wrong form", "error", "pbs", conflicts.foreign_resource),
    Rule("HT027", "Value that Cobalt refuses", "error", "cobalt", conflicts.refused_value),
    Rule("HT029", "Walltime of nothing", "warning", _ALL, times.zero_walltime),
    Rule("HT030", "Minutes or seconds over 59", "error", _ALL, times.over_sixty),
    Rule("HT031", "Walltime as a bare number", "warning", "pbs slurm", times.bare_number),
    Rule("HT032", "Days in a PBS walltime", "error", "pbs", times.days),
    Rule("HT033", "Walltime of two parts", "warning", "pbs slurm", times.two_parts),
    Rule("HT034", "Walltime that cannot be read", "error", _ALL, times.unreadable),
    Rule("HT035", "Cobalt script without -n or -t", "error", "cobalt", times.cobalt_needs),
    Rule("HT036", "No walltime", "warning", "pbs slurm", times.no_walltime),
    Rule("HT037", "Number of nodes with a leading zero", "error", "cobalt", times.octal_nodes),
    Rule("HT038", "Seconds that Cobalt drops", "warning", "cobalt", times.dropped_seconds),
    Rule("HT039", "Warning signal too late or too early", "warning", "slurm", times.short_warning),
    Rule("HT040", "No cd in a PBS script", "warning", "pbs", folders.no_cd),
    Rule("HT041", "Output into a folder that is not there", "error", _ALL, folders.no_log_folder),
    Rule("HT042", "Output that a requeue empties", "warning", "slurm", folders.truncated),
    Rule("HT043", "Files found by $0", "error", "pbs slurm", folders.own_place),
    Rule("HT050", "Job name that PBS refuses", "error", "pbs", names.bad_characters),
    Rule("HT051", "Job name that is too long", "error", "pbs", names.too_long),
    Rule("HT052", "Job name that qstat cuts", "warning", "pbs", names.shown_in_part),
    Rule("HT060", "Nodes counted with duplicates", "warning", "pbs", variables.nodefile_lines),
    Rule("HT061", "OMPI_COMM_WORLD_NODE_RANK as node", "error", "any", variables.node_rank),
    Rule("HT062", "Misspelled variable", "error", "any", variables.misspelled),
    Rule("HT063", "Variable of another scheduler", "warning", _ALL, variables.foreign),
    Rule("HT064", "GPU chosen by a global rank", "error", "any", gpus.from_global_rank),
    Rule("HT065", "GPU mask set inside the program", "error", "any", gpus.inside_program),
    Rule("HT066", "GPU mask set in the batch shell", "error", _ALL, gpus.in_batch_shell),
    Rule("HT067", "Container that loses rank and mask", "error", "any", launch.clean_environment),
    Rule("HT068", "SINGULARITYENV_ with Apptainer", "warning", "any", launch.old_prefix),
    Rule("HT069", "PMI-2 with Open MPI 5", "error", "any", launch.pmi2),
    Rule("HT070", "srun without --cpus-per-task", "warning", "slurm", launch.no_cpus),
    Rule("HT071", "Trap for a signal of the ranks", "warning", "slurm", chains.trap_for_ranks),
    Rule("HT080", "Trap that never runs", "error", "slurm", chains.trap_never_runs),
    Rule("HT081", "Warning signal without a trap", "error", "slurm", chains.no_trap),
    Rule("HT082", "Trap for CONT", "error", "slurm", chains.trap_cont),
    Rule("HT083", "Requeue without saving", "error", "slurm", chains.requeue_at_once),
    Rule("HT084", "qsig with USR1", "error", "pbs", chains.qsig),
    Rule("HT085", "Chain by qrerun", "error", "pbs", chains.qrerun),
    Rule("HT086", "Code fetched when the job runs", "error", "any", launch.fetched_code),
    Rule("HT087", "Quotes that reach qsub", "error", "any", chains.quoted_dependency),
    Rule("HT088", "Job id cut at its first dot", "warning", "any", chains.cut_id),
    Rule("HT089", "Quotes round a dependency", "warning", "pbs", chains.quotes_in_directive),
    Rule("HT090", "What the site requires is missing", "error", _ALL, machine.missing),
    Rule("HT091", "What the site forbids", "error", _ALL, machine.forbidden),
    Rule("HT092", "Script for another scheduler", "error", _ALL, machine.other_scheduler),
)
