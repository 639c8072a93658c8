"""Residual networks: published sizes, the shortcut's formula, small pictures."""

from __future__ import annotations

import pytest
import torch

from hpctrain.models.resnet import BasicBlock, ResNet


@pytest.mark.parametrize(("depth", "million"), [(18, 11.18), (34, 21.28), (50, 23.51)])
def test_parameters__are_the_published_ones(depth: int, million: float) -> None:
    with torch.device("meta"):
        network = ResNet(depth)
    count = sum(p.numel() for p in network.parameters())
    assert round(count / 1e6, 2) == million  # table 1's networks without their classifier
    assert network.dim == (2048 if depth == 50 else 512)


def test_names__are_those_of_torchvision() -> None:
    with torch.device("meta"):
        names = set(ResNet(50).state_dict())
    assert {"conv1.weight", "bn1.running_mean", "layer1.0.downsample.0.weight"} < names
    assert {"layer4.2.conv3.weight", "layer3.5.bn3.bias"} < names


@pytest.mark.parametrize(("stem", "cells"), [("7x7", 2), ("3x3", 8)])
def test_maps__resolution_by_stem(stem: str, cells: int) -> None:
    network = ResNet(18, 1, stem).eval()
    x = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        maps, vectors = network.maps(x), network(x)
    assert maps.shape == (2, 512, cells, cells)
    torch.testing.assert_close(vectors, maps.mean((2, 3)))


def test_block__adds_its_input() -> None:
    block = BasicBlock(4, 4, 1).eval()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.randn(1, 4, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(block(x), x.clamp(min=0))
