"""Blocks that halve and double a volume: plain, with batch norm, and residual.

Those of the scroll notebook: a 3^3 convolution and a pool; a strided 2^3 convolution, then a 3^3
convolution with batch norm; the same beside a strided shortcut (He et al. 2016, equation 2). A
block that doubles is the mirror image of one that halves. Convolutions before a batch norm have no
bias, which it would take away again.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

BLOCKS = ("plain", "batch_norm", "residual")
_WEIGHT = 5
"""Dimensions of a 3D convolution's weight."""


def halving_block(kind: str, channels: int, width: int) -> nn.Module:
    """(B, channels, D, H, W) to (B, width, D/2, H/2, W/2), ending in a ReLU."""
    make: dict[str, Callable[[int, int], nn.Module]] = {
        "plain": _plain_down,
        "batch_norm": _normed_down,
        "residual": ResidualDown,
    }
    return make[kind](channels, width)


def doubling_block(kind: str, channels: int, width: int, *, is_last: bool = False) -> nn.Module:
    """(B, channels, D, H, W) to (B, width, 2 D, 2 H, 2 W), ending in a ReLU unless it is last."""
    if kind == "residual":
        return ResidualUp(channels, width, is_last=is_last)
    before = [] if kind == "plain" else _normed_conv(channels)
    after = [] if is_last else [nn.ReLU(inplace=True)]
    return nn.Sequential(*before, nn.ConvTranspose3d(channels, width, 2, stride=2), *after)


def _plain_down(channels: int, width: int) -> nn.Module:
    # a maximum and a ReLU commute, and behind the pool there are 8 times fewer cells
    return nn.Sequential(nn.Conv3d(channels, width, 3, padding=1), Pool(), nn.ReLU(inplace=True))


def _normed_down(channels: int, width: int) -> nn.Module:
    strided = nn.Conv3d(channels, width, 2, stride=2)
    return nn.Sequential(strided, nn.ReLU(inplace=True), *_normed_conv(width))


def _normed_conv(width: int) -> list[nn.Module]:
    conv = nn.Conv3d(width, width, 3, padding=1, bias=False)
    return [conv, nn.BatchNorm3d(width), nn.ReLU(inplace=True)]


def laid_out_as(x: Tensor, network: nn.Module) -> Tensor:
    """Volumes (B, 1, D, H, W) in the layout of a network's weights.

    With one channel both layouts are the same bytes, and torch takes them for the plain one: so do
    all layers behind, several times slower. Strides that say channels last lead them on.
    """
    weights = (p for p in network.parameters() if p.ndim == _WEIGHT and p.shape[1] > 1)
    weight = next(weights, None)
    if weight is None or weight.is_contiguous() or x.shape[1] != 1:
        return x
    if not weight.is_contiguous(memory_format=torch.channels_last_3d):
        return x
    d, h, w = x.shape[2:]
    return x.contiguous().as_strided(x.shape, (d * h * w, 1, h * w, w, 1))


class Pool(nn.Module):
    """Maxima of 2^3 cells, in the type of the input: autocast would widen it for nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, D, H, W) to (B, C, D/2, H/2, W/2)."""
        if torch.are_deterministic_algorithms_enabled():
            # backward of max_pool3d adds up in any order on a GPU; this is slower
            d, h, w = (n // 2 for n in x.shape[2:])
            cells = x[..., : 2 * d, : 2 * h, : 2 * w]
            return cells.reshape(*x.shape[:2], d, 2, h, 2, w, 2).amax((3, 5, 7))
        if x.dtype not in (torch.bfloat16, torch.float16):
            return F.max_pool3d(x, 2)
        with torch.autocast(x.device.type, enabled=False):
            return F.max_pool3d(x, 2)


class ResidualDown(nn.Module):
    """relu(F(x) + S(x)): a strided and a 3^3 convolution beside a strided shortcut."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(channels, width, 2, stride=2, bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.Conv3d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm3d(width),
        )
        self.shortcut = nn.Sequential(
            nn.Conv3d(channels, width, 2, stride=2, bias=False), nn.BatchNorm3d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, D, H, W) to (B, width, D/2, H/2, W/2)."""
        y: Tensor = self.body(x).add_(self.shortcut(x)).relu_()
        return y


class ResidualUp(nn.Module):
    """relu(F(x) + S(x)) with transposed convolutions; the last has no norm and no relu."""

    def __init__(self, channels: int, width: int, *, is_last: bool = False) -> None:
        super().__init__()

        def double(has_bias: bool) -> list[nn.Module]:
            conv = nn.ConvTranspose3d(channels, width, 2, stride=2, bias=has_bias)
            return [conv] if is_last else [conv, nn.BatchNorm3d(width)]

        self.body = nn.Sequential(*_normed_conv(channels), *double(is_last))
        self.shortcut = nn.Sequential(*double(False))
        self.is_last = is_last

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, D, H, W) to (B, width, 2 D, 2 H, 2 W)."""
        y: Tensor = self.body(x).add_(self.shortcut(x))
        return y if self.is_last else y.relu_()
