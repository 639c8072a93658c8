"""Cross-entropy with soft targets, for as many classes as self-distillation has prototypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hpctrain.losses.wide import wide

_BLOCK = 1 << 18
"""Numbers that a CPU works on at a time: they stay in its second cache from pass to pass."""


def soft_cross_entropy(
    logits: Tensor, targets: Sequence[Tensor | None], weights: Tensor, temperature: float
) -> Tensor:
    """-sum over rows of w sum over classes of t ln softmax(logits / temperature).

    Rows of targets may add up to any number, such as that of the targets that were summed. There
    is no gradient for them. The derivative is made with the value: one softmax is all, and its
    memory becomes that of the derivative, so that the backward pass may be taken once.

    Args:
        logits: (V, B, K) of V crops.
        targets: (B, K) of each crop, none negative; None: the crop counts nothing.
        weights: (B,) of the rows of each crop.
        temperature: of the softmax.
    """
    found = [None if t is None else wide(t) for t in targets]
    value: Tensor = _entropy(logits, weights, temperature, *found)
    return value


class _Entropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, weights: Tensor, temperature: float, *targets: Tensor | None
    ) -> Tensor:
        # float16 would lose small slopes before they are multiplied with the loss's scale
        kind = torch.float32 if logits.dtype == torch.float16 else logits.dtype
        ctx.slope = torch.empty_like(logits, dtype=kind) if ctx.needs_input_grad[0] else None
        ctx.dtype = logits.dtype
        kind = next((t.dtype for t in targets if t is not None), torch.float32)
        weights = weights.to(kind)
        total = torch.zeros((), dtype=kind, device=logits.device)
        with torch.autocast(logits.device.type, enabled=False):
            for crop, target in enumerate(targets):
                slope = None if ctx.slope is None else ctx.slope[crop]
                if target is not None:
                    total += _value(logits[crop], target, weights, temperature, slope)
                elif slope is not None:
                    slope.zero_()
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        slope, ctx.slope = ctx.slope, None
        if slope is None:
            raise RuntimeError("the derivative of a soft cross-entropy may be taken once")
        if outer.is_cuda or outer.item() != 1:
            slope.mul_(outer)
        return slope.to(ctx.dtype), *[None] * (len(ctx.needs_input_grad) - 1)


def _value(
    logits: Tensor, target: Tensor, weights: Tensor, temperature: float, slope: Tensor | None
) -> Tensor:
    """The weighted sum of one crop; fills `slope`, if it is wanted."""
    total = target.new_zeros(())
    rows = _rows(logits)
    scaled = torch.empty(rows, logits.shape[1], dtype=target.dtype, device=target.device)
    shares = torch.empty_like(scaled)
    for part in _blocks(logits, rows):
        own = target[part]
        p, q = scaled[: len(own)], shares[: len(own)]
        torch.mul(logits[part].to(target.dtype), 1 / temperature, out=p)
        torch.softmax(p, 1, out=q)
        # at the largest one no digit is lost: its share is 1 / K at least
        log_sum = p.amax(1) - q.amax(1).log_()
        mass = own.sum(1)
        met = torch.linalg.vecdot(own, p)
        total += torch.dot(weights[part], mass * log_sum - met)
        if slope is not None:
            factor = weights[part] / temperature
            q.mul_((factor * mass)[:, None])
            out = slope[part] if slope.dtype == q.dtype else q
            torch.addcmul(q, own, factor[:, None], value=-1, out=out)
            if out is q:
                slope[part] = q
    return total


def _rows(logits: Tensor) -> int:
    """Rows that are worked on at a time."""
    rows, classes = logits.shape
    return min(rows, max(1, _BLOCK // classes)) if logits.device.type == "cpu" else rows


def _blocks(logits: Tensor, rows: int) -> Iterator[slice]:
    return (slice(i, i + rows) for i in range(0, len(logits), rows or 1))


_entropy: Callable[..., Any] = _Entropy.apply
