"""What a scheduler is: argv to submit with, and how a host shows that it is there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

Which = Callable[[str], str | None]
"""`shutil.which`, or a table in its place."""


class Scheduler(ABC):
    """Takes run scripts."""

    name: ClassVar[str]
    """Its name in site files."""
    generic_site: ClassVar[str]
    """Site that is meant where nothing but the scheduler is known."""

    @abstractmethod
    def submit_command(self, script: str) -> list[str]:
        """Command that hands in a run script."""

    @abstractmethod
    def is_here(self, which: Which) -> bool:
        """Whether this host has the scheduler's commands."""
