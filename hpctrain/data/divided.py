"""An order that keeps few files in use at a time, for data larger than memory.

The idea is map2map's (`--div-data`, `--div-shuffle-dist`), but parts belong to the job and not to
its ranks, so that a run goes on with the same order on another number of them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.order import Order
from hpctrain.data.sampler import ORDER, GlobalSampler

_FILES, _SAMPLES = 1, 2
"""Keys of the random streams that order files, and that displace samples."""


class DividedSampler(GlobalSampler):
    """Each batch takes as many samples from every part, part after part.

    So with as many ranks as parts, each rank reads its own part only; with fewer ranks each reads
    several, with more ranks several share one.
    """

    def __init__(
        self,
        num_samples: int,
        global_batch_size: int,
        seed: int,
        order: Order,
        samples_per_file: int,
        *,
        is_last_kept: bool = False,
    ) -> None:
        """Set up the order.

        Args:
            num_samples: samples of the training set, file after file.
            global_batch_size: samples a batch over all ranks; a multiple of the parts.
            seed: with the epoch it decides the order.
            order: `data.order`, with a number of parts.
            samples_per_file: samples that lie in the same file.
            is_last_kept: keep a last batch that is not full.

        Raises:
            ConfigError: fewer samples than one batch.
        """
        super().__init__(num_samples, global_batch_size, seed, is_last_kept=is_last_kept)
        parts = order.parts or 1
        if global_batch_size % parts:
            raise ValueError(f"{global_batch_size} samples cannot be taken evenly of {parts} parts")
        self._order, self.samples_per_file = order, samples_per_file
        self.num_parts, self.samples_of_part = parts, global_batch_size // parts
        self._bounds = [num_samples * p // parts for p in range(parts + 1)]
        self._parts: tuple[int, tuple[NDArray[np.intp], ...]] = (-1, ())

    @property
    def shuffle_distance(self) -> float:
        """In files."""
        return self._order.shuffle_distance

    def parts(self, epoch: int) -> tuple[NDArray[np.intp], ...]:
        """The samples of each part in their order in that epoch; all sizes within one."""
        cached_epoch, parts = self._parts
        if cached_epoch != epoch:
            parts = self._make_parts(epoch)
            self._parts = (epoch, parts)
        return parts

    def order(self, epoch: int) -> tuple[int, ...]:
        """All samples, as batches take them; those of a dropped last batch come last."""
        batches = -(-self.num_samples // self.global_batch_size)
        return tuple(i for step in range(batches) for i in self.batch(epoch, step))

    def batch(self, epoch: int, step: int) -> tuple[int, ...]:
        """Samples of one global batch, part after part."""
        full = self.num_samples // self.global_batch_size
        first = step * self.samples_of_part
        last = first + self.samples_of_part if step < full else None  # what is left of all parts
        return tuple(i for part in self.parts(epoch) for i in part[first:last].tolist())

    def _make_parts(self, epoch: int) -> tuple[NDArray[np.intp], ...]:
        per_file = self.samples_per_file
        file_keys = self._draws(epoch, _FILES, -(-self.num_samples // per_file))
        displaced = (self._draws(epoch, _SAMPLES, self.num_samples) >> np.uint64(11)) * 2.0**-53
        samples = np.arange(self.num_samples)
        if self._order.deal == "each_epoch":
            samples = _by_file(samples, file_keys, per_file)
        parts = []
        for first, last in zip(self._bounds, self._bounds[1:], strict=False):
            part = samples[first:last]
            if self._order.deal == "fixed":
                part = _by_file(part, file_keys, per_file)
            # whoever overtakes is at most so many places behind
            distance = self._order.shuffle_distance * per_file
            places = np.arange(len(part)) + displaced[part] * distance
            parts.append(part[np.argsort(places, kind="stable")])
        return tuple(parts)

    def _draws(self, epoch: int, stream: int, count: int) -> NDArray[np.uint64]:
        entropy = np.random.SeedSequence([self.seed, epoch], spawn_key=(ORDER, stream))
        return np.random.Philox(entropy).random_raw(count)


def _by_file(
    samples: NDArray[np.intp], file_keys: NDArray[np.uint64], per_file: int
) -> NDArray[np.intp]:
    """Samples with their files in the order of the keys, and their own order within a file."""
    files = samples // per_file
    return samples[np.lexsort((samples, files, file_keys[files]))]
