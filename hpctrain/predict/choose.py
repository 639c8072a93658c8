"""Choose tiles: exact ones where the network allows it, else blended ones as it was trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hpctrain.errors import ConfigError
from hpctrain.predict.options import Triple
from hpctrain.predict.reach import Call, Reach, halo_for, peak_bytes, reach_of
from hpctrain.predict.tiles import AxisTiles, Plan
from hpctrain.predict.trained import Trained

_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_SHARE = 4
"""Of a tile as many parts overlap with the next one where tiles are blended."""
_SLACK = 2
"""Libraries of convolutions need about as much again for their own copies."""


@dataclass(frozen=True)
class Tiling:
    """Tiles of a field, and what surrounds them."""

    plan: Plan
    halo: Triple
    period: int
    why_blended: str = ""
    """Why tiles cannot be exact; empty: they are."""


@dataclass(frozen=True)
class Field:
    """What tiles are chosen for."""

    shape: Triple
    """Input cells."""
    is_periodic: tuple[bool, bool, bool]
    crop: Triple
    """Input cells of a sample in the training."""
    has_frames: bool = False
    """Vectors are turned into the frame of each tile's first column of the last axis."""


def choose_tiles(
    trained: Trained,
    field: Field,
    call: Call,
    tile: Sequence[int],
    overlap: int | None,
    memory_bytes: int,
) -> Tiling:
    """Choose tiles of a field.

    Args:
        trained: the network.
        field: what is cut.
        call: calls the network with a field.
        tile: cells along each axis that are asked for; empty: the largest that fit in memory, or
            those of the training where tiles must be blended.
        overlap: cells that are asked for; None: none where tiles are exact.
        memory_bytes: for the activations of one tile.

    Raises:
        ConfigError: tiles that the network cannot take.
    """
    chooser = _Chooser(trained, field, call, memory_bytes)
    asked = _each_axis(tile)
    why = chooser.reach.why
    sizes = asked or chooser.largest_exact()
    if sizes is None:
        sizes = chooser.trained_sizes()
        if not why and not chooser.has_whole_halo(sizes):
            why = (
                f"tiles with the {chooser.reach.halo} cells around them that it sees need more "
                "memory than there is; see --memory-mb"
            )
    is_exact = not why
    axes, halos = [], []
    for axis in range(3):
        is_turned = field.has_frames and axis == 2
        own = sizes[axis]
        if not asked and (is_turned or not is_exact):
            own = chooser.whole_periods(axis, field.crop[axis])
        has_frames = is_turned and own < field.shape[2]
        is_blended = not is_exact or has_frames
        axes.append(chooser.axis(axis, own, is_blended, overlap))
        halos.append(chooser.halo(axis, axes[-1].tile, is_exact=is_exact))
    if field.has_frames and axes[2].overlap:
        why = why or "velocities stand in the frame of each tile, as in the training"
    a, b, c = axes
    return Tiling(Plan((a, b, c)), (halos[0], halos[1], halos[2]), chooser.reach.period, why)


class _Chooser:
    def __init__(self, trained: Trained, field: Field, call: Call, memory_bytes: int) -> None:
        self.trained, self.field, self.call = trained, field, call
        self.memory_bytes = memory_bytes
        self.factor = trained.settings.upscale_factor
        self.reach: Reach = reach_of(trained.inner, self.factor)

    def is_flat(self, axis: int) -> bool:
        """Whether the network knows nothing along an axis."""
        return self.trained.is_planar and axis == 0

    def largest_exact(self) -> Triple | None:
        """The largest tiles whose activations fit, all axes about alike; None: none are worth it.

        Tiles smaller than their halo would spend nine tenths of the work on cells around them.
        """
        halo, period = self.reach.halo, self.reach.period
        if halo is None:
            return None
        best: Triple | None = None
        for step in _STEPS:
            a, b, c = (
                1 if self.is_flat(i) else min(period * step, _up(self.field.shape[i], period))
                for i in range(3)
            )
            whole = all(n >= m for n, m in zip((a, b, c), self.field.shape, strict=True))
            shape = tuple(n + (0 if self.is_flat(i) else 2 * halo) for i, n in enumerate((a, b, c)))
            if self.bytes_of(shape) > self.memory_bytes:
                break
            if whole or self.is_flat(0) or max(a, b, c) >= halo:
                best = (a, b, c)
            if whole:
                break
        return best

    def trained_sizes(self) -> Triple:
        """Tiles of the size of the training's crop, or the next one that fits."""
        a, b, c = (self.whole_periods(axis, n) for axis, n in enumerate(self.field.crop))
        return a, b, c

    def has_whole_halo(self, tile: Triple) -> bool:
        """Whether tiles have all that they see around them even with their least halo."""
        halo = self.reach.halo or 0
        return all(
            self.is_flat(axis) or self.halo(axis, n, is_exact=False) >= halo
            for axis, n in enumerate(tile)
        )

    def bytes_of(self, shape: Sequence[int]) -> int:
        """Memory that an input of a size needs."""
        channels = self.trained.channels[0]
        return _SLACK * peak_bytes(self.trained.meta, (1, channels, *shape), self.call)

    def axis(self, axis: int, tile: int, is_blended: bool, overlap: int | None) -> AxisTiles:
        """Tiles of one axis, of one size as even as can be."""
        size, is_periodic = self.field.shape[axis], self.field.is_periodic[axis]
        period = self.period(axis)
        if tile % period:
            near = sorted({max(period, tile - tile % period), _up(tile, period)})
            raise ConfigError(
                f"--tile: {tile} is no multiple of {period}, in which the network's strides repeat "
                f"themselves; choose {' or '.join(map(str, near))}"
            )
        shared = 0
        if (is_blended and not self.is_flat(axis)) or overlap:
            shared = period * math.ceil(tile / _SHARE / period) if overlap is None else overlap
            shared = _up(shared, period)
            most = period * (tile // 2 // period)
            if overlap is not None and shared > most and size > tile:
                raise ConfigError(
                    f"--overlap: {overlap} of a tile of {tile} cells; at most {most}, as no more "
                    "than two tiles meet in a cell"
                )
            shared = min(shared, most)
        if size <= tile and not (is_periodic and shared):
            return AxisTiles(size, self.fitted(size, tile, period), 0, self.factor, is_periodic)
        if not self.is_known:
            # only the sizes of the training are known to fit
            return AxisTiles(size, tile - shared, shared, self.factor, is_periodic)
        count = math.ceil(size / (tile - shared))
        stride = _up(math.ceil(size / count), period)
        return AxisTiles(size, stride, shared, self.factor, is_periodic)

    def period(self, axis: int) -> int:
        """Cells that tiles have multiples of."""
        return 1 if self.is_flat(axis) else self.reach.period

    def whole_periods(self, axis: int, cells: int) -> int:
        """The size itself, or the next one that fits."""
        return _up(cells, self.period(axis))

    @property
    def is_known(self) -> bool:
        """Whether the network's sizes are known, and not found by trial."""
        return hasattr(self.trained.inner, "extent")

    def fitted(self, size: int, tile: int, period: int) -> int:
        """Cells of the only tile of an axis: the field's, or what fits next."""
        return _up(size, period) if self.is_known else max(size, tile)

    def halo(self, axis: int, tile: int, *, is_exact: bool) -> int:
        """Cells around a tile."""
        if self.is_flat(axis):
            return 0
        if is_exact and self.reach.halo is not None:
            return self.reach.halo
        dims = 2 if self.trained.is_planar else 3
        channels = self.trained.channels[0]
        return halo_for(self.trained.inner, self.call, dims, channels, tile, self.factor)


def _up(n: int, period: int) -> int:
    return period * math.ceil(n / period)


def _each_axis(tile: Sequence[int]) -> Triple | None:
    if not tile:
        return None
    a, b, c = tile if len(tile) == 3 else (tile[0],) * 3
    return a, b, c
