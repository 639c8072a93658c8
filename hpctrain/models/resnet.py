"""Residual networks (He et al. 2016, arXiv 1512.03385) as backbones, with torchvision's names."""

from __future__ import annotations

from torch import Tensor, nn

LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}
"""Blocks of each stage by depth (table 1)."""
_BOTTLENECKS = (50,)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    growth = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, width, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut; the middle one has the stride."""

    growth = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(channels, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 4 * width, H / stride, W / stride)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)  # type: ignore[no-any-return]


class ResNet(nn.Module):
    """Pictures to vectors: the mean over the last map.

    Args:
        depth: 18, 34 or 50 layers.
        channels: of a picture.
        stem: '7x7' reduces the resolution to a quarter, '3x3' keeps it.
    """

    def __init__(self, depth: int = 50, channels: int = 3, stem: str = "7x7") -> None:
        super().__init__()
        is_small = stem == "3x3"
        kernel, stride = (3, 1) if is_small else (7, 2)
        self.conv1 = nn.Conv2d(channels, 64, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.Identity() if is_small else nn.MaxPool2d(3, 2, 1)
        block: type[BasicBlock | Bottleneck] = Bottleneck if depth in _BOTTLENECKS else BasicBlock
        inner = 64
        for i, count in enumerate(LAYERS[depth]):
            width = 64 * 2**i
            blocks = []
            for n in range(count):
                blocks.append(block(inner, width, 2 if i and not n else 1))
                inner = width * block.growth
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self.dim = inner
        self._draw_weights()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, K)."""
        return self.maps(x).mean((2, 3))

    def maps(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the last map, (B, K, H / 32, W / 32), or H / 8 with the small stem."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for i in range(4):
            x = getattr(self, f"layer{i + 1}")(x)
        return x

    def _draw_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def shortcut(channels: int, width: int, stride: int) -> nn.Sequential | None:
    """A convolution with a norm where sizes change, else None."""
    if stride == 1 and channels == width:
        return None
    return nn.Sequential(nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width))
