"""All that the metadata of a crate are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpctrain.crate.content import Member
from hpctrain.errors import ConfigError
from hpctrain.provenance.run import launches_of
from hpctrain.run_state import finite
from hpctrain.trace.beside import BesideFile
from hpctrain.trace.card import Card
from hpctrain.trace.inputs import Inputs


@dataclass(frozen=True)
class Author:
    """Who made a crate; `orcid` is a URL."""

    name: str
    orcid: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class Facts:
    """All that the metadata are made from."""

    run_dir: Path
    manifest: dict[str, Any]
    state: dict[str, Any]
    members: tuple[Member, ...]
    inputs: Inputs
    data: tuple[Member, ...]
    beside: tuple[BesideFile, ...]
    """Files that decide the training and are not in the index."""
    taken: tuple[Member, ...]
    """Those of them that go in."""
    card: Card | None
    licence: str
    author: Author | None

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run_dir.resolve().name

    @property
    def script(self) -> str:
        """The run script."""
        names = [m.name for m in self.members if m.kind == "rendered"]
        found = [n for n in names if "/" not in n and n.startswith("run.")]
        if not found:
            raise ConfigError(f"{self.run_dir}: has no run script; render the job again")
        return found[0]

    @property
    def last_change(self) -> float:
        """When the run last did anything; a fixed time for one that never started."""
        times = [finite(e.get(k)) for e in launches_of(self.manifest) for k in ("time", "end")]
        return max([t for t in [*times, finite(self.state.get("updated"))] if t], default=0.0)
