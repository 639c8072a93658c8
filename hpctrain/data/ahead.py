"""Batches on their way to a CUDA device, copied beside the arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch

from hpctrain.data.batch import FieldBatch


class Staged(NamedTuple):
    """A batch whose copies are queued."""

    batch: FieldBatch
    event: Any


class CopyStream:
    """Copies batches from pinned memory on a stream of its own.

    On the stream of the arithmetic a copy would wait for the kernels before it, and they for it.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def stage(self, batch: FieldBatch) -> Staged:
        """Queue the copies; the caching host allocator keeps the pinned memory until then."""
        with torch.cuda.stream(self._stream):
            inputs = batch.input.to(self._device, non_blocking=True)
            targets = batch.target.to(self._device, non_blocking=True)
            style = None if batch.style is None else batch.style.to(self._device, non_blocking=True)
            event: Any = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record(self._stream)
        return Staged(replace(batch, input=inputs, target=targets, style=style), event)

    def take(self, staged: Staged) -> FieldBatch:
        """The batch, for the current stream, which waits for the copies; the host does not."""
        current: Any = torch.cuda.current_stream(self._device)
        current.wait_event(staged.event)
        batch = staged.batch
        moved = (batch.input, batch.target, *(() if batch.style is None else (batch.style,)))
        for tensor in moved:
            tensor.record_stream(current)  # else its memory is given away while kernels use it
        return staged.batch
