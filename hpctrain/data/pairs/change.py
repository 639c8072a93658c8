"""Changes of colours and temperatures of crops, in batch, with the numbers of `draw`."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hpctrain.data.pairs.resample import blur

BRIGHTNESS, CONTRAST, SATURATION, HUE, SIGMA, THRESHOLD = range(6)
GAIN, OFFSET, THERMAL_SIGMA, NOISE = range(4)
LUMA = (0.299, 0.587, 0.114)
"""Grey value of a colour (ITU-R BT.601)."""
_YIQ = (LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))
"""Grey value and two differences of colours (NTSC)."""
_FORTH = torch.tensor(_YIQ, dtype=torch.float64)
_BACK = torch.linalg.inv(_FORTH)
_MASK = (1 << 32) - 1


def change_colours(crops: Tensor, table: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue, blur, solarisation.

    Hue turns the plane of colours at one grey value, so that grey values stay as they are.

    Args:
        crops: (B, 3, H, W) colours or (B, 1, H, W) grey values, 0 to 1.
        table: (B, 6) float64 on the CPU, see `Drawing.colour`.
    """
    own = table.to(crops.device, torch.float32)[:, :, None, None, None]
    found = crops
    if bool((table[:, BRIGHTNESS] != 1).any()):
        found = (found * own[:, BRIGHTNESS]).clamp(0, 1)
    if bool((table[:, CONTRAST] != 1).any()):
        mean = luma(found).mean((1, 2, 3), keepdim=True)
        found = (mean + own[:, CONTRAST] * (found - mean)).clamp(0, 1)
    if crops.shape[1] == 3 and bool((table[:, SATURATION : HUE + 1] != IDENTITY).any()):
        turns = _turns(table).to(crops.device)
        found = torch.einsum("bij,bjhw->bihw", turns, found).clamp(0, 1)
    found = blur(found, table[:, SIGMA])
    if bool((table[:, THRESHOLD] <= 1).any()):
        found = torch.where(found >= own[:, THRESHOLD], 1 - found, found)
    return found


IDENTITY = torch.tensor([1.0, 0.0], dtype=torch.float64)
"""Saturation and hue that change nothing."""


def luma(crops: Tensor) -> Tensor:
    """Grey values (B, 1, H, W) of colours, or as they are."""
    if crops.shape[1] == 1:
        return crops
    red, green, blue = (crops[:, c : c + 1] for c in range(3))
    found: Tensor = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return found


def _turns(table: Tensor) -> Tensor:
    """(B, 3, 3) that change colours alone; a saturation of 0 leaves grey values."""
    cos, sin = (table[:, SATURATION] * f(table[:, HUE]) for f in (torch.cos, torch.sin))
    middle = torch.zeros(len(table), 3, 3, dtype=torch.float64)
    middle[:, 0, 0] = 1
    middle[:, 1, 1] = middle[:, 2, 2] = cos
    middle[:, 1, 2], middle[:, 2, 1] = -sin, sin
    found: Tensor = _BACK @ middle @ _FORTH
    return found.float()


def change_temperatures(crops: Tensor, table: Tensor, keys: Tensor) -> Tensor:
    """Gain about the mean, offset, blur and noise.

    Args:
        crops: (B, 1, H, W) degrees, or other values.
        table: (B, 4) float64 on the CPU, see `Drawing.thermal`.
        keys: (B,) int64 on the CPU, which the noise follows from.
    """
    own = table.to(crops.device, torch.float32)[:, :, None, None, None]
    found = crops
    if bool((table[:, GAIN] != 1).any()):
        mean = found.mean((1, 2, 3), keepdim=True)
        found = mean + own[:, GAIN] * (found - mean)
    found = blur(found + own[:, OFFSET], table[:, THERMAL_SIGMA])
    if bool((table[:, NOISE] > 0).any()):
        found = found + own[:, NOISE] * normals(keys.to(crops.device), crops.shape)
    return found


def normals(keys: Tensor, shape: torch.Size) -> Tensor:
    """Standard normal numbers that follow from a key and a pixel's number, on any device.

    Bits by the finaliser of MurmurHash3 (Appleby 2011), numbers by Box and Muller (1958).

    Args:
        keys: (B,) int64, not negative.
        shape: (B, ...) of the result.
    """
    cells = math.prod(shape[1:])
    places = torch.arange(cells, device=keys.device, dtype=torch.int64)[None]
    low, high = (keys & _MASK)[:, None], (keys >> 32)[:, None]
    first = _mixed(_mixed(places ^ low) + high & _MASK)
    second = _mixed(first + 0x9E3779B9 & _MASK)
    radius = (-2 * ((first + 1).double() / (_MASK + 2)).log()).sqrt()
    found = radius * (second.double() * (2 * math.pi / (_MASK + 1))).cos()
    return found.float().reshape(shape)


def _mixed(bits: Tensor) -> Tensor:
    """32 bits of which each depends on all of those given."""
    bits = (bits ^ (bits >> 16)) * 0x85EBCA6B & _MASK
    bits = (bits ^ (bits >> 13)) * 0xC2B2AE35 & _MASK
    return bits ^ (bits >> 16)
