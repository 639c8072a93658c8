"""The windows that are validated on: a grid over the part that is held out."""

from __future__ import annotations

from collections.abc import Sequence

from hpctrain.data.scroll.draw import spread
from hpctrain.data.scroll.places import Place
from hpctrain.data.scroll.volume import ScrollVolume
from hpctrain.errors import DataError
from hpctrain.index.scroll.region import Box, Triple

_MOST_LISTED = 1 << 20
"""Windows of a grid that are compared with a mask one by one; of more some are taken before."""


def grid_places(
    volumes: Sequence[ScrollVolume],
    boxes: Sequence[Sequence[Box]],
    window: Triple,
    stride: Triple,
    most: int | None,
) -> list[Place]:
    """Windows at whole steps, the last one flush with the end, whose middle is papyrus.

    Args:
        volumes: open volumes.
        boxes: first cells of the windows of each.
        window: cells, (z, y, x).
        stride: from one window to the next.
        most: at most so many; None: all.

    Raises:
        DataError: there is none.
    """
    grids = [
        (number, [_starts(box, axis, stride[axis]) for axis in range(3)])
        for number, own in enumerate(boxes)
        for box in own
    ]
    counts = [len(z) * len(y) * len(x) for _, (z, y, x) in grids]
    found: list[Place] = []
    for number in spread(sum(counts), most if _is_bare(volumes) else _MOST_LISTED):
        place = _at(grids, counts, number)
        mask = volumes[place.volume].mask
        _, y, x = (o + w // 2 for o, w in zip(place.origin, window, strict=True))
        if mask is None or mask[y, x]:
            found.append(place)
    if not found:
        raise DataError(
            "data.mask: no window has its middle on papyrus in the part that is validated on; mend "
            "the mask, or hold out another part"
        )
    return [found[i] for i in spread(len(found), most)]


def _is_bare(volumes: Sequence[ScrollVolume]) -> bool:
    return all(volume.mask is None for volume in volumes)


def _starts(box: Box, axis: int, step: int) -> list[int]:
    starts = list(range(box.start[axis], box.stop[axis], step))
    if starts and starts[-1] != box.stop[axis] - 1:
        starts.append(box.stop[axis] - 1)
    return starts


def _at(grids: Sequence[tuple[int, list[list[int]]]], counts: Sequence[int], number: int) -> Place:
    for (volume, (z, y, x)), count in zip(grids, counts, strict=True):
        if number < count:
            number, k = divmod(number, len(x))
            i, j = divmod(number, len(y))
            return Place(volume, (z[i], y[j], x[k]))
        number -= count
    raise IndexError(number)
