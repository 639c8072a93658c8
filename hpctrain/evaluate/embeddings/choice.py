"""What an evaluation of embeddings can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Choice:
    """Options as the command line has them."""

    columns: Sequence[str] = ()
    """Classes to tell; empty: all columns that are classes."""
    neighbours: int = 20
    """Whose votes count, as DINO's default is."""
    folds: int = 5
    """Where the index has no split."""
    queries: int = 20_000
    """Rows that are looked for and judged, drawn where there are more; all others are searched."""
    points: int = 10_000
    """Pairs on the page."""
    projection: Literal["tsne", "umap"] = "tsne"
    """What places them in the plane, beside principal components."""
    attention: int = 6
    """Pictures whose attention is drawn, where the run is there and its encoders have any."""
    threads: int = 1
    seed: int = 0
