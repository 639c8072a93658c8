"""Where the samples of a field begin."""

from __future__ import annotations

import itertools

from hpctrain.config.data import Fields
from hpctrain.data.augment import starts_along
from hpctrain.data.geometry import modes_of
from hpctrain.errors import DataError
from hpctrain.index.fields.grid import Triple


def make_anchors(fields: Fields, coarse_shape: Triple, halo: Triple) -> tuple[Triple, ...]:
    """First coarse cells of the samples; a last one is flush with the edge if need be.

    Args:
        fields: the `data:` block.
        coarse_shape: cells of the low-resolution field.
        halo: coarse cells beyond the crop on each side.

    Raises:
        DataError: no crop starts where the block allows.
    """
    axes = []
    for axis, step in enumerate(fields.stride or fields.crop):
        allowed = starts_along(axis, fields, coarse_shape, halo)
        first = allowed.start if fields.crop_start is None else fields.crop_start[axis]
        stop = allowed.stop if fields.crop_stop is None else fields.crop_stop[axis]
        starts = list(range(max(first, allowed.start), min(stop, allowed.stop), step))
        if not starts:
            raise DataError(
                f"data.crop_start, crop_stop: no crop starts in [{first}, {stop}) along axis "
                f"{axis}; allowed: cells {allowed.start} to {allowed.stop - 1}"
            )
        is_periodic = modes_of(fields)[axis] == "periodic"
        is_flush = starts[-1] == allowed.stop - 1
        if not (is_periodic or is_flush or fields.crop_stop) and step <= fields.crop[axis]:
            starts.append(allowed.stop - 1)
        axes.append(starts)
    return tuple((a, b, c) for a, b, c in itertools.product(*axes))
