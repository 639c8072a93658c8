"""The precision in which losses are computed."""

from __future__ import annotations

import torch
from torch import Tensor


def wide(x: Tensor) -> Tensor:
    """The numbers in float32 at least: half precisions have too few digits for means."""
    return x if x.dtype == torch.float64 else x.float()
