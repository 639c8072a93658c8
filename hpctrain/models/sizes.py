"""What follows from a network's extent: sizes that fit, halo, receptive field, rule of sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from hpctrain.errors import ConfigError
from hpctrain.models.extent import Extent, through

LARGEST_HALO = 512
"""Nothing sensible needs more; a bound for the search."""
_PERIODS = (1, 2, 4, 8, 16, 32, 64)

SizeOf = Callable[[int], int]
"""Input cells along an axis to output cells; raises ConfigError where they do not fit."""


def size_of(
    model: nn.Module,
    dims: int = 3,
    channels: int = 1,
    call: Callable[[nn.Module, Tensor], Tensor] | None = None,
) -> SizeOf:
    """How sizes pass through a network: by its extent, or by a trial on torch's meta device.

    Args:
        model: any network.
        dims: spatial axes, for the trial.
        channels: input channels, for the trial.
        call: calls the network with a field; None: with nothing beside it.
    """
    if hasattr(model, "extent"):
        return lambda size: through(model, Extent.of(size)).size

    def trial(size: int) -> int:
        meta = model.to("meta")
        try:
            with torch.no_grad():
                x = torch.empty(1, channels, *(size,) * dims, device="meta")
                out = meta(x) if call is None else call(meta, x)
        except (RuntimeError, ValueError) as e:
            raise ConfigError(f"{type(model).__name__}: no output for {size} cells: {e}") from e
        return int(out.shape[-1])

    return trial


def find_halo(size_of: SizeOf, crop: int, upscale_factor: int, name: str = "generator") -> int:
    """Fewest input cells on each side of a crop that make the output cover the target.

    Args:
        size_of: see `SizeOf`.
        crop: input cells of the crop.
        upscale_factor: target cells an input cell.
        name: for the message.

    Raises:
        ConfigError: no halo helps; names crops that do.
    """
    halo = _halo(size_of, crop, upscale_factor)
    if halo is not None:
        return halo
    near = (c for d in range(1, 65) for c in (crop - d, crop + d))
    fits = sorted(
        next((c for c in group if c > 0 and _halo(size_of, c, upscale_factor) is not None), 0)
        for group in ((c for c in range(crop - 1, 0, -1)), (c for c in near if c > crop))
    )
    choices = " or ".join(str(c) for c in fits if c)
    raise ConfigError(
        f"{name}: no halo lets {crop} input cells give {crop * upscale_factor} output cells; "
        + (f"nearest crops that fit: {choices}" if choices else "choose another network")
    )


def _halo(size_of: SizeOf, crop: int, factor: int) -> int | None:
    for halo in range(LARGEST_HALO):
        try:
            excess = size_of(crop + 2 * halo) - factor * crop
        except ConfigError:
            continue
        if excess >= 0:
            # the centre must fall on cells; else a larger halo moves it onto them, or none does
            if excess % 2 == 0:
                return halo
            if halo and excess > 4 * factor * LARGEST_HALO:
                return None
    return None


@dataclass(frozen=True)
class Sizes:
    """How one axis of a network's input becomes that of its output."""

    smallest: int
    """Fewest input cells that give any output."""
    period: int
    """Sizes that fit lie so many cells apart."""
    slope: Fraction
    """Output cells an input cell."""
    offset: Fraction
    """Output cells are slope * input cells + offset, for `smallest` and every period from there."""
    receptive_field: int
    """Input cells that an output cell depends on at most; 0: all of them."""
    padded_edge: int
    """Output cells at each end that see zeros of padded convolutions."""

    @property
    def rule(self) -> str:
        """The rule as a short text, such as `n -> n - 40, n = 4k`."""
        factor = "" if self.slope == 1 else f"{self.slope.numerator}"
        text = f"{'' if factor == '1' else factor}n"
        text += f"/{self.slope.denominator}" if self.slope.denominator > 1 else ""
        if self.offset:
            text += f" {'-' if self.offset < 0 else '+'} {abs(self.offset)}"
        rest = self.smallest % self.period
        fits = f", n = {self.period}k{f' + {rest}' if rest else ''}" if self.period > 1 else ""
        return f"n -> {text}{fits}"


def sizes(model: nn.Module, largest: int = 2048) -> Sizes:
    """Work a network's rule of sizes out from its extent.

    Raises:
        ConfigError: it has no extent, or no size up to `largest` gives an output.
    """
    smallest = next((n for n in range(1, largest) if _fits(model, n)), None)
    if smallest is None:
        raise ConfigError(f"{type(model).__name__}: no size up to {largest} gives an output")
    fits = [_fits(model, n) for n in range(smallest, smallest + 2 * _PERIODS[-1])]
    period = next(p for p in _PERIODS if all(a == b for a, b in zip(fits, fits[p:], strict=False)))
    span = _PERIODS[-1]
    at = smallest + span
    slope = Fraction(_size(model, at + span) - _size(model, at), span)
    # where all sizes fit, floor divisions still make steps: the rule holds at multiples of them
    step = max(period, slope.denominator)
    offset = _size(model, smallest) - slope * smallest
    for n in (at, 4 * at, 16 * at):
        whole = through(model, Extent.of(n + (smallest - n) % step))
        exact = whole.is_exact.nonzero()[0]
        edge = int(exact[0]) if len(exact) else 0
        inner = whole.is_exact & (whole.first > 0) & (whole.last < whole.last.max())
        if inner.any():
            field = int((whole.last - whole.first + 1)[inner].max())
            return Sizes(smallest, step, slope, offset, field, edge)
    return Sizes(smallest, step, slope, offset, 0, edge)


def _size(model: nn.Module, size: int) -> int:
    return through(model, Extent.of(size)).size


def _fits(model: nn.Module, size: int) -> bool:
    try:
        return _size(model, size) > 0
    except ConfigError:
        return False
