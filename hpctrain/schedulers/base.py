"""What a scheduler is: commands as words to start, answers as text to read, nothing that runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from hpctrain.schedulers.reasons import Advice, Reasons

Which = Callable[[str], str | None]
"""`shutil.which`, or a table in its place."""

State = Literal["held", "waiting", "starting", "running", "ending", "ended", "unknown"]
"""One vocabulary for all schedulers; unknown: the scheduler does not know the job (any more)."""

LIVE: tuple[State, ...] = ("held", "waiting", "starting", "running", "ending")
"""States of a job that may still do something."""

Condition = Literal["ok", "any", "failed"]
"""How another job must end before this one may start."""


@dataclass(frozen=True)
class JobStatus:
    """What a scheduler says of one job.

    Attributes:
        job_id: the job, as the scheduler names it.
        state: the state in our words.
        word: the state in the scheduler's word, such as PENDING, Q or dep_hold.
        reason: why it waits, is held or ended, in the scheduler's words; may be empty.
        started: when it began, in seconds since 1970.
        ends: when it ended, or must end.
        exit_code: as a shell counts it, 128 + signal included; None: not told.
        signal: what ended it; 0: none.
        nodes: where it runs or ran, in the scheduler's words.
    """

    job_id: str
    state: State
    word: str = ""
    reason: str = ""
    started: float | None = None
    ends: float | None = None
    exit_code: int | None = None
    signal: int = 0
    nodes: str = ""

    @property
    def is_live(self) -> bool:
        """Whether the job may still do something."""
        return self.state in LIVE


@dataclass(frozen=True)
class Handing:
    """How a script is handed in, beside what its directives say.

    Attributes:
        after: pairs of job id and how that job must end first.
        is_held: whether it must wait for a release.
        variables: environment of the job, beside what it has anyway.
    """

    after: Sequence[tuple[str, Condition]] = ()
    is_held: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    def by_condition(self) -> dict[Condition, list[str]]:
        """Job ids of each condition, in the order they came."""
        found: dict[Condition, list[str]] = {}
        for job_id, condition in self.after:
            found.setdefault(condition, []).append(job_id)
        return found


NOW = Handing()
"""Nothing special."""


class Scheduler(ABC):
    """Takes run scripts. Methods build commands and read answers; `run` starts them."""

    name: ClassVar[str]
    """Its name in site files."""
    generic_site: ClassVar[str]
    """Site that is meant where nothing but the scheduler is known."""
    script: ClassVar[str]
    """Name of its run script in a run directory."""
    conditions: ClassVar[tuple[Condition, ...]] = ("ok", "any", "failed")
    """What a job can wait for."""
    reasons: ClassVar[Reasons]
    """What its words mean, and what to do about it."""

    @abstractmethod
    def submit_command(self, script: str, how: Handing = NOW) -> list[str]:
        """Command that hands in a run script."""

    @abstractmethod
    def parse_job_id(self, text: str) -> str | None:
        """The job id in what the submit command printed, or None."""

    @abstractmethod
    def query_commands(self, job_ids: Sequence[str]) -> list[list[str]]:
        """Commands that ask for jobs; each is for those that the ones before it did not know."""

    @abstractmethod
    def parse_states(self, text: str) -> dict[str, JobStatus]:
        """Jobs in what a query command printed.

        Raises:
            ValueError: the text is not what such a command prints.
        """

    @abstractmethod
    def cancel_command(self, job_ids: Sequence[str]) -> list[str]:
        """Command that ends jobs."""

    @abstractmethod
    def hold_command(self, job_ids: Sequence[str], is_release: bool = False) -> list[str]:
        """Command that keeps waiting jobs from starting, or lets them."""

    @abstractmethod
    def is_here(self, which: Which) -> bool:
        """Whether this host has the scheduler's commands."""

    def is_unknown(self, text: str) -> bool:
        """Whether an error text says no more than that there are no such jobs."""
        lines = [line for line in text.splitlines() if line.strip()]
        return bool(lines) and all(any(w in line for w in self.gone_words) for line in lines)

    gone_words: ClassVar[tuple[str, ...]] = ()
    """What stands in each line of such a text."""

    def element(self, job_id: str, number: int) -> str:
        """Name of one element of a job array."""
        return f"{job_id}_{number}"

    def warn_command(self, job_id: str) -> list[str] | None:
        """Command that tells a running script to save and leave; None: the file STOP must do."""
        return None

    def explain(self, status: JobStatus) -> Advice | None:
        """What a job's state and reason mean, and what to do; None: nothing is known of it."""
        return self.reasons.find(status.state, status.word, status.reason)
