"""Slopes of soft cross-entropies in half precision."""

from __future__ import annotations

import torch

from hpctrain.losses.cross_entropy import soft_cross_entropy

SCALE = 2.0**16


def test_float16__slopes_do_not_underflow_before_the_loss_is_scaled() -> None:
    draw = torch.Generator().manual_seed(0)
    exact = torch.randn(2, 4, 512, generator=draw).half().double().requires_grad_()
    targets = [torch.rand(4, 512, generator=draw).double().softmax(1) for _ in range(2)]
    weights = torch.full((4,), 2.0**-14)
    (soft_cross_entropy(exact, targets, weights.double(), 0.5) * SCALE).backward()
    half = exact.detach().half().requires_grad_()
    (soft_cross_entropy(half, [t.float() for t in targets], weights, 0.5) * SCALE).backward()
    assert exact.grad is not None
    assert half.grad is not None
    assert half.grad.dtype == torch.float16
    assert exact.grad.abs().median() / SCALE < 2.0**-20  # float16 has hardly a digit there
    torch.testing.assert_close(half.grad.double(), exact.grad, rtol=2e-3, atol=1e-6)
