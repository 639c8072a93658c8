"""One rank's share of a batch of windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class ScrollBatch:
    """One rank's share of a batch, or a part of it."""

    ids: tuple[int, ...]
    """Numbers of the samples within the epoch."""
    epoch: int
    volume: torch.Tensor
    """(B, 1, z, y, x) float32, normalised and augmented."""
    label: torch.Tensor | None
    """(B, y, x) float32, 1 where ink is; None: the data have no labels."""
    mask: torch.Tensor
    """(B, y, x) bool, where a loss counts: papyrus, and nothing that a cut-out took away."""
    origins: torch.Tensor
    """(B, 3) int64: first cell of each window in its volume, (z, y, x), before it was turned."""
    sources: tuple[str, ...]
    """Volume of each sample, as `ScrollDataset.sources` has it."""
    step: int = 0
    """Batch within the epoch."""
    num_global: int = 0
    """Samples of the batch over all ranks."""
    is_filler: bool = False
    """One sample that must count nothing; see `Share`."""

    @property
    def num_samples(self) -> int:
        """Samples that count."""
        return 0 if self.is_filler else len(self.ids)

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """What a device needs."""
        return self.volume, self.mask, *(() if self.label is None else (self.label,))

    def to(self, device: torch.device, *, non_blocking: bool = False) -> ScrollBatch:
        """The batch on a device; origins stay on the host."""
        label = self.label
        return replace(
            self,
            volume=self.volume.to(device, non_blocking=non_blocking),
            mask=self.mask.to(device, non_blocking=non_blocking),
            label=None if label is None else label.to(device, non_blocking=non_blocking),
        )

    def micro(self, count: int) -> list[ScrollBatch]:
        """Cut into parts of nearly one size for gradient accumulation.

        There are always `count` parts: those that a small share does not reach are fillers.
        """
        n = self.num_samples
        return [self._part(i * n // count, (i + 1) * n // count) for i in range(count)]

    def _part(self, first: int, end: int) -> ScrollBatch:
        is_filler = first == end
        part = slice(0, 1) if is_filler else slice(first, end)
        return replace(
            self,
            ids=self.ids[part],
            volume=self.volume[part],
            label=None if self.label is None else self.label[part],
            mask=self.mask[part],
            origins=self.origins[part],
            sources=self.sources[part],
            is_filler=is_filler,
        )
