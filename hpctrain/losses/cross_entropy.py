"""Cross-entropy with soft targets, for as many classes as self-distillation has prototypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hpctrain.losses.wide import wide


def soft_cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor, temperature: float
) -> Tensor:
    """-sum over rows of w sum over classes of t ln softmax(logits / temperature).

    Rows of `targets` may add up to any number, such as that of the targets that were summed. There
    is no gradient for them. The derivative is made with the value, in the memory of the
    probabilities: one softmax is all.

    Args:
        logits: (B, K).
        targets: (B, K), none negative.
        weights: (B,).
        temperature: of the softmax.
    """
    return _entropy(logits, wide(targets), wide(weights), temperature)


class _Entropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, weights: Tensor, temperature: float
    ) -> Tensor:
        scaled = wide(logits) / temperature
        top, where = scaled.max(1, keepdim=True)
        shares = torch.softmax(scaled, 1)
        # at the largest one no digit is lost: its share is 1 / K at least
        log_sum = (top - shares.gather(1, where).log()).squeeze(1)
        mass = targets.sum(1)
        met = torch.bmm(targets.unsqueeze(1), scaled.unsqueeze(2)).flatten()
        if ctx.needs_input_grad[0]:
            slope = shares.mul_(mass[:, None]).sub_(targets)
            slope.mul_((weights / temperature)[:, None])
            ctx.save_for_backward(slope)
        ctx.dtype = logits.dtype
        return torch.dot(weights, mass * log_sum - met)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        (slope,) = ctx.saved_tensors
        return (slope * outer).to(ctx.dtype), None, None, None


_entropy: Callable[..., Any] = _Entropy.apply  # type: ignore[assignment]
