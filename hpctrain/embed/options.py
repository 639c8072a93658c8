"""What `hpctrain embed` can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hpctrain.predict.options import Device, Precision, Weights


@dataclass(frozen=True)
class Options:
    """Options as the command line has them."""

    checkpoints: Sequence[str] = ()
    """Names in checkpoints/, or paths; empty: the newest."""
    out: Path | None = None
    """Folder of one store; None: embeddings/CHECKPOINT in the run directory."""
    dtype: Literal["float16", "float32"] = "float32"
    batch_size: int = 64
    """Pairs that one rank encodes at a time."""
    scale: float = 1.0
    """Pictures are so many times as large as in the training."""
    thumbs: int = 10_000
    """Pairs of which there are thumbnails."""
    weights: Weights = "auto"
    device: Device = "auto"
    precision: Precision = "float32"
    overwrite: bool = False
