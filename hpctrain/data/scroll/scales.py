"""How grey values become numbers of order 1, one scale a volume."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.scroll_data import Scroll
from hpctrain.errors import DataError


@dataclass(frozen=True)
class Scale:
    """Cut off at `low` and `high`, then (grey - offset) / factor."""

    offset: float = 0.0
    factor: float = 1.0
    low: float | None = None
    high: float | None = None

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Normalised values of grey ones."""
        out = values.astype(np.float32)
        if self.low is not None or self.high is not None:
            np.clip(out, self.low, self.high, out=out)
        out -= np.float32(self.offset)
        out /= np.float32(self.factor)
        return out

    def undo(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Grey values of normalised ones."""
        return values * np.float32(self.factor) + np.float32(self.offset)


@dataclass(frozen=True)
class ScrollScales:
    """A scale for each volume."""

    kind: str
    """As `data.normalization`."""
    scales: Mapping[str, Scale]
    """By volume; empty for a kind that needs none."""

    def apply(self, source: str, values: NDArray[Any]) -> NDArray[np.float32]:
        """Normalise the grey values of a window.

        Args:
            source: its volume.
            values: (z, y, x).

        Raises:
            DataError: nothing was measured of that volume.
        """
        if self.kind == "sample":
            return _of_window(values).apply(values)
        if self.kind == "none":
            return values.astype(np.float32)
        if source not in self.scales:
            known = ", ".join(self.scales)
            raise DataError(f"{source}: has no scale; those that were measured are {known}")
        return self.scales[source].apply(values)

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"kind": self.kind, "scales": {k: asdict(s) for k, s in self.scales.items()}}

    @classmethod
    def from_dict(cls, page: Mapping[str, Any]) -> ScrollScales:
        """Out of a checkpoint."""
        return cls(page["kind"], {k: Scale(**s) for k, s in page["scales"].items()})


def _of_window(values: NDArray[Any]) -> Scale:
    mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    return Scale(mean, deviation or 1.0)


def _of_windows(windows: Iterable[NDArray[Any]]) -> Scale:
    """Mean and deviation over windows of one size, of which one is in memory at a time."""
    found = [(w.mean(dtype=np.float64), w.var(dtype=np.float64)) for w in windows]
    means, variances = np.array(found).T
    return Scale(float(means.mean()), float(np.sqrt(variances.mean() + means.var())))


def _checked(source: str, windows: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    for values in windows:
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DataError(f"{source}: has grey values that are no numbers; repair the volume")
        yield values


def measure(scroll: Scroll, source: str, sample: Callable[[], Iterable[NDArray[Any]]]) -> Scale:
    """The scale of one volume.

    Args:
        scroll: the `data:` block.
        source: path of the volume, for messages.
        sample: gives grey values of some windows of it, all of one size.

    Raises:
        DataError: all of them are equal, or one is no number.
    """
    if scroll.normalization == "limits":
        assert scroll.limits is not None
        low, high = scroll.limits
        return Scale(low, high - low, low, high)
    windows = _checked(source, sample())
    if scroll.normalization == "percentiles":
        low, high = (float(v) for v in np.percentile(np.stack(list(windows)), scroll.percentiles))
        scale = Scale(low, high - low, low, high)
    else:
        scale = _of_windows(windows)
    if not scale.factor:
        raise DataError(
            f"{source}: the windows that were looked at have one grey value, {scale.offset:g}; "
            "give a mask, or other data.layers, rows or columns"
        )
    return scale
