"""How far a network sees, and so how tiles must lie for their cells to be those of the whole.

A network of finite reach gives a cell the same number wherever its tile begins, if the halo carries
all that the cell depends on and tiles begin at multiples of the network's period: strides of its
convolutions make it see cells in groups.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hpctrain.errors import ConfigError
from hpctrain.models.extent import Extent, through
from hpctrain.models.sizes import find_halo, size_of, sizes

Call = Callable[[nn.Module, Tensor], Tensor]

_PERIODS = (1, 2, 4, 8, 16, 32, 64)
_MOST_HALO = 256
"""Cells of a halo beyond which no tile could be worth it."""


@dataclass(frozen=True)
class Reach:
    """Of one network, along any axis."""

    period: int
    """Tiles begin at multiples of it, in input cells, and have multiples of it."""
    halo: int | None
    """Input cells around a tile that make tiles exact; None: nothing does."""
    why: str = ""
    """Why nothing does."""


def reach_of(network: nn.Module, factor: int) -> Reach:
    """Work it out from the network's extent.

    Args:
        network: on any device; its weights are not looked at.
        factor: output cells an input cell.
    """
    if not hasattr(network, "extent"):
        return Reach(1, None, "how far its cells see is not known (it has no method extent)")
    try:
        found = sizes(network)
        period = _period(network, factor, found.smallest, found.receptive_field, found.period)
    except ConfigError as e:
        return Reach(1, None, f"how far its cells see is not known ({e})")
    if not found.receptive_field:
        return Reach(period, None, "each of its cells sees the whole tile")
    tile = period * math.ceil(max(found.receptive_field, found.smallest) / period)
    size = size_of(network)
    least = find_halo(size, tile, factor)
    for halo in range(least, _MOST_HALO, period):
        if _is_exact(network, tile, halo, factor):
            return Reach(period, halo)
    return Reach(period, None, f"a halo of {_MOST_HALO} cells is not enough for it")


def halo_for(
    network: nn.Module, call: Call, dims: int, channels: int, tile: int, factor: int
) -> int:
    """Fewest cells around a tile that give an output which covers it, as in a training.

    Args:
        network: on the meta device.
        call: calls it with a field.
        dims: spatial axes.
        channels: of its input.
        tile: input cells.
        factor: output cells an input cell.

    Raises:
        ConfigError: no halo does.
    """
    return find_halo(size_of(network, dims, channels, call), tile, factor)


def _is_exact(network: nn.Module, tile: int, halo: int, factor: int) -> bool:
    """Whether no cell of the tile has seen the zeros of a padded convolution."""
    try:
        out = through(network, Extent.of(tile + 2 * halo))
    except ConfigError:
        return False
    excess = out.size - factor * tile
    if excess < 0 or excess % 2:
        return False
    return bool(out.is_exact[excess // 2 : excess // 2 + factor * tile].all())


def _period(network: nn.Module, factor: int, smallest: int, field: int, fits: int) -> int:
    """Cells after which the pattern of what output cells see repeats itself."""
    size = smallest + fits * math.ceil((2 * field + 4 * _PERIODS[-1]) / fits)
    out = through(network, Extent.of(size))
    inside = np.flatnonzero((out.first > 0) & (out.last < size - 1))
    for period in _PERIODS:
        cells = inside[inside + factor * period <= (inside[-1] if len(inside) else 0)]
        moved = cells + factor * period
        steps = out.first[moved] - out.first[cells], out.last[moved] - out.last[cells]
        if all((step == period).all() for step in steps):
            return math.lcm(period, fits)
    return fits


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are alive, and the most there ever were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def] # noqa: ANN001
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._take(tensor)
        return out

    def _take(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)

        def gone() -> None:
            self._seen.discard(key)
            self.now -= size

        weakref.finalize(storage, gone)


def peak_bytes(network: nn.Module, shape: tuple[int, ...], call: Call) -> int:
    """Most bytes of activations at a time in a forward pass, counted on torch's meta device.

    Args:
        network: on the meta device.
        shape: (B, C, ...) of the input.
        call: calls the network.
    """
    live = _Live()
    with torch.no_grad(), live:
        call(network, torch.empty(shape, device="meta"))
    return live.peak
