"""The rows of all ranks, for losses of the whole batch such as VICReg's.

Every rank computes the same loss of the same rows, so that the slope of its own rows is complete,
and nothing is exchanged in the backward pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hpctrain.comm.base import Communicator


def gather_rows(own: Tensor, comm: Communicator, name: str, first: int, total: int) -> Tensor:
    """The rows of all ranks in the order of ranks, differentiable in this rank's own.

    Args:
        own: (n, D); n may differ between ranks, and be 0.
        comm: the other ranks, all of which call.
        name: the same on every rank, and of no other collective under way.
        first: where this rank's rows begin among all.
        total: rows of all ranks.

    Returns:
        (total, D).
    """
    if comm.world_size == 1:
        return own
    rows: Tensor = _Gather.apply(own, comm, name, first, total)  # type: ignore[no-untyped-call]
    return rows


class _Gather(torch.autograd.Function):
    """A sum over ranks that fill in their own rows: adding zeros changes no bit."""

    @staticmethod
    def forward(
        ctx: Any, own: Tensor, comm: Communicator, name: str, first: int, total: int
    ) -> Tensor:
        ctx.part = slice(first, first + len(own))
        rows = own.new_zeros(total, *own.shape[1:])
        rows[ctx.part] = own
        return comm.allreduce(rows, name, "sum")

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None, None, None]:
        return slope[ctx.part], None, None, None, None
