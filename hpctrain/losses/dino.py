"""Self-distillation without labels, DINO (Caron et al. 2021, arXiv 2104.14294), part by part."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

from hpctrain.losses.cross_entropy import soft_cross_entropy
from hpctrain.losses.wide import wide

Join = Callable[[Tensor, Literal["sum", "max"]], Tensor]
"""Joins a tensor with those of the other ranks, in place, and returns it."""


def dino_loss(
    student: Sequence[Tensor],
    targets: Sequence[Tensor],
    same: Sequence[int | None],
    temperature: float = 0.1,
) -> Tensor:
    """Mean cross-entropy of all pairs of a target and a student's crop that are not one picture.

    Each crop needs one softmax, against the sum of its targets.

    Args:
        student: groups of crops, each (V, B, K) logits, such as the global and the local ones.
        targets: (B, K) probabilities of each picture that the teacher saw.
        same: for each crop, group by group, the number of the target that is of the same picture;
            None: there is none.
        temperature: the student's.

    Raises:
        ValueError: no pair is left.
    """
    num_pairs = sum(len(targets) - (own is not None) for own in same)
    if not num_pairs:
        raise ValueError("no crop differs from the target's; DINO wants two crops at least")
    wanted = {own: _without(targets, own) for own in dict.fromkeys(same)}
    rows = len(targets[0])
    weights = wide(targets[0]).new_full((rows,), 1 / (rows * num_pairs))
    total, crops = weights.new_zeros(()), iter(same)
    for logits in student:
        own_targets = [wanted[next(crops)] for _ in logits]
        total = total + soft_cross_entropy(logits, own_targets, weights, temperature)
    return total


def _without(targets: Sequence[Tensor], own: int | None) -> Tensor | None:
    """The sum of the other targets; a difference would leave digits of the one taken away."""
    others = [wide(t) for n, t in enumerate(targets) if n != own]
    if len(others) < 2:
        return others[0] if others else None
    return sum(others[2:], others[0] + others[1])


def centred(logits: Tensor, centre: Tensor, temperature: float) -> Tensor:
    """The teacher's probabilities, centred and sharpened: softmax((logits - centre) / temperature).

    Args:
        logits: (B, K) of the teacher.
        centre: (K,) running mean of its logits.
        temperature: the teacher's.
    """
    return torch.softmax((wide(logits) - centre) / temperature, -1)


@torch.no_grad()
def sinkhorn_knopp(
    logits: Tensor,
    temperature: float,
    join: Join = lambda tensor, op: tensor,
    iterations: int = 3,
) -> Tensor:
    """Probabilities that use all prototypes alike (Caron et al. 2020, section 3; Cuturi 2013).

    In logarithms: a row far below the batch's best logit vanishes in exponentials.

    Args:
        logits: (B, K) of the teacher; B may be 0 on some rank.
        temperature: the teacher's.
        join: with the rows of the other ranks.
        iterations: of normalising prototypes and then samples; the paper has 3.
    """
    logs = wide(logits) / temperature
    for _ in range(iterations):
        logs -= _joined_logsumexp(logs, join)
        logs -= logs.logsumexp(1, keepdim=True)
    return logs.exp_()


def _joined_logsumexp(logs: Tensor, join: Join) -> Tensor:
    """(K,) log of the sum of exp over the rows of all ranks."""
    top = logs.amax(0) if len(logs) else logs.new_full(logs.shape[1:], -math.inf)
    top = join(top, "max")
    return join((logs - top).exp_().sum(0), "sum").log_().add_(top)


def entropy(probabilities: Tensor) -> Tensor:
    """-sum p ln p of each row, in nats: ln K for a uniform row, 0 for a certain one."""
    terms: Tensor = torch.special.entr(wide(probabilities))
    return terms.sum(-1)


def teacher_temperature(step: int, first: float, last: float, warmup_steps: int) -> float:
    """Linear from the first to the last over the warm-up, by step."""
    if step >= warmup_steps:
        return last
    return first + (last - first) * step / warmup_steps


def teacher_momentum(step: int, first: float, total_steps: int) -> float:
    """Share of itself that the teacher keeps in a step: cosine from the first value to 1."""
    progress = min(1.0, step / max(1, total_steps))
    return 1 - (1 - first) * (math.cos(math.pi * progress) + 1) / 2
