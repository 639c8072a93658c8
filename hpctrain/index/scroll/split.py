"""Which cells of volumes are trained on, and which are validated on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpctrain.errors import DataError
from hpctrain.index.scroll.region import AXES, Box, Triple, around
from hpctrain.index.scroll.volumes import Volume

if TYPE_CHECKING:
    from hpctrain.config.scroll_data import Scroll, ScrollValidation

_RANGES = ("layers", "rows", "columns")


@dataclass(frozen=True)
class Part:
    """A box of cells of one volume that one split may use."""

    volume: Volume
    split: str
    number: int
    """Of the boxes of a volume and split; those of training may overlap each other."""
    box: Box


def split_volumes(
    scroll: Scroll, trained: Sequence[Volume], held: Sequence[Volume]
) -> Iterator[Part]:
    """The parts of all volumes.

    Args:
        scroll: the `data:` block.
        trained: volumes that are trained on, but for what is cut off.
        held: volumes that are validated on alone.

    Raises:
        DataError: a range that a volume does not have, or a part without room for a window.
    """
    if scroll.validation.has_box and len(trained) > 1:
        raise DataError(
            f"data.validation: a box of cells is one of a single volume, and there are "
            f"{len(trained)}; give share and axis, or volumes"
        )
    for volume in trained:
        used = used_box(scroll, volume)
        cut = _held_box(scroll, volume, used)
        boxes = around(used, cut) if cut is not None else [used]
        fitting = [box for box in boxes if box.holds(_room(scroll))]
        if not fitting:
            raise _no_room(scroll, volume, "train on", max(boxes, key=lambda b: b.count))
        for number, box in enumerate(fitting):
            yield Part(volume, "train", number, box)
        if cut is not None:
            yield Part(volume, "validation", 0, _checked(scroll, volume, cut))
    for volume in held:
        yield Part(volume, "validation", 0, _checked(scroll, volume, used_box(scroll, volume)))


def used_box(scroll: Scroll, volume: Volume) -> Box:
    """Cells of a volume within `layers`, `rows` and `columns`.

    Raises:
        DataError: the volume has not so many.
    """
    return _ranged(scroll, volume, Box((0, 0, 0), volume.shape), "data")


def _ranged(block: Scroll | ScrollValidation, volume: Volume, box: Box, where: str) -> Box:
    for axis, name in enumerate(_RANGES):
        given = getattr(block, name)
        if given is None:
            continue
        if given[1] > volume.shape[axis]:
            raise DataError(
                f"{where}.{name}: {list(given)}, but {volume.source} has {volume.shape[axis]} "
                f"{name} along {AXES[axis]}"
            )
        box = box.along(axis, given[0], given[1])
    return box


def _held_box(scroll: Scroll, volume: Volume, used: Box) -> Box | None:
    """What is cut off a volume to validate on; None: nothing."""
    rule = scroll.validation
    if rule.has_box:
        return _ranged(rule, volume, used, "data.validation")
    if not rule.held_out:
        return None
    axis = AXES.index(rule.axis)
    cells = round(rule.held_out * used.size[axis])
    return used.along(axis, used.stop[axis] - cells, used.stop[axis])


def _room(scroll: Scroll) -> Triple:
    """Cells that a training window takes with its shifts."""
    z, y, x = scroll.window
    is_shifted = scroll.sample == "surface"
    return z + 2 * scroll.augment.depth_shift * is_shifted, y, x


def _checked(scroll: Scroll, volume: Volume, box: Box) -> Box:
    if not box.holds(scroll.window):
        raise _no_room(scroll, volume, "validate on", box)
    return box


def _no_room(scroll: Scroll, volume: Volume, use: str, box: Box) -> DataError:
    window = _room(scroll) if use == "train on" else scroll.window
    return DataError(
        f"data.window: {_by(window)} cells (z, y, x), but {volume.source} has {_by(box.size)} to "
        f"{use}; give a smaller window, or another share, axis or box in data.validation"
    )


def _by(shape: Triple) -> str:
    return " x ".join(map(str, shape))
