"""What `hpctrain predict` can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Triple = tuple[int, int, int]
Weights = Literal["auto", "last", "ema"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bfloat16", "float16", "run"]


@dataclass(frozen=True)
class Options:
    """Options as the command line has them."""

    out: Path
    """File of one prediction, or folder of several."""
    inputs: Sequence[str] = ()
    """Files and patterns, in the order of the training's; empty: the run's validation files."""
    coarsen: bool = False
    """`inputs` are fine fields, whose block means are the input."""
    kind: Literal["npy", "netcdf", "zarr", "png", "tiff"] | None = None
    """Format in a folder; None: as the inputs are, of ink all of png, tiff and zarr."""
    checkpoint: str | None = None
    weights: Weights = "auto"
    members: int = 1
    """Predictions of each input, which differ in their noise."""
    seed: int | None = None
    """Of the noise; None: the run's."""
    has_noise: bool = True
    style: Sequence[float] = ()
    tile: Sequence[int] = ()
    """Input cells along each axis, or one number for all; empty: chosen."""
    overlap: int | None = None
    """Input cells that tiles share; None: chosen."""
    stride: int | None = None
    """Of ink: pixels from one window to the next; None: half of what is kept of one."""
    border: int | None = None
    """Of ink: pixels at either side of a window that do not count; None: as validation found."""
    depth_offsets: Sequence[int] = ()
    """Of ink: layers that windows lie off the middle, each of which is a view; empty: 0 alone."""
    flips: bool = False
    """Of ink: mean of the four mirrored views of each window."""
    memory_mb: int | None = None
    """For activations of one rank; None: 1000 on CPUs, half of a GPU's."""
    device: Device = "auto"
    precision: Precision = "float32"
    overwrite: bool = False
