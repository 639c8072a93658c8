"""Directive lines that are being written, and what the writers share."""

from __future__ import annotations

from dataclasses import dataclass, field

from hpctrain.directives.model import Request

PREFIXES = {"pbs": "#PBS ", "slurm": "#SBATCH ", "cobalt": "#COBALT "}
TITLES = {"pbs": "PBS", "slurm": "Slurm", "cobalt": "Cobalt"}
PLAIN = r"[\w@%+=:,./^{}-]+"
"""Values that need no quotes."""


@dataclass
class Written:
    """Directive lines, and sentences about what they cannot say."""

    prefix: str
    lines: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """With the value: kept in the script as comments."""
    notes: list[str] = field(default_factory=list)
    """What to look at."""

    def add(self, text: str) -> None:
        """One directive line."""
        self.lines.append(self.prefix + text)


def pairs(request: Request) -> str:
    """Variables as PBS and Slurm list them."""
    found = (name if value is None else f"{name}={_listed(value)}" for name, value in request.env)
    return ",".join(found)


def _listed(value: str) -> str:
    """A value in a list of variables, where a comma begins the next one."""
    return f"'{value}'" if "," in value else value


def depend_text(request: Request, known: frozenset[str], written: Written) -> str:
    """Dependencies of these kinds as PBS and Slurm write them; the others are lost."""
    parts = []
    for dependency in request.dependencies:
        text = ":".join([dependency.kind, *dependency.jobs])
        if dependency.kind in known:
            parts.append(text)
        else:
            written.lost.append(f"dependency {text}")
    return ",".join(parts)
