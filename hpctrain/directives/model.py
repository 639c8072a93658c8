"""What a batch script asks for: its directive lines, and the same in no scheduler's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SchedulerName = Literal["pbs", "slurm", "cobalt"]

FaultKind = Literal["stray", "unknown", "no value", "quote", "value", "twice"]
"""A word that is no option; an option that is not known; one without its value; a quote without
its twin; a value that the scheduler refuses; an option that may stand only once."""


@dataclass(frozen=True)
class Directive:
    """One option of a directive line; a line that is not read has one without an option."""

    line: int
    """Number of its line, from 1."""
    raw: str
    """The line as it stands."""
    option: str = ""
    """The option under its one name: `-l select`, `--nodes`, `--attrs`."""
    value: str | None = None
    """Value without the quotes that the scheduler takes away; None: the option has none."""
    is_read: bool = True
    """Whether the scheduler sees it."""
    why_ignored: str = ""
    """Why not."""


@dataclass(frozen=True)
class Fault:
    """A part of a directive line that the scheduler cannot take."""

    line: int
    kind: FaultKind
    word: str
    """The word as it stands."""
    hint: str = ""
    """What it may have been meant to be."""


@dataclass(frozen=True)
class Reading:
    """What one scheduler reads in a script."""

    scheduler: SchedulerName
    directives: tuple[Directive, ...]
    """All of them in their order, also those that are not read."""
    faults: tuple[Fault, ...]
    end: int
    """Number of the line that ends the directives; one more than there are: none does."""

    @property
    def read(self) -> tuple[Directive, ...]:
        """Options that the scheduler sees, duplicates included."""
        return tuple(d for d in self.directives if d.is_read)

    @property
    def ignored(self) -> tuple[Directive, ...]:
        """Lines that look like directives and are none."""
        return tuple(d for d in self.directives if not d.is_read)

    @property
    def in_force(self) -> dict[str, Directive]:
        """Option to the one directive that counts: PBS takes the first, all others the last."""
        found: dict[str, Directive] = {}
        for directive in self.read:
            if self.scheduler != "pbs" or directive.option not in found:
                found[directive.option] = directive
        return found

    def value(self, *options: str) -> str | None:
        """Value of the first of these options that is given."""
        given = self.in_force
        return next((given[o].value for o in options if o in given), None)


@dataclass(frozen=True)
class Dependency:
    """Jobs that must have come to an end (or begun) before."""

    kind: str
    """after, afterok, afternotok, afterany, ..."""
    jobs: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What a script asks for, in no scheduler's words; None: it does not say."""

    name: str | None = None
    account: str | None = None
    queue: str | None = None
    nodes: int | None = None
    ranks_per_node: int | None = None
    cpus_per_node: int | None = None
    gpus_per_node: int | None = None
    memory_mb: int | None = None
    """Of a node."""
    is_exclusive: bool = False
    walltime_s: int | None = None
    filesystems: tuple[str, ...] = ()
    output: str | None = None
    """As the scheduler writes it, with its own placeholders."""
    error: str | None = None
    is_joined: bool = False
    """Errors go where the output goes."""
    array: str | None = None
    """As in 0-99:2%10."""
    dependencies: tuple[Dependency, ...] = ()
    mail_to: str | None = None
    mail_at: frozenset[str] = frozenset()
    """begin, end, fail."""
    is_rerunnable: bool | None = None
    is_held: bool = False
    has_whole_env: bool | None = None
    """Whether the environment of the submission goes along."""
    env: tuple[tuple[str, str | None], ...] = ()
    """Names and values; None: the value of the submission."""
    workdir: str | None = None
    extra: tuple[Directive, ...] = ()
    """Options that have no field here."""
