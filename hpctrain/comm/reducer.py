"""Average gradients over ranks while the backward pass still runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from hpctrain.comm.base import Communicator, Handle, Op
from hpctrain.config.reduction import Reduction

_TYPES = {"none": None, "float16": torch.float16, "bfloat16": torch.bfloat16}


class _Bucket:
    """Gradients of some parameters as views of one flat buffer."""

    def __init__(self, name: str, parameters: Sequence[nn.Parameter]) -> None:
        self.name = name
        self.parameters = parameters
        first = parameters[0]
        sizes = [p.numel() for p in parameters]
        self.flat = torch.zeros(sum(sizes), dtype=first.dtype, device=first.device)
        self.wire = self.flat  # what travels
        self.waiting = 0
        self.handle: Handle | None = None
        for p, chunk in zip(parameters, torch.split(self.flat, sizes), strict=True):
            # the parameter's own strides (channels last) where its values fill the chunk
            p.grad = chunk.as_strided(p.shape, p.stride()) if _dense(p) else chunk.view(p.shape)


class GradientReducer:
    """Joins the gradients of one optimizer's parameters over ranks, and owns them.

    A loss must be multiplied by `loss_factor` before its backward pass: sums over ranks are then
    means, without another pass over all gradients.

    Gradients live in flat buckets, filled from the last parameter to the first, which is about
    the order in which a backward pass makes them. Within `armed` a bucket is sent as soon as its
    last gradient is there, always in the same order on every rank. Outside `armed` (earlier
    micro-batches, other losses) gradients only add up. Inner gradients taken with
    `torch.autograd.grad`, as a gradient penalty does, never touch the buckets.
    """

    def __init__(
        self,
        comm: Communicator,
        name: str,
        parameters: Sequence[nn.Parameter],
        settings: Reduction | None = None,
        mark: Callable[[Literal["forward_backward", "communication"]], None] = lambda _: None,
    ) -> None:
        """Take over the gradients.

        Args:
            comm: the other ranks.
            name: the same on every rank; of no other reducer.
            parameters: whose gradients are joined.
            settings: how.
            mark: called at the end of the backward pass and when all messages are there.
        """
        self.comm, self._mark = comm, mark
        settings = settings or Reduction()
        self._op: Op = "adasum" if settings.op == "adasum" else "sum"
        self._wire = _TYPES[settings.compression]
        is_mean = settings.op == "mean" and comm.world_size > 1
        self.loss_factor = 1 / comm.world_size if is_mean else 1.0
        self._parameters = list(parameters)
        self._buckets: list[_Bucket] = []
        self._next = 0
        self._armed = False
        if comm.world_size > 1:
            # Adasum weighs two gradients of a layer by the angle between them: a bucket each
            is_whole = settings.op == "mean"
            self._fill_buckets(name, int(settings.bucket_mb * 2**20) if is_whole else 1)

    def zero(self) -> None:
        """Forget all gradients."""
        if self._buckets:
            for bucket in self._buckets:
                bucket.flat.zero_()
        else:
            for p in self._parameters:
                p.grad = None

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Around the last backward pass of a step: send gradients, leave with them joined."""
        for bucket in self._buckets:
            bucket.waiting = len(bucket.parameters)
        self._next = 0
        self._armed = bool(self._buckets)
        try:
            yield
        finally:
            self._armed = False
        self._finish()

    def _finish(self) -> None:
        for bucket in self._buckets[self._next :]:
            self._send(bucket)  # holds parameters that this loss does not reach
        self._mark("forward_backward")
        for bucket in self._buckets:
            if bucket.handle is not None:
                bucket.handle.wait()
                bucket.handle = None
                if bucket.wire is not bucket.flat:
                    bucket.flat.copy_(bucket.wire)
        if self._buckets:
            self._mark("communication")

    def _fill_buckets(self, name: str, bucket_bytes: int) -> None:
        group: list[nn.Parameter] = []
        size = 0
        groups = [group]
        for p in reversed(self._parameters):
            if group and (size >= bucket_bytes or p.dtype != group[0].dtype):
                group, size = [], 0
                groups.append(group)
            group.append(p)
            size += p.numel() * p.element_size()
        for i, members in enumerate(g for g in groups if g):
            bucket = _Bucket(f"{name}.gradient.{i}", members)
            self._buckets.append(bucket)
            for p in members:
                p.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
                    lambda _, b=bucket: self._ready(b)
                )

    def _ready(self, bucket: _Bucket) -> None:
        if not self._armed:
            return
        bucket.waiting -= 1
        while self._next < len(self._buckets) and self._buckets[self._next].waiting == 0:
            self._send(self._buckets[self._next])
            self._next += 1

    def _send(self, bucket: _Bucket) -> None:
        if self._wire is not None and self._wire.itemsize < bucket.flat.dtype.itemsize:
            bucket.wire = bucket.flat.to(self._wire)
        bucket.handle = self.comm.allreduce_async(bucket.wire, bucket.name, self._op)


def _dense(tensor: Tensor) -> bool:
    """True if the tensor's elements fill one block of memory in some order."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True
