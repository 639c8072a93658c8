"""Windows of scrolls for the tasks that learn from them, and what is measured of these once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpctrain.config.job import Job
from hpctrain.config.scroll_data import Scroll
from hpctrain.data.sampler import Share
from hpctrain.data.scroll import ScrollBatch
from hpctrain.data.scroll.dataset import ScrollDataset
from hpctrain.data.scroll.scales import ScrollScales
from hpctrain.errors import DataError
from hpctrain.train.task import Data, Place

Triple = tuple[int, int, int]
_MEASURED = 64
"""Windows that are looked at; they are spread over the data set."""


@dataclass(frozen=True)
class Samples:
    """Both splits, with the normalisation of their grey values."""

    data: Data
    scales: ScrollScales
    window: Triple

    def state(self) -> dict[str, Any]:
        """What a checkpoint must remember."""
        return {"scales": self.scales.to_dict()}


def open_samples(
    job: Job, place: Place, saved: Mapping[str, Any] | None, share: Callable[[Any], Any]
) -> Samples:
    """Open both splits of a job; scales are measured by rank 0, on the first start of the run.

    Args:
        job: with a `data:` block of scrolls.
        place: where the run reads.
        saved: what `Samples.state` returned when the run was checkpointed, or None.
        share: gives every rank the value of rank 0.
    """
    block = job.data
    assert isinstance(block, Scroll)
    index, seed = place.read_index(), job.train.seed
    train = ScrollDataset(block, index, "train", seed)
    validation = ScrollDataset(block, index, "validation", seed)
    if saved is not None:
        page = saved["scales"]
    else:
        is_main = place.rank == 0
        page = share(
            validation.measure_scales(train.measure_scales()).to_dict() if is_main else None
        )
    train.scales = validation.scales = scales = ScrollScales.from_dict(page)
    return Samples(Data(train, validation), scales, block.window)


def some_windows(dataset: ScrollDataset, count: int = _MEASURED) -> ScrollBatch:
    """A batch of windows that are spread over a data set."""
    count = min(count, len(dataset))
    ids = tuple(int(i) for i in np.linspace(0, len(dataset) - 1, count))
    return dataset.read_batch(Share(0, 0, ids, count))


def span_of(dataset: ScrollDataset) -> float:
    """Largest minus smallest normalised grey value of some windows.

    Raises:
        DataError: all have one value, which no error can be related to.
    """
    values = some_windows(dataset).volume
    span = float(values.max() - values.min())
    if not span > 0:
        raise DataError(
            f"data.validation: all voxels of {len(values)} held-out windows of "
            f"{', '.join(dataset.sources)} have one grey value, so that nothing can be judged on "
            "them; hold out another part, inside the scroll"
        )
    return span
