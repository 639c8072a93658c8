"""How many threads read, and how far ahead: as asked for, or found by a short measurement.

Neither changes the order or the content of samples.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from hpctrain.data.dataset import FieldDataset
from hpctrain.data.loader import BatchLoader
from hpctrain.data.pairs.dataset import PairDataset
from hpctrain.data.sampler import Share
from hpctrain.data.scroll.dataset import ScrollDataset

Samples = FieldDataset | ScrollDataset | PairDataset

_BUDGET_S = 0.8
"""All of the measurement together, but for one sample that takes longer."""
_MAX_TRIALS = 4
_MAX_WORKERS = 8
_MIN_GAIN = 1.2
"""Twice the threads must read so many times faster to be taken; each costs the rank a core."""
_SLOW_SAMPLE_S = 0.2
_ENOUGH_SAMPLES = 2048
_CHUNK_S = 0.02
"""About what is read at a time, so that the budget is kept and handing over costs little."""
_FEWEST_AHEAD, _MOST_AHEAD = 4, 16
_MOST_BYTES_AHEAD = 2**30


@dataclass(frozen=True)
class Reading:
    """How samples are read."""

    workers: int
    prefetch_batches: int
    reason: str


@dataclass(frozen=True)
class _Trial:
    workers: int
    samples_per_s: float
    unevenness: float
    """Time of the slowest sample over the mean."""


def choose_reading(
    dataset: Samples,
    ids: Iterator[int],
    cores: int,
    batch_size: int,
    workers: int | None,
    prefetch_batches: int | None,
) -> Reading:
    """Choose what is not given, in less than a second.

    Args:
        dataset: whose samples are read.
        ids: samples of which some are read; those that come first in the training are best, as
            they stay in the page cache.
        cores: that this rank may use.
        batch_size: samples of this rank in a batch.
        workers: as asked for; None: choose.
        prefetch_batches: as asked for; None: choose.
    """
    if workers is not None and prefetch_batches is not None:
        return Reading(workers, prefetch_batches, "asked for")
    counts = [workers] if workers is not None else _candidates(cores)
    try:
        trials = _measure(dataset, ids, counts, batch_size)
    except Exception as e:  # the training meets the same error at the sample's place
        chosen, ahead = counts[0], _FEWEST_AHEAD
        return Reading(chosen, prefetch_batches or ahead, f"no measurement: {type(e).__name__}")
    best = trials[0]
    for trial in trials[1:]:
        if trial.samples_per_s > _MIN_GAIN * best.samples_per_s:
            best = trial
    ahead = _ahead(dataset, best, batch_size)
    measured = ", ".join(f"{t.samples_per_s:.0f} samples/s with {t.workers}" for t in trials)
    given = "asked for" if workers is not None else f"{cores} core{'s' * (cores > 1)} a rank"
    return Reading(best.workers, prefetch_batches or ahead, f"{given}; measured {measured}")


def _candidates(cores: int) -> list[int]:
    counts = [1]
    while 2 * counts[-1] <= min(cores, _MAX_WORKERS):
        counts.append(2 * counts[-1])
    return counts


def _measure(
    dataset: Samples, ids: Iterator[int], counts: Sequence[int], batch_size: int
) -> list[_Trial]:
    """Read with each number of threads until more do not help."""
    first = _read_for(dataset, ids, 0, 1, 0.0)
    if first is None:
        raise ValueError("no samples")
    if 1 / first.samples_per_s > _SLOW_SAMPLE_S:
        return [replace(first, workers=counts[0])]
    size = max(1, min(batch_size, int(_CHUNK_S * first.samples_per_s)))
    trials: list[_Trial] = []
    for workers in counts:
        trial = _read_for(dataset, ids, workers, size, _BUDGET_S / _MAX_TRIALS)
        if trial is None:
            break  # no samples are left
        trials.append(trial)
        if len(trials) > 1 and trial.samples_per_s < _MIN_GAIN * trials[-2].samples_per_s:
            break
    return trials or [replace(first, workers=counts[0])]


def _read_for(
    dataset: Samples, ids: Iterator[int], workers: int, size: int, budget_s: float
) -> _Trial | None:
    """Read chunks for some time; other samples each time, as a second reading is faster."""
    shares = (
        Share(0, 0, chunk, size)
        for _ in range(_ENOUGH_SAMPLES // size)
        if (chunk := tuple(islice(ids, size)))
    )
    begin = last = time.perf_counter()
    times: list[float] = []
    count = 0
    with BatchLoader(dataset, shares, workers, prefetch_batches=2 * workers) as loader:
        for batch in loader:
            now = time.perf_counter()
            times.append(now - last)
            last, count = now, count + len(batch.ids)
            if now - begin > budget_s:
                break
    if not times:
        return None
    return _Trial(workers, count / (last - begin), max(times) * len(times) / (last - begin))


def _ahead(dataset: Samples, trial: _Trial, batch_size: int) -> int:
    """Batches that bridge a sample as slow as the slowest one, within bounds of memory."""
    wanted = min(max(_FEWEST_AHEAD, trial.workers + math.ceil(trial.unevenness)), _MOST_AHEAD)
    fitting = _MOST_BYTES_AHEAD // (_sample_bytes(dataset) * max(1, batch_size))
    return max(1, trial.workers, min(wanted, fitting))


def _sample_bytes(dataset: Samples) -> int:
    if isinstance(dataset, PairDataset):
        return dataset.sample_bytes
    return 4 * (math.prod(dataset.input_shape) + math.prod(dataset.target_shape))
