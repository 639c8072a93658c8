"""What the rules look at: a script, read once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from hpctrain.directives import Directive, Reading, Request, read_script, request_of
from hpctrain.directives.model import Fault, FaultKind, SchedulerName
from hpctrain.directives.shell import (
    Code,
    Command,
    read_code,
    read_commands,
    without_single_quoted,
)

if TYPE_CHECKING:
    from hpctrain.config.site import Site

Finds = Iterator[tuple[int, str]]
"""Numbers of lines, and what is wrong there and to be done."""

LAUNCHERS = r"srun|mpirun|mpiexec(?:\.hydra)?|aprun|ibrun|jsrun|orterun|prterun|horovodrun"
"""Programs that start ranks."""

_BASH_WORDS = r"(?:exec|time|nohup|env|timeout\s+\S+|nice|stdbuf\s+\S+|\w+=(?!\()\S*)"


@dataclass(frozen=True)
class Script:
    """A script in the eyes of one scheduler, or of none."""

    text: str
    """With plain line ends."""
    scheduler: SchedulerName | None = None
    site: Site | None = None
    is_executable: bool | None = None
    """None: not known."""
    has_folder: Callable[[str], bool] | None = None
    """Whether a folder is there, seen from where the script is submitted; None: not known."""
    has_crlf: bool = False

    @cached_property
    def lines(self) -> list[str]:
        """Lines without their ends."""
        return self.text.split("\n")

    @cached_property
    def reading(self) -> Reading:
        """Its directives; asked for only by rules of one scheduler or more."""
        if self.scheduler is None:
            raise ValueError("a script of no scheduler has no directives")
        return read_script(self.text, self.scheduler)

    @cached_property
    def request(self) -> Request:
        """What the directives ask for."""
        return request_of(self.reading)

    @cached_property
    def code(self) -> list[Code]:
        """Lines of code and of here-documents, without comments."""
        return read_code(self.text)

    @cached_property
    def commands(self) -> list[Command]:
        """Simple commands."""
        return read_commands(self.code)

    @cached_property
    def shell(self) -> list[Code]:
        """Lines of code alone, what stands in single quotes blanked out."""
        return [
            Code(item.line, without_single_quoted(item.text))
            for item in self.code
            if not item.is_heredoc
        ]

    def options(self, *names: str) -> Iterator[Directive]:
        """Directives in force of these names, or whose name starts with one that ends in `*`."""
        for name, directive in self.reading.in_force.items():
            if any(name == n or (n[-1] == "*" and name.startswith(n[:-1])) for n in names):
                yield directive

    def faults(self, *kinds: FaultKind) -> Iterator[Fault]:
        """Parts of directives that the scheduler cannot take."""
        return (fault for fault in self.reading.faults if fault.kind in kinds)

    def has_directive(self, name: str) -> bool:
        """Whether an option is given."""
        return name in self.reading.in_force

    def search(self, pattern: str) -> Iterator[tuple[int, re.Match[str]]]:
        """Matches in the lines of code, with the number of the line each begins in."""
        for item in self.code:
            if item.is_heredoc:
                continue
            for match in re.finditer(pattern, item.text):
                yield item.line + item.text[: match.start()].count("\n"), match

    def has(self, pattern: str) -> bool:
        """Whether code matches."""
        return any(True for _ in self.search(pattern))

    def launches(self) -> Iterator[Command]:
        """Commands that start ranks."""
        return self.running(LAUNCHERS)

    def running(self, programs: str) -> Iterator[Command]:
        """Commands that start one of these programs, also with `exec` and the like in front."""
        start = re.compile(rf"(?:{_BASH_WORDS}\s+)*(?:\S*/)?(?:{programs})(?=\s|$)")
        for command in self.commands:
            words = re.sub(r"^(?:(?:then|do|else|if|while|until|!|\{|\()\s*)+", "", command.text)
            if start.match(words):
                yield command
