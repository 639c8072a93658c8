"""Blocks that compute twice: the same gradients bit by bit, with noise and of second order."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from hpctrain.errors import ConfigError
from hpctrain.losses import r1
from hpctrain.models import SampleNoise, SrDiscriminator, SrGenerator
from hpctrain.train.recompute import checkpoint_activations


def gradients(generator: nn.Module, critic: nn.Module) -> list[Tensor | None]:
    """Of two passes with one stream of noise, and of a gradient penalty."""
    torch.manual_seed(1)
    x, noise = torch.randn(2, 2, 8, 8, 8), SampleNoise([1, 2])
    first, second = generator(x, noise), generator(x, noise)
    field = first.detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(field).sum(), field, create_graph=True)
    loss = (first * second).mean() + critic(first).mean() + slope.square().sum()
    loss = loss + r1(critic, first)
    weights = [*generator.parameters(), *critic.parameters()]
    return list(torch.autograd.grad(loss, weights, allow_unused=True))


def test_gradients__are_the_same_bit_by_bit() -> None:
    torch.manual_seed(0)
    models = {"g": SrGenerator(2, 2, 4, 8, 4, 8), "d": SrDiscriminator(2, 2, 8, 4, 8)}
    with torch.no_grad():
        for name, p in models["g"].named_parameters():
            if name.endswith("std"):
                p.fill_(0.5)
    expected = gradients(*models.values())
    assert sum(g is not None for g in expected) > 20
    checkpoint_activations(models)
    calls = []
    for block in models["g"].checkpointed_blocks():
        block.register_forward_pre_hook(lambda *_: calls.append(1))
    copies = copy.deepcopy(models)  # as the probe makes
    for found in (gradients(*models.values()), gradients(*copies.values())):
        for a, b in zip(expected, found, strict=True):
            assert (a is None and b is None) or torch.equal(a, b)


def test_activations__are_forgotten_and_computed_again() -> None:
    class Counting(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return nn.functional.dropout(x.exp(), 0.5)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Counting()

        def checkpointed_blocks(self) -> list[nn.Module]:
            return [self.block]

        def forward(self, x: Tensor) -> Tensor:
            return self.block(x)

    net, x = Net(), torch.ones(100, requires_grad=True)
    checkpoint_activations({"net": net})
    y = net(x)
    assert net.block.calls == 1
    y.sum().backward()
    assert net.block.calls == 2
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach()), "the second dropout took the draws of the first"
    with torch.no_grad():
        net(x)
    assert net.block.calls == 3


def test_models_without_blocks__are_told() -> None:
    with pytest.raises(ConfigError, match="none of the networks .net. names blocks"):
        checkpoint_activations({"net": nn.Linear(1, 1)})
