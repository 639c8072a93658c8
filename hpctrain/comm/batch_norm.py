"""BatchNorm over the samples of all ranks, on any communicator.

The statistics are joined by one sum over ranks whose derivative is again a sum over ranks. All else
is left to autograd, so that shares of unequal size and second derivatives come out right.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hpctrain.comm.base import Communicator

_REPLACED = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


class SyncBatchNorm(_BatchNorm):
    """Takes the place of a BatchNorm layer; parameters, buffers and their names stay.

    Ranks must call all layers alike while they train. In evaluation, and where ranks go different
    ways, nothing is exchanged. The communicator is no part of the module's state.
    """

    is_counted = True
    """False on a rank whose samples only fill up a short batch; the same for all layers."""
    _numbers = itertools.count()

    def __init__(self, layer: _BatchNorm, comm: Communicator) -> None:
        nn.Module.__init__(self)
        self.__dict__.update({k: v for k, v in layer.__dict__.items() if k != "_modules"})
        self.comm = comm
        self._name = f"batch_norm.{next(SyncBatchNorm._numbers)}"

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's name
        """All numbers of dimensions from 2 on."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise.

        Args:
            x: (B, C, ...); B may differ between ranks.
        """
        if not self.training:
            return super().forward(x)
        axes = [0, *range(2, x.ndim)]
        wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
        var, mean = torch.var_mean(wide, axes, correction=0)
        count = torch.full_like(mean[:1], x.numel() / x.shape[1], dtype=torch.float64)
        if not SyncBatchNorm.is_counted:
            count = torch.zeros_like(count)
        mean, var, total = self._join(mean.double(), var.double(), count)
        self._remember(mean.detach(), var.detach(), total)
        scale = torch.rsqrt(var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shape = [1, -1, *(1 for _ in axes[1:])]
        mean, scale = mean.to(wide.dtype).view(shape), scale.to(wide.dtype).view(shape)
        centred = wide - mean  # before it is scaled: a large mean would cost digits
        if self.bias is None:
            return (centred * scale).to(x.dtype)
        return torch.addcmul(self.bias.to(wide.dtype).view(shape), centred, scale).to(x.dtype)

    def _join(self, mean: Tensor, var: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance over all ranks, and how many values they are of."""
        own = torch.cat([count * mean, count * (var + mean * mean), count])
        sums = _Sum.apply(own, self.comm, self._name)  # type: ignore[no-untyped-call]
        total = sums[-1:].detach()
        mean, square = (sums[:-1] / total).chunk(2)
        return mean, (square - mean * mean).clamp(min=0), total

    @torch.no_grad()
    def _remember(self, mean: Tensor, var: Tensor, total: Tensor) -> None:
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:
            share = 1 / float(self.num_batches_tracked)
        unbiased = var * (total / (total - 1).clamp(min=1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


class _Sum(torch.autograd.Function):
    """Sum over ranks; a rank's value enters the losses of all, so gradients are summed as well."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, comm: Communicator, name: str) -> Tensor:
        ctx.comm, ctx.name = comm, name
        return comm.allreduce(own.clone(), name, "sum")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        name = f"{ctx.name}.backward"
        return _Sum.apply(gradient, ctx.comm, name), None, None  # type: ignore[no-untyped-call]


def synchronise(model: nn.Module, comm: Communicator) -> nn.Module:
    """Replace the BatchNorm layers of a model; returns it, or the layer in its place."""
    if comm.world_size == 1:
        return model
    if isinstance(model, _REPLACED):
        return SyncBatchNorm(model, comm)
    for name, child in model.named_children():
        replaced = synchronise(child, comm)
        if replaced is not child:
            setattr(model, name, replaced)
    return model
