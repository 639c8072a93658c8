"""No launcher: one rank, started by the script itself."""

from __future__ import annotations

from collections.abc import Sequence

from hpctrain.config.job import Resources
from hpctrain.launchers.base import Launcher


class NoLauncher(Launcher):
    """Starts nothing in front of the program."""

    program = ""
    forwards_usr1 = True

    def options(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """None."""
        return []

    def command(self, resources: Resources, env: Sequence[str]) -> list[str]:
        """No words at all."""
        return []
