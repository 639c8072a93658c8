"""Networks that find ink on windows of a surface volume: (B, 1, D, H, W) to logits (B, H, W).

D counts layers across the papyrus. Both work on any H and W that their levels halve, so that a net
trained on windows also sees larger ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hpctrain.models.unet import UNet
from hpctrain.models.vae import VolumeEncoder, check_size
from hpctrain.models.volume_blocks import laid_out_as


class InkEncoderDecoder(nn.Module):
    """The encoder of a VAE of volumes, and a decoder of pictures with skips.

    Features lose their depth by mean and maximum over it, level by level.

    Args:
        size: (D, H, W) voxels of a window.
        channels: width of the encoder's first layer, doubled from layer to layer.
        layers: how often a window is halved.
        block: of the encoder: plain, batch_norm or residual.
    """

    def __init__(
        self, size: Sequence[int], channels: int = 32, layers: int = 3, block: str = "batch_norm"
    ) -> None:
        super().__init__()
        check_size(size, layers)
        self.factor = 2**layers
        self.encoder = VolumeEncoder(block, channels, layers)
        wide = self.encoder.widths
        coarser = [2 * wide[-1], *reversed(wide[:-1])]
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 2, stride=2), nn.ReLU(inplace=True))
            for a, b in zip(coarser, [*reversed(wide[:-1]), channels], strict=True)
        )
        # the last level has the window's own layers beside it, as their mean and maximum
        seen = [b + 2 * b for b in reversed(wide[:-1])] + [channels + 2]
        self.merge = nn.ModuleList(
            _conv(a, b) for a, b in zip(seen, [*reversed(wide[:-1]), channels], strict=True)
        )
        self.head = nn.Conv2d(channels, 1, 1)

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Blocks whose activations may be computed twice."""
        return [*self.encoder.layers, *self.merge]

    def forward(self, x: Tensor) -> Tensor:
        """Windows (B, 1, D, H, W) to logits (B, H, W)."""
        features = self.encoder(x)
        skips = [_flat(x), *(_flat(f) for f in features)]
        y = skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            y = merge(torch.cat((up(y), skips.pop()), 1))
        logits: Tensor = self.head(y)
        return logits.squeeze(1)


class InkUNet(nn.Module):
    """A 3D stem whose depth becomes channels, and a 2D U-Net behind it (2.5D).

    The stem halves the depth twice, and keeps rows and columns.

    Args:
        size: (D, H, W) voxels of a window.
        stem: width of the stem.
        channels: width of the U-Net.
        levels: how often the U-Net halves rows and columns.
    """

    def __init__(
        self, size: Sequence[int], stem: int = 16, channels: int = 32, levels: int = 3
    ) -> None:
        super().__init__()
        check_size((2**levels, *size[1:]), levels)
        self.factor = 2**levels
        self.stem = nn.Sequential(_stem(1, stem), _stem(stem, stem))
        depth = -(-size[0] // 4)
        self.unet = UNet(
            stem * depth, 1, channels, levels, dims=2, padding=True, norm="batch", bypass=False
        )

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Blocks whose activations may be computed twice."""
        return [*self.stem, *self.unet.checkpointed_blocks()]

    def forward(self, x: Tensor) -> Tensor:
        """Windows (B, 1, D, H, W) to logits (B, H, W)."""
        logits: Tensor = self.unet(self.stem(laid_out_as(x, self.stem)).flatten(1, 2))
        return logits.squeeze(1)


def _stem(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels, width, 3, stride=(2, 1, 1), padding=1, bias=False),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )


def _conv(channels: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def _flat(x: Tensor) -> Tensor:
    """(B, C, D, H, W) to (B, 2 C, H, W): mean and maximum over the depth."""
    return torch.cat((x.mean(2), x.amax(2)), 1)
