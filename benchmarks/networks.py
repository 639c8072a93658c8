"""Three networks whose gradients differ in size and number: small, few and large, many."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn


def tinycnn() -> nn.Module:
    """0.1 million parameters: four convolutions on 64 x 64 pixels."""
    layers: list[nn.Module] = []
    channels = (3, 32, 32, 64, 128)
    for i, (before, after) in enumerate(zip(channels, channels[1:], strict=False)):
        layers += [nn.Conv2d(before, after, 3, stride=1 + i % 2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))


def mlp() -> nn.Module:
    """34 million parameters: three wide layers, hardly any arithmetic for each."""
    return nn.Sequential(
        nn.Flatten(),
        *(nn.Linear(3072, 4096), nn.ReLU()),
        *(nn.Linear(4096, 4096), nn.ReLU()),
        *(nn.Linear(4096, 1024), nn.ReLU()),
        nn.Linear(1024, 10),
    )


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2015)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet18() -> nn.Module:
    """11.7 million parameters in 62 tensors: the layout of ResNet-18, 1000 classes."""
    stages = []
    before = 64
    for after, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        stages += [Residual(before, after, stride), Residual(after, after, 1)]
        before = after
    stem = (nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *stages, *pool, nn.Linear(512, 1000))


NETWORKS = OrderedDict(
    tinycnn=(tinycnn, (16, 3, 64, 64), 10),
    mlp=(mlp, (32, 3, 32, 32), 10),
    resnet18=(resnet18, (4, 3, 224, 224), 1000),
)
"""Name to: what makes it, shape of one rank's batch, number of classes."""
