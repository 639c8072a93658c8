"""Batches on their way to a CUDA device, copied beside the arithmetic."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from hpctrain.data.batch import FieldBatch
from hpctrain.data.pairs.batch import PairBatch
from hpctrain.data.scroll.batch import ScrollBatch

Batch = FieldBatch | ScrollBatch | PairBatch


class Staged(NamedTuple):
    """A batch whose copies are queued."""

    batch: Batch
    event: Any


class CopyStream:
    """Copies batches from pinned memory on a stream of its own.

    On the stream of the arithmetic a copy would wait for the kernels before it, and they for it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def stage(self, batch: Batch) -> Staged:
        """Queue the copies; the caching host allocator keeps the pinned memory until then."""
        with torch.cuda.stream(self._stream):
            moved = batch.to(self._device, non_blocking=True)
            event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record(self._stream)
        return Staged(moved, event)

    def take(self, staged: Staged) -> Batch:
        """The batch, for the current stream, which waits for the copies; the host does not."""
        current: Any = torch.cuda.current_stream(self._device)
        current.wait_event(staged.event)
        for tensor in staged.batch.tensors:
            tensor.record_stream(current)  # else its memory is given away while kernels use it
        return staged.batch
