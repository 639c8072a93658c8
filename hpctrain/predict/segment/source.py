"""The segments that are read: the run's own, or others in the same layouts."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpctrain.config.scroll_data import Scroll
from hpctrain.data.scroll.places import find_places
from hpctrain.data.scroll.random import SCALES, Draws
from hpctrain.data.scroll.scales import Scale, ScrollScales, measure
from hpctrain.data.scroll.volume import Plane, ScrollVolume
from hpctrain.errors import ConfigError, DataError
from hpctrain.index import Index
from hpctrain.index.digests import digests
from hpctrain.index.scroll.build import part_rows
from hpctrain.index.scroll.region import Box, Triple
from hpctrain.index.scroll.split import Part
from hpctrain.index.scroll.volumes import find_volume

_MEASURED = 64
"""Windows that the scale of a segment is measured on, as in a training."""


@dataclass(frozen=True)
class Found:
    """A segment that is to be predicted."""

    path: Path
    known_as: str
    """Path of the volume in the run's index; empty: the run has not read it."""

    @property
    def name(self) -> str:
        """What outputs are called after."""
        return self.path.stem if self.path.is_file() or self.path.suffix else self.path.name


def find_segments(index: Index, given: Sequence[str]) -> list[Found]:
    """Those named, or the volumes that the run validates on.

    Raises:
        ConfigError: a pattern that finds nothing.
    """
    known = {(index.root / row["source"]).resolve(): row["source"] for row in index.rows}
    if not given:
        sources = dict.fromkeys(row["source"] for row in index.split("validation"))
        return [Found((index.root / source).resolve(), source) for source in sources]
    paths: dict[Path, None] = {}
    for pattern in given:
        own = [pattern] if Path(pattern).exists() else sorted(glob.glob(pattern, recursive=True))
        if not own:
            raise ConfigError(f"--input: {pattern}: no such segment, and none of this pattern")
        paths.update(dict.fromkeys(Path(name).resolve() for name in own))
    return [Found(path, known.get(path, "")) for path in paths]


class Segment:
    """One flattened volume, and the layers of it that the network sees.

    Attributes:
        shape: rows and columns.
        mask: (y, x) where papyrus is; None: everywhere.
        offsets: layers that windows lie off the middle, each once, rising.
    """

    def __init__(
        self, found: Found, scroll: Scroll, scales: ScrollScales, offsets: Sequence[int] = ()
    ) -> None:
        """Open it.

        Args:
            found: which.
            scroll: the run's `data:` block.
            scales: those of the run's volumes.
            offsets: as `--depth-offsets` has them; empty: the middle alone.

        Raises:
            DataError: of no known layout, damaged, or with fewer layers than a window has.
            ConfigError: offsets that lead beyond its layers.
        """
        self.found, self._scroll = found, scroll
        root, source = found.path.parent, found.path.name
        volume = find_volume(root, source, scroll)
        self.offsets = tuple(sorted(set(offsets))) or (0,)
        self._middle = _layers_of(volume.shape, scroll, found.path)
        self._box = box = self._reached(scroll.layers or (0, volume.shape[0]))
        rows = list(part_rows(Part(volume, "validation", 0, box)))
        names = {"labels": None, "mask": scroll.mask}
        self._volume = ScrollVolume(root, rows, names)
        self._labelled = root, rows, {"labels": scroll.labels, "mask": None}
        self.shape = self._volume.plane
        self.mask: Plane | None = self._volume.mask
        self.infrared = next((root / name for name in rows[0].paths("infrared")), None)
        # in full: the run may have read another one of this name
        self._source = found.known_as or str(found.path)
        self.scales = scales

    def _reached(self, used: tuple[int, int]) -> Box:
        """The layers that windows at all offsets have."""
        first, stop = self._middle.start[0], self._middle.stop[0]
        low, high = self.offsets[0], self.offsets[-1]
        if first + low < used[0] or stop + high > used[1]:
            raise ConfigError(
                f"--depth-offsets: found {low} to {high}; allowed: {used[0] - first} to "
                f"{used[1] - stop}, as {self.found.path} has layers {used[0]} to {used[1] - 1} and "
                f"a window {stop - first} of them"
            )
        _, height, width = self._middle.stop
        return Box((first + low, 0, 0), (stop + high, height, width))

    @property
    def depths(self) -> list[int]:
        """First layer of the windows at each offset, among those that are read."""
        return [offset - self.offsets[0] for offset in self.offsets]

    @property
    def layers(self) -> tuple[int, int]:
        """[first, stop) of the layers that are read."""
        return self._box.start[0], self._box.stop[0]

    @property
    def is_measured(self) -> bool:
        """Whether its scale is there, or needs none."""
        return self.scales.kind in ("none", "sample") or self._source in self.scales.scales

    def measure(self) -> Scale:
        """The scale of a segment that the run has not read, as a training would find it."""

        def sample() -> NDArray[Any]:
            depth, *plane = self._scroll.window
            height, width = (min(n, m) for n, m in zip(plane, self.shape, strict=True))
            window: Triple = depth, height, width
            places = find_places([self._volume], [[self._middle.origins(window)]], window)
            if not places.count:
                raise DataError(
                    f"{self.found.path}: no window of {' x '.join(map(str, window))} voxels has "
                    "its middle on papyrus; mend its mask, or give a larger segment"
                )
            draws = Draws(SCALES, 0)
            origins = [places.draw(draws).origin for _ in range(_MEASURED)]
            return np.stack([self._volume.read(origin, window) for origin in origins])

        return measure(self._scroll, self._source, sample)

    def take_scale(self, scale: Scale) -> None:
        """Normalise by this one from now on."""
        known = {**self.scales.scales, self._source: scale}
        self.scales = ScrollScales(self.scales.kind, known)

    @property
    def paths(self) -> list[Path]:
        """All files that it consists of."""
        return self._volume.paths()

    def digest(self) -> str:
        """sha256 over names and digests of the files that are read."""
        paths = self.paths
        found = digests(paths)
        root = self.found.path.parent
        lines = sorted(f"{found[path]}  {path.relative_to(root).as_posix()}\n" for path in paths)
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def read(self, y: int, x: int, size: tuple[int, int]) -> NDArray[Any]:
        """Grey values (D, h, w) from a pixel on; beyond the segment they are mirrored.

        Raises:
            DataError: a file that cannot be read, or grey values that are no numbers.
        """
        height, width = (min(n, s - o) for n, s, o in zip(size, self.shape, (y, x), strict=True))
        box: Triple = self._box.size[0], height, width
        values = self._volume.read((self._box.start[0], y, x), box)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise DataError(
                f"{self.found.path}: has grey values that are no numbers about y {y}, x {x}; "
                "repair the volume"
            )
        if (height, width) == size:
            return values
        beyond = ((0, 0), (0, size[0] - height), (0, size[1] - width))
        return np.pad(values, beyond, mode="reflect")

    def normalised(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """A window of grey values as the network wants it."""
        return self.scales.apply(self._source, values)

    def labels(self) -> Plane | None:
        """(y, x) where ink is; None: nobody has drawn it."""
        return ScrollVolume(*self._labelled).labels


def _layers_of(shape: Triple, scroll: Scroll, path: Path) -> Box:
    """The layers about the middle of those that are used, over the whole plane."""
    first, stop = scroll.layers or (0, shape[0])
    depth = scroll.window[0]
    if stop > shape[0] or stop - first < depth:
        raise DataError(
            f"{path}: has {shape[0]} layers, and the run reads {depth} of layers {first} to "
            f"{stop - 1}; give a segment with as many layers as those of the training"
        )
    middle = first + (stop - first - depth) // 2
    return Box((middle, 0, 0), (middle + depth, shape[1], shape[2]))
