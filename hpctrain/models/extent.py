"""Which input cells each output cell of a network sees: the algebra of sizes and margins.

All networks here are products over the axes, so one axis tells all of them. An `Extent` holds, for
each cell of an activation, the first and the last input cell that it depends on; layers map extents
to extents as they map tensors. Sizes, receptive fields, halos and phases follow from it exactly,
also where floor divisions, skips and upsampling meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from hpctrain.errors import ConfigError

Cells = NDArray[np.int64]


@dataclass(frozen=True)
class Extent:
    """Dependence of the cells of one axis on the input's cells."""

    first: Cells
    """First input cell that each cell sees, of shape (size,)."""
    last: Cells
    """Last input cell, included."""
    is_exact: NDArray[np.bool_]
    """Whether a cell sees no zero of a padded convolution."""

    @classmethod
    def of(cls, size: int) -> Extent:
        """The input itself: each cell sees itself."""
        cells = np.arange(size)
        return cls(cells, cells, np.ones(size, bool))

    @property
    def size(self) -> int:
        """Cells along the axis."""
        return len(self.first)

    def window(self, start: Cells, stop: Cells) -> Extent:
        """Cells that each see [start, stop) of this extent; what lies outside is padding.

        Raises:
            ConfigError: nothing is left.
        """
        if not len(start):
            raise ConfigError(f"{self.size} cells are too few")
        low, high = np.clip(start, 0, self.size - 1), np.clip(stop - 1, 0, self.size - 1)
        wrong = np.concatenate(([0], np.cumsum(~self.is_exact)))
        exact = (wrong[high + 1] == wrong[low]) & (low == start) & (high == stop - 1)
        # windows move on with the cells, so that the ends of a window see the farthest
        return Extent(self.first[low], self.last[high], exact)

    def convolved(
        self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> Extent:
        """Through a convolution or a pooling, as torch defines their sizes."""
        span = dilation * (kernel - 1) + 1
        count = max((self.size + 2 * padding - span) // stride + 1, 0)
        start = np.arange(count) * stride - padding
        last = start + span - 1
        found = self.window(
            start + dilation * -(np.minimum(start, 0) // dilation),
            last + 1 - dilation * -(np.minimum(self.size - 1 - last, 0) // dilation),
        )
        is_inside = (start >= 0) & (last < self.size)
        return Extent(found.first, found.last, found.is_exact & is_inside)

    def upsampled(self, factor: int) -> Extent:
        """Each cell becomes `factor` cells: a transposed convolution of kernel = stride."""
        start = np.arange(self.size * factor) // factor
        return self.window(start, start + 1)

    def interpolated(self) -> Extent:
        """Doubled by linear interpolation without the edges: n cells become 2n - 2."""
        start = np.arange(max(2 * self.size - 2, 0)) // 2
        return self.window(start, start + 2)

    def narrowed(self, margin: int) -> Extent:
        """Without `margin` cells at both ends."""
        start = np.arange(margin, max(self.size - margin, margin))
        return self.window(start, start + 1)

    def narrowed_like(self, other: Extent) -> Extent:
        """The centre of the other's size.

        Raises:
            ConfigError: its ends are not equally far.
        """
        excess = self.size - other.size
        if excess < 0 or excess % 2:
            raise ConfigError(f"{other.size} cells have no place in the middle of {self.size}")
        return self.narrowed(excess // 2)

    def joined(self, other: Extent) -> Extent:
        """A sum or a concatenation of two activations of one size."""
        if self.size != other.size:
            raise ConfigError(f"{self.size} and {other.size} cells cannot be joined")
        return Extent(
            np.minimum(self.first, other.first),
            np.maximum(self.last, other.last),
            self.is_exact & other.is_exact,
        )

    def spread(self) -> Extent:
        """Every cell sees all: a norm over the whole field, attention, a global mean."""
        size = self.size
        low, high = np.full(size, self.first.min()), np.full(size, self.last.max())
        return Extent(low, high, np.full(size, self.is_exact.all()))


def halving(x: Extent) -> Extent:
    """A strided convolution of kernel 2, for networks that come back to the finer grid.

    Raises:
        ConfigError: an odd size, whose last cell would be lost.
    """
    if x.size % 2:
        raise ConfigError(f"{x.size} cells cannot be halved")
    return x.convolved(2, 2)


_POINTWISE = (
    nn.Identity,
    nn.LeakyReLU,
    nn.ReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.PReLU,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
    nn.Dropout,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
)
_GLOBAL = (nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose2d, nn.ConvTranspose3d)
_POOLS = (nn.AvgPool2d, nn.AvgPool3d, nn.MaxPool2d, nn.MaxPool3d)


def through(module: nn.Module, x: Extent) -> Extent:
    """An extent behind a module: its own `extent` method, or a layer of torch.

    Raises:
        ConfigError: a layer that is not known here, or sizes that do not fit.
    """
    own: Callable[[Extent], Extent] | None = getattr(module, "extent", None)
    if own is not None:
        return own(x)
    if isinstance(module, nn.Sequential):
        for part in module:
            x = through(part, x)
        return x
    layer = _through_layer(module, x)
    if layer is not None:
        return layer
    raise ConfigError(
        f"{type(module).__name__}: its extent is not known; give the network a method "
        "extent(self, x), which maps an Extent as forward maps a tensor"
    )


def _through_layer(module: nn.Module, x: Extent) -> Extent | None:
    """Behind one of torch's layers; None for one that is not known."""
    if isinstance(module, _POINTWISE):
        return x
    if isinstance(module, _GLOBAL):
        return x.spread()
    if isinstance(module, _CONVOLUTIONS):
        kernel, dilation = _one(module, "kernel_size"), _one(module, "dilation")
        if module.padding in ("same", "valid"):
            padding = dilation * (kernel - 1) // 2 if module.padding == "same" else 0
        else:
            padding = _one(module, "padding")
        return x.convolved(kernel, _one(module, "stride"), padding, dilation)
    if isinstance(module, _POOLS):
        return x.convolved(*(_one(module, name) for name in ("kernel_size", "stride", "padding")))
    if isinstance(module, _TRANSPOSED):
        kernel, stride = _one(module, "kernel_size"), _one(module, "stride")
        if kernel == stride and not _one(module, "padding"):
            return x.upsampled(stride)
    return None


def _one(module: nn.Module, name: str) -> int:
    """An option that must be the same along all axes."""
    value = getattr(module, name)
    values: Sequence[int] = value if isinstance(value, tuple) else (value,)
    if len(set(values)) > 1:
        raise ConfigError(f"{type(module).__name__}: {name} {values} differs between axes")
    return int(values[0])
