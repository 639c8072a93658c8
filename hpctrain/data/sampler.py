"""Which samples make up which batch: a function of seed and epoch alone, not of the ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hpctrain.errors import ConfigError

ORDER = 1
"""Key of the random stream that orders samples; augmentation has its own."""


@dataclass(frozen=True)
class Share:
    """One rank's part of one batch."""

    epoch: int
    step: int
    """Batch within the epoch."""
    ids: tuple[int, ...]
    num_global: int
    """Samples of the batch over all ranks."""
    is_filler: bool = False
    """The rank has no part in a short batch; `ids` is one sample that must count nothing, so that
    the rank computes, and communicates, as the others do."""


def share(ids: Sequence[int], rank: int, world_size: int) -> tuple[int, ...]:
    """The contiguous part of a batch that one rank works on; may be empty for a short batch."""
    n = len(ids)
    return tuple(ids[rank * n // world_size : (rank + 1) * n // world_size])


class Sampler(Protocol):
    """What a stream of batches needs."""

    @property
    def batches_per_epoch(self) -> int:
        """Batches an epoch."""

    def batch(self, epoch: int, step: int) -> tuple[int, ...]:
        """Samples of one global batch."""


class GlobalSampler:
    """Random order, new in each epoch; a last batch that is not full is dropped or kept short."""

    def __init__(
        self, num_samples: int, global_batch_size: int, seed: int, *, is_last_kept: bool = False
    ) -> None:
        """Set up the order.

        Args:
            num_samples: samples of the training set.
            global_batch_size: samples a batch over all ranks.
            seed: with the epoch it decides the order.
            is_last_kept: keep a last batch that is not full.

        Raises:
            ConfigError: fewer samples than one batch.
        """
        if num_samples < global_batch_size:
            raise ConfigError(
                f"train.global_batch_size: {global_batch_size}, but the training set has only "
                f"{num_samples} samples; give a smaller batch, a smaller data.stride, or more files"
            )
        self.num_samples = num_samples
        self.global_batch_size = global_batch_size
        self.seed = seed
        self.is_last_kept = is_last_kept
        self._cached: tuple[int, tuple[int, ...]] = (-1, ())

    @property
    def batches_per_epoch(self) -> int:
        """Batches an epoch; all are full, but for a last one that is kept."""
        full, rest = divmod(self.num_samples, self.global_batch_size)
        return full + bool(rest and self.is_last_kept)

    def order(self, epoch: int) -> Sequence[int]:
        """Permutation of all samples in that epoch."""
        cached_epoch, order = self._cached
        if cached_epoch != epoch:
            entropy = np.random.SeedSequence([self.seed, epoch], spawn_key=(ORDER,))
            # Sorting raw draws: numpy keeps the raw stream for ever, but not that of permutation().
            draws = np.random.Philox(entropy).random_raw(self.num_samples)
            order = tuple(np.argsort(draws, kind="stable").tolist())
            self._cached = (epoch, order)
        return order

    def batch(self, epoch: int, step: int) -> tuple[int, ...]:
        """Samples of one global batch."""
        first = step * self.global_batch_size
        return tuple(self.order(epoch)[first : first + self.global_batch_size])


class DrawnSampler(GlobalSampler):
    """Samples in the order of their numbers, each of which is drawn at random by itself."""

    def order(self, epoch: int) -> Sequence[int]:
        """All numbers of an epoch."""
        return range(self.num_samples)

    def batch(self, epoch: int, step: int) -> tuple[int, ...]:
        """Samples of one global batch."""
        first = step * self.global_batch_size
        return tuple(range(self.num_samples)[first : first + self.global_batch_size])


class SequentialSampler:
    """Samples in order; the last batch may be short. For validation."""

    def __init__(self, num_samples: int, global_batch_size: int) -> None:
        self.num_samples = num_samples
        self.global_batch_size = global_batch_size

    @property
    def batches_per_epoch(self) -> int:
        """Batches, the last one perhaps short."""
        return -(-self.num_samples // self.global_batch_size)

    def batch(self, epoch: int, step: int) -> tuple[int, ...]:
        """Samples of one global batch; the same in every epoch."""
        first = step * self.global_batch_size
        return tuple(range(first, min(first + self.global_batch_size, self.num_samples)))


def stream(
    sampler: Sampler, rank: int, world_size: int, epoch: int = 0, step: int = 0, epochs: int = 1
) -> Iterator[Share]:
    """One rank's shares from a position up to the last epoch, without a gap between epochs.

    Args:
        sampler: order of the samples.
        rank: this rank.
        world_size: number of ranks.
        epoch: first epoch.
        step: first batch in it.
        epochs: one past the last epoch.
    """
    for e in range(epoch, epochs):
        for s in range(step if e == epoch else 0, sampler.batches_per_epoch):
            batch = sampler.batch(e, s)
            own = share(batch, rank, world_size)
            yield Share(e, s, own or batch[:1], len(batch), is_filler=not own)
