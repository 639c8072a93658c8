"""Gradients of convolutions over few layers in bfloat16 are those of float32, on CPUs too."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from hpctrain.train.precision import Precision
from hpctrain.train.shallow import ShallowConv3d

HALF = Precision("bfloat16", "asked for", "channels_last")


def litter() -> None:
    """Leave memory behind that no number should come from."""
    kept = [torch.full((1 << size,), float("nan")) for size in range(10, 18) for _ in range(20)]
    del kept


def gradient(network: nn.Module, x: Tensor, precision: Precision) -> Tensor:
    network = copy.deepcopy(network)
    precision.apply_layout({"network": network})
    autocast = precision.autocast(torch.device("cpu"))
    litter()
    if autocast is None:
        out = network(x)
    else:
        with autocast():
            out = network(x)
    out.float().square().sum().backward()
    found = network[0].weight.grad
    assert isinstance(found, Tensor)
    return found


@pytest.mark.parametrize(("depth", "kernel"), [(2, 3), (4, 5), (2, 5), (3, 3), (1, 3)])
def test_gradient__of_few_layers_is_that_of_float32(depth: int, kernel: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(8, 8, kernel, padding=kernel // 2, bias=False))
    x = torch.randn(4, 8, depth, 4, 4)
    expected = gradient(network, x, Precision("float32", "asked for"))
    found = gradient(network, x, HALF)
    assert float((found - expected).abs().max() / expected.abs().max()) < 0.03


def test_guard__computes_in_half_where_layers_are_enough() -> None:
    network = nn.Sequential(nn.Conv3d(2, 2, 3, padding=1))
    names = list(network.state_dict())
    HALF.apply_layout({"network": network})
    assert isinstance(network[0], ShallowConv3d)
    assert list(network.state_dict()) == names
    with torch.autocast("cpu", torch.bfloat16):
        kinds = [network(torch.zeros(1, 2, depth, 4, 4)).dtype for depth in (1, 2, 3)]
    assert kinds == [torch.bfloat16, torch.float32, torch.bfloat16]
