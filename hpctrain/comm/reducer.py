"""Average gradients over ranks while the backward pass still runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

from hpctrain.comm.base import Communicator, Handle, Op
from hpctrain.config.reduction import Reduction

_TYPES = {"none": None, "float16": torch.float16, "bfloat16": torch.bfloat16}
_num_holders = getattr(torch._C, "_storage_Use_Count", None)
"""How many tensors share a storage; torch has no public way to ask."""


class _Bucket:
    """Gradients of some parameters that travel together: copied into one flat buffer, or one alone.

    The backward pass makes each gradient anew, which costs less than to add it to zeros; a copy of
    what is large would cost as much as a good part of the exchange.
    """

    def __init__(self, name: str, parameters: Sequence[nn.Parameter], *, is_direct: bool) -> None:
        self.name = name
        self.parameters = parameters
        self.is_direct = is_direct
        self.waiting = 0
        self.handle: Handle | None = None
        self.wire: Tensor | None = None  # what travels
        self._joined: Tensor | None = None  # what the sum must come back to
        self._views: list[Tensor] = []
        if not is_direct:
            first, sizes = parameters[0], [p.numel() for p in parameters]
            self._flat = torch.zeros(sum(sizes), dtype=first.dtype, device=first.device)
            chunks = torch.split(self._flat, sizes)
            self._views = [_like(p, chunk) for p, chunk in zip(parameters, chunks, strict=True)]

    def pack(self, dtype: torch.dtype | None) -> Tensor:
        """Bring the gradients to where they travel from; zeros for one that no loss has reached."""
        if self.is_direct:
            (p,) = self.parameters
            p.grad = self._joined = _own(p)
        else:
            self._fill()
            self._joined = self._flat
        is_narrower = dtype is not None and dtype.itemsize < self._joined.dtype.itemsize
        self.wire = self._joined.to(dtype) if is_narrower else self._joined
        return self.wire

    def unpack(self) -> None:
        """Return when the gradients are joined."""
        if self.handle is None or self.wire is None or self._joined is None:
            return
        self.handle.wait()
        if self.wire is not self._joined:
            self._joined.copy_(self.wire)
        self.handle = self.wire = self._joined = None

    @torch.no_grad()
    def _fill(self) -> None:
        pairs = list(zip(self.parameters, self._views, strict=True))
        found = [(view, p.grad) for p, view in pairs if p.grad is not None]
        if len(found) < len(pairs):
            self._flat.zero_()
        if found:
            torch._foreach_copy_([view for view, _ in found], [_dense(grad) for _, grad in found])
        for p, view in pairs:
            p.grad = view


class GradientReducer:
    """Joins the gradients of one optimizer's parameters over ranks, and owns them.

    A loss must be multiplied by `loss_factor` before its backward pass: sums over ranks are then
    means, without another pass over all gradients.

    Buckets are filled from the last parameter to the first, which is about the order in which a
    backward pass makes gradients. Within `armed` a bucket is sent as soon as its last gradient is
    there, always in the same order on every rank; then its gradients are views of it. Outside
    `armed` (earlier micro-batches, other losses) gradients only add up. Inner gradients taken with
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
        for p in self._parameters:
            p.grad = None

    def separate(self) -> None:
        """Between backward passes: no two gradients share memory, or torch would add to both."""
        for p in self._parameters:
            if p.grad is not None and p.grad.layout == torch.strided and not _is_alone(p.grad):
                p.grad = p.grad.clone()

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
        if self._buckets:
            for bucket in self._buckets:
                bucket.unpack()
            self._mark("communication")
            return
        self.separate()
        for p in self._parameters:  # as on many ranks: a step decays what has zeros, but not None
            if p.grad is None:
                p.grad = torch.zeros_like(p)

    def _fill_buckets(self, name: str, bucket_bytes: int) -> None:
        for members in _groups(self._parameters, bucket_bytes):
            is_direct = len(members) == 1 and _is_direct(members[0], bucket_bytes)
            bucket = _Bucket(f"{name}.gradient.{len(self._buckets)}", members, is_direct=is_direct)
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
        wire = bucket.pack(self._wire)
        bucket.handle = self.comm.allreduce_async(wire, bucket.name, self._op)


def _groups(
    parameters: Sequence[nn.Parameter], bucket_bytes: int
) -> Iterator[Sequence[nn.Parameter]]:
    """Parameters that travel together, in the order in which their gradients are complete."""
    group: list[nn.Parameter] = []
    size = 0
    for p in reversed(parameters):
        if _is_direct(p, bucket_bytes):
            yield [p]
            continue
        if group and (size >= bucket_bytes or p.dtype != group[0].dtype):
            yield group
            group, size = [], 0
        group.append(p)
        size += _num_bytes(p)
    if group:
        yield group


def _is_direct(p: nn.Parameter, bucket_bytes: int) -> bool:
    """Whether its gradient is a bucket of its own, as it is."""
    return _num_bytes(p) >= bucket_bytes and p.is_contiguous()


def _num_bytes(p: nn.Parameter) -> int:
    return p.numel() * p.element_size()


@torch.no_grad()
def _own(p: nn.Parameter) -> Tensor:
    """The parameter's gradient in memory that nothing else reads; zeros if no loss has reached it.

    The backward pass may hand over a view of a gradient that it still needs, or that another
    parameter was given too.
    """
    if p.grad is None:
        return torch.zeros_like(p)
    grad = _dense(p.grad).contiguous()
    return grad if _is_alone(grad) else grad.clone()


def _is_alone(tensor: Tensor) -> bool:
    return _num_holders is not None and _count(tensor) <= _count_of_one()


def _count(tensor: Tensor) -> int:
    count: int = _num_holders(tensor.untyped_storage()._cdata)  # type: ignore[misc]
    return count


@cache
def _count_of_one() -> int:
    """What is counted for a tensor that shares its memory with none."""
    return _count(torch.empty(1))


def _dense(grad: Tensor) -> Tensor:
    """The gradient with all its zeros, which an embedding may leave out."""
    return grad if grad.layout == torch.strided else grad.to_dense()


def _like(p: nn.Parameter, chunk: Tensor) -> Tensor:
    """The chunk with the parameter's own strides (channels last) where its values fill it."""
    return chunk.as_strided(p.shape, p.stride()) if _fills(p) else chunk.view(p.shape)


def _fills(tensor: Tensor) -> bool:
    """True if the tensor's elements fill one block of memory in some order."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True
