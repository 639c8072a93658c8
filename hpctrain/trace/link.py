"""One link of the chain from a product to its inputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["same", "changed", "missing", "unknown", ""]
"""`unknown`: could not be compared. Empty: a fact, of which there is nothing to compare."""


@dataclass(frozen=True)
class Link:
    """One thing that a product was made from.

    Attributes:
        kind: what it is, such as `checkpoint` or `inputs`.
        name: which one.
        verdict: whether it is still what it was.
        text: more about it in a few words.
        digest: sha256 that was recorded.
        details: further lines, such as the files that changed.
    """

    kind: str
    name: str
    verdict: Verdict = ""
    text: str = ""
    digest: str = ""
    details: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """All fields."""
        return {**asdict(self), "details": list(self.details)}


def compared(kind: str, name: str, recorded: str, now: str, text: str = "") -> Link:
    """A link with a digest then and now; an empty one is not known."""
    verdict: Verdict = "unknown"
    if recorded and not now:
        verdict = "missing"
    elif recorded:
        verdict = "same" if recorded == now else "changed"
    details = (f"now {now[:16]}",) if verdict == "changed" else ()
    return Link(kind, name, verdict, text, recorded, details)
