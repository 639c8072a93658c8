"""One rank's share of a batch of fields."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch


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
