"""One optimizer step: micro-batches, gradients averaged over ranks, clipping."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from hpctrain.comm import Communicator, GradientReducer
from hpctrain.comm.batch_norm import SyncBatchNorm
from hpctrain.comm.gather import gather_rows
from hpctrain.config.reduction import Reduction
from hpctrain.train.phases import Phase
from hpctrain.train.scaling import LossScalers

LossFunction = Callable[[Any], Mapping[str, Tensor]]


class NonFiniteStepError(Exception):
    """The gradient of one optimizer, averaged over ranks, is not finite; nothing was stepped."""

    def __init__(self, name: str, scalars: Mapping[str, Tensor]) -> None:
        super().__init__(name)
        self.name = name
        self.scalars = scalars
        """This rank's own."""


class Update:
    """Steps named optimizers for a task.

    `update("generator", loss, micro_batches)` runs `loss` on each micro-batch, which returns
    scalars of which "loss" is minimised, averages the gradient over micro-batches and ranks,
    clips it, and steps. Ranks communicate during the last micro-batch only. Parameters of the
    other optimizers get no gradient meanwhile, so alternating losses never mix.

    A micro-batch weighs as much as it has samples, so the result is the mean over the samples of
    all ranks, also where a short last batch gives ranks shares of unequal size.
    """

    def __init__(
        self,
        comm: Communicator,
        optimizers: Mapping[str, Optimizer],
        *,
        accumulate: int = 1,
        clip_grad_norm: float | None = None,
        autocast: Callable[[], Any] | None = None,
        scalers: LossScalers | None = None,
        mark: Callable[[Phase], None] = lambda _: None,
        reduction: Reduction | None = None,
        refuses_non_finite: bool = False,
    ) -> None:
        self.optimizers = optimizers
        self.comm = comm
        """The ranks that a step is shared with."""
        self._weights: Sequence[float] = (1.0,)
        self.accumulate = accumulate
        self._autocast, self._mark = autocast, mark
        self._clip = clip_grad_norm
        self.scalers = scalers
        self._refuses = refuses_non_finite
        self._parameters = {
            name: [p for group in optimizer.param_groups for p in group["params"]]
            for name, optimizer in optimizers.items()
        }
        self._reducers = {
            name: GradientReducer(comm, name, parameters, reduction, mark)
            for name, parameters in self._parameters.items()
        }
        self._loss_factors = {name: r.loss_factor for name, r in self._reducers.items()}

    def split(self, batch: Any) -> list[Any]:
        """Cut a batch into the micro-batches of one step; on all ranks the same number of them."""
        largest_share = -(-batch.num_global // self.comm.world_size)
        parts: list[Any] = batch.micro(min(self.accumulate, largest_share))
        # Ranks are averaged, so that a rank's part of the sum must be scaled by their number.
        self._weights = [p.num_samples * self.comm.world_size / batch.num_global for p in parts]
        SyncBatchNorm.is_counted = any(p.num_samples for p in parts)
        return parts

    def autocast(self) -> AbstractContextManager[Any]:
        """Context in which models compute in the run's precision; loss functions have it anyway."""
        return self._autocast() if self._autocast else nullcontext()

    def gather(self, name: str, rows: Tensor, batch: Any) -> Tensor:
        """The rows of the whole batch, for a loss that is no mean over samples.

        All ranks compute that loss of them, and with the others' weights its gradient is that of
        one rank with the whole batch: here the slope is divided by the weight that it will get.

        Args:
            name: of what is gathered in a step.
            rows: (B, D) of this rank's samples.
            batch: their whole share; those of a filler are left out.

        Returns:
            (N, D), N samples over all ranks.
        """
        if self.comm.world_size == 1:
            return rows
        own = rows[: batch.num_samples]
        first = self.comm.rank * batch.num_global // self.comm.world_size
        if batch.num_samples:
            factor = batch.num_global / batch.num_samples
            own = _Scaled.apply(own, factor)  # type: ignore[no-untyped-call]
        return gather_rows(own, self.comm, f"rows.{name}", first, batch.num_global)

    def __call__(
        self,
        name: str,
        loss_function: LossFunction,
        micro_batches: Sequence[Any],
        *,
        frozen: Sequence[nn.Parameter] = (),
    ) -> dict[str, Tensor]:
        """Step the optimizer `name` once.

        Args:
            name: of the optimizer.
            loss_function: scalars of a micro-batch, each a mean over its samples.
            micro_batches: one for each that `split` made, in its order.
            frozen: parameters of the optimizer that this step leaves as they are.

        Returns:
            The scalars, detached; their mean over ranks is the mean over all samples.

        Raises:
            NonFiniteStepError: on all ranks alike, where that is asked for.
        """
        reducer = self._reducers[name]
        reducer.zero()
        sums: dict[str, Tensor] = {}
        with self._only(name), _counting():
            *first, last = zip(micro_batches, self._weights, strict=True)
            for micro_batch, weight in first:
                self._backward(name, loss_function, micro_batch, weight, sums)
                reducer.separate()
            with reducer.armed():
                self._backward(name, loss_function, *last, sums)
        for p in frozen:
            p.grad = None  # behind the exchange; an optimizer does not even decay what has none
        self._step(name, sums)
        self._mark("optimizer")
        return sums

    def _step(self, name: str, scalars: Mapping[str, Tensor]) -> None:
        optimizer = self.optimizers[name]
        if self.scalers:
            self.scalers.unscale(name, optimizer)
        if self._clip is not None or self._refuses:
            limit = math.inf if self._clip is None else self._clip
            norm = nn.utils.clip_grad_norm_(self._parameters[name], limit)
            if self._refuses and not math.isfinite(norm.item()):
                raise NonFiniteStepError(name, scalars)
        if self.scalers:
            self.scalers.step(name, optimizer)
        else:
            optimizer.step()

    def _backward(
        self,
        name: str,
        loss_function: LossFunction,
        micro_batch: Any,
        weight: float,
        sums: dict[str, Tensor],
    ) -> None:
        SyncBatchNorm.is_counted = weight > 0
        with self.autocast():
            scalars = loss_function(micro_batch)
        factor = weight * self._loss_factors.get(name, 1.0)
        loss = scalars["loss"] if factor == 1 else scalars["loss"] * factor
        if self._refuses:
            # 1 for a finite loss; else the whole gradient is NaN, and after the reduction that of
            # all ranks, which so know of it without another exchange
            loss = loss * (1 + 0 * loss.detach())
        torch.autograd.backward(self.scalers.scale(name, loss) if self.scalers else loss)
        for key, value in scalars.items():
            part = value.detach() * weight
            sums[key] = sums[key] + part if key in sums else part

    @contextmanager
    def _only(self, name: str) -> Iterator[None]:
        others = [p for key, ps in self._parameters.items() if key != name for p in ps]
        for p in others:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in others:
                p.requires_grad_(True)


class _Scaled(torch.autograd.Function):
    """The rows as they are, with a slope that is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return rows.view_as(rows)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return slope * ctx.factor, None


@contextmanager
def _counting() -> Iterator[None]:
    """Around micro-batches, each of which may be a filler: forward passes outside see the batch."""
    is_counted = SyncBatchNorm.is_counted
    try:
        yield
    finally:
        SyncBatchNorm.is_counted = is_counted
