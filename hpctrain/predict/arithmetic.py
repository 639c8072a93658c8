"""Precision of a prediction, and how a GPU is to compute in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hpctrain.train.layout import surely_bears_channels_last
from hpctrain.train.precision import Precision


def precision_of(asked: str, saved: Mapping[str, Any], network: nn.Module) -> Precision:
    """Precision and memory layout of a prediction.

    Args:
        asked: a name; `run`: that of the training.
        saved: that of the training, as its checkpoint has it.
        network: that predicts.
    """
    if asked == "run":
        name, layout = saved.get("name", "float32"), saved.get("memory_format", "contiguous")
        return Precision(name, "as trained", layout)
    is_sure = surely_bears_channels_last(network)
    layout = "contiguous" if asked == "float32" or not is_sure else "channels_last"
    if asked == saved.get("name"):
        layout = saved.get("memory_format", layout)
    return Precision(asked, "asked for", layout)


def set_arithmetic(device: torch.device, *, is_float32: bool, is_deterministic: bool) -> None:
    """On a GPU: float32 that is not rounded to TF32, and the fastest algorithm for tiles."""
    if device.type != "cuda":
        return
    torch.backends.cudnn.benchmark = not is_deterministic  # all tiles have one shape
    if is_float32:
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
