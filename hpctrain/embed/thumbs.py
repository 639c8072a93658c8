"""Thumbnails of what an encoder has seen: bytes of 0 to 255, stretched picture by picture."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

WIDTH = 72
"""Pixels; the height follows the picture's."""
_EXTREME = 0.01


def thumb_shape(height: int, width: int, channels: int) -> tuple[int, int, int]:
    """(H, W, C) of thumbnails of such pictures; one channel, or three."""
    return max(1, round(WIDTH * height / width)), WIDTH, 3 if channels >= 3 else 1


def make_thumbs(pictures: Tensor) -> NDArray[np.uint8]:
    """Small pictures (B, h, w, 1 or 3).

    Of two channels, or of more than three, the first, or the first three, are shown.

    Args:
        pictures: (B, C, H, W) in any scale.
    """
    _, channels, rows, columns = pictures.shape
    height, width, channels = thumb_shape(rows, columns, channels)
    small = F.interpolate(
        pictures[:, :channels].float(), (height, width), mode="bilinear", antialias=True
    )
    return to_bytes(small)


def to_bytes(pictures: Tensor) -> NDArray[np.uint8]:
    """Pictures (B, H, W, 1 or 3), each stretched over all but its most extreme values.

    Args:
        pictures: (B, C, H, W) in any scale.
    """
    own = pictures[:, : 3 if pictures.shape[1] >= 3 else 1].float()
    flat = own.flatten(1)
    rank = max(1, math.ceil(_EXTREME * flat.shape[1]))
    low = flat.kthvalue(rank, dim=1).values
    high = flat.kthvalue(flat.shape[1] - rank + 1, dim=1).values
    span = torch.where(high > low, high - low, torch.ones_like(high))
    scaled = (own - low[:, None, None, None]) / span[:, None, None, None]
    out = (scaled.clamp(0, 1) * 255).round().to(torch.uint8)
    return out.permute(0, 2, 3, 1).cpu().numpy()
