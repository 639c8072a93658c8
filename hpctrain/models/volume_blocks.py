"""Blocks that halve and double a volume: plain, with batch norm, and residual.

Those of the scroll notebook: a 3^3 convolution and a pool; a strided 2^3 convolution, then a 3^3
convolution with batch norm; the same beside a strided shortcut (He et al. 2016, equation 2). A
block that doubles is the mirror image of one that halves. Convolutions before a batch norm have no
bias, which it would take away again.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

BLOCKS = ("plain", "batch_norm", "residual")


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
    return nn.Sequential(
        nn.Conv3d(channels, width, 3, padding=1), nn.MaxPool3d(2), nn.ReLU(inplace=True)
    )


def _normed_down(channels: int, width: int) -> nn.Module:
    strided = nn.Conv3d(channels, width, 2, stride=2)
    return nn.Sequential(strided, nn.ReLU(inplace=True), *_normed_conv(width))


def _normed_conv(width: int) -> list[nn.Module]:
    conv = nn.Conv3d(width, width, 3, padding=1, bias=False)
    return [conv, nn.BatchNorm3d(width), nn.ReLU(inplace=True)]


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
