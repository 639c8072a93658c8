"""One rank's share of a batch of fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from hpctrain.data.sampler import Share

AfterSample = Callable[[int, int], None]
"""Called with number and epoch of each sample that was read."""


@dataclass(frozen=True)
class FieldBatch:
    """One rank's share of a batch, or a part of it."""

    ids: tuple[int, ...]
    epoch: int
    input: torch.Tensor
    """(B, C, n0, n1, n2) with halo."""
    target: torch.Tensor
    """(B, C, n0, n1, n2)."""
    step: int = 0
    """Batch within the epoch."""
    num_global: int = 0
    """Samples of the batch over all ranks."""
    is_filler: bool = False
    """One sample that must count nothing; see `Share`."""
    style: torch.Tensor | None = None
    """(B, S), what the generator is told of each sample beside its fields; None: nothing."""

    @property
    def num_samples(self) -> int:
        """Samples that count."""
        return 0 if self.is_filler else len(self.ids)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """What a device needs."""
        return self.input, self.target, *(() if self.style is None else (self.style,))

    def to(self, device: torch.device, *, non_blocking: bool = False) -> FieldBatch:
        """The batch on a device."""
        style = self.style
        return replace(
            self,
            input=self.input.to(device, non_blocking=non_blocking),
            target=self.target.to(device, non_blocking=non_blocking),
            style=None if style is None else style.to(device, non_blocking=non_blocking),
        )

    def micro(self, count: int) -> list[FieldBatch]:
        """Cut into parts of nearly one size for gradient accumulation.

        There are always `count` parts: those that a small share does not reach are fillers.
        """
        n = self.num_samples
        return [self._part(i * n // count, (i + 1) * n // count) for i in range(count)]

    def _part(self, first: int, end: int) -> FieldBatch:
        is_filler = first == end
        part = slice(0, 1) if is_filler else slice(first, end)
        return replace(
            self,
            ids=self.ids[part],
            input=self.input[part],
            target=self.target[part],
            style=None if self.style is None else self.style[part],
            is_filler=is_filler,
        )


def read_batch(
    samples: Any, share: Share, after_sample: AfterSample | None, *, pin: bool
) -> FieldBatch:
    """Read the samples of a share.

    Args:
        samples: with `input_shape`, `target_shape` and `read_into`, and perhaps `styles`.
        share: which.
        after_sample: called after each.
        pin: into pinned memory.
    """
    count = len(share.ids)
    inputs = torch.empty((count, *samples.input_shape), dtype=torch.float32, pin_memory=pin)
    targets = torch.empty((count, *samples.target_shape), dtype=torch.float32, pin_memory=pin)
    for i, x, y in zip(share.ids, inputs.numpy(), targets.numpy(), strict=True):
        samples.read_into(i, share.epoch, x, y)
        if after_sample is not None:
            after_sample(i, share.epoch)
    return FieldBatch(
        share.ids,
        share.epoch,
        inputs,
        targets,
        share.step,
        share.num_global,
        share.is_filler,
        _styles(samples, share, pin),
    )


def _styles(samples: Any, share: Share, pin: bool) -> torch.Tensor | None:
    styles = getattr(samples, "styles", None)
    if styles is None:
        return None
    rows = torch.stack([torch.from_numpy(styles[samples.file_of(i)]) for i in share.ids])
    return rows.pin_memory() if pin else rows
