"""Samples of a training on scrolls: windows with their labels, drawn one by one, never reloaded."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hpctrain.config.scroll_data import Scroll
from hpctrain.data.batch import AfterSample
from hpctrain.data.sampler import Share
from hpctrain.data.scroll.augment import ScrollAugmentation, Turn
from hpctrain.data.scroll.batch import ScrollBatch
from hpctrain.data.scroll.draw import Drawing
from hpctrain.data.scroll.grid import grid_places
from hpctrain.data.scroll.places import Place, find_places, origin_boxes
from hpctrain.data.scroll.random import SCALES, Draws
from hpctrain.data.scroll.scales import Scale, ScrollScales, measure
from hpctrain.data.scroll.volume import Plane, ScrollVolume
from hpctrain.errors import DataError
from hpctrain.index.scroll.region import Triple
from hpctrain.index.table import Index, Row

_MEASURED = 64
"""Windows of a volume that its scale is measured on."""


class ScrollDataset:
    """Windows of the volumes of one split.

    A training sample is a draw of its own in every epoch; a validation sample is one window of a
    fixed grid, and is not augmented.
    """

    def __init__(
        self,
        scroll: Scroll,
        index: Index,
        split: str,
        seed: int,
        scales: ScrollScales | None = None,
    ) -> None:
        """Open the volumes and count the places.

        Args:
            scroll: the `data:` block.
            index: what the run reads.
            split: 'train' or 'validation'.
            seed: of all draws.
            scales: normalisation; None: grey values. May be set later.

        Raises:
            DataError: files that cannot be read, labels of some volumes alone, or no window.
        """
        rows = index.split(split)
        if not rows:
            raise DataError(f"index: no volume for {split}; give data.validation")
        self.scroll, self.split, self.seed, self.scales = scroll, split, seed, scales
        names = {"labels": scroll.labels, "mask": scroll.mask}
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(row["source"], []).append(row)
        self.volumes = [ScrollVolume(index.root, own, names) for own in groups.values()]
        self.has_labels = self._check_labels()
        is_trained = split == "train"
        shift = scroll.augment.depth_shift * is_trained if scroll.sample == "surface" else None
        self._boxes = [origin_boxes(v, scroll.window, shift) for v in self.volumes]
        self._grid: list[Place] = []
        if is_trained:
            find = partial(find_places, self.volumes, self._boxes, scroll.window)
            self._drawing = Drawing(scroll, find, seed)
            self._augment = ScrollAugmentation(scroll.augment, seed)
        else:
            rule = scroll.validation
            step = rule.stride or scroll.window
            self._grid = grid_places(self.volumes, self._boxes, scroll.window, step, rule.samples)

    def __len__(self) -> int:
        return self.scroll.samples_per_epoch if self.split == "train" else len(self._grid)

    @property
    def sources(self) -> tuple[str, ...]:
        """Paths of the volumes below the root."""
        return tuple(volume.source for volume in self.volumes)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(1, z, y, x) of a window."""
        return 1, *self.scroll.window

    @property
    def target_shape(self) -> tuple[int, int]:
        """(y, x) of a label."""
        return self.scroll.window[1], self.scroll.window[2]

    def paths(self, i: int) -> list[Path]:
        """The files that a sample may lie in."""
        return [path for volume in self.volumes for path in volume.paths()]

    def place(self, i: int, epoch: int) -> Place:
        """The window of sample i in an epoch."""
        return self._drawn(i, epoch)[0]

    def sample_name(self, i: int, epoch: int | None = None) -> str:
        """Volume and first cell of a sample; of a training sample without an epoch its number."""
        if self.split == "train" and epoch is None:
            return f"training window {i}"
        place = self.place(i, epoch or 0)
        cells = ", ".join(f"{a} {n}" for a, n in zip("zyx", place.origin, strict=True))
        return f"{self.volumes[place.volume].source} [{cells}]"

    def read_batch(
        self, share: Share, after_sample: AfterSample | None = None, *, pin: bool = False
    ) -> ScrollBatch:
        """Read the samples of a share.

        Args:
            share: which.
            after_sample: called with number and epoch of each that was read.
            pin: into pinned memory.

        Raises:
            DataError: a file that cannot be read, or grey values that are no numbers.
        """
        count, plane = len(share.ids), self.target_shape
        volume = torch.empty((count, *self.input_shape), dtype=torch.float32, pin_memory=pin)
        mask = torch.empty((count, *plane), dtype=torch.bool, pin_memory=pin)
        label = None
        if self.has_labels:
            label = torch.empty((count, *plane), dtype=torch.float32, pin_memory=pin)
        places = []
        for n, i in enumerate(share.ids):
            own = None if label is None else label[n].numpy()
            places.append(
                self.read_into(i, share.epoch, volume[n, 0].numpy(), mask[n].numpy(), own)
            )
            if after_sample is not None:
                after_sample(i, share.epoch)
        return ScrollBatch(
            share.ids,
            share.epoch,
            volume,
            label,
            mask,
            torch.tensor([place.origin for place in places]),
            tuple(self.volumes[place.volume].source for place in places),
            share.step,
            share.num_global,
            share.is_filler,
        )

    def read_into(
        self,
        i: int,
        epoch: int,
        out_volume: NDArray[np.float32],
        out_mask: Plane,
        out_label: NDArray[np.float32] | None,
    ) -> Place:
        """Read one sample.

        Args:
            i: its number.
            epoch: with seed and number it decides place and augmentation.
            out_volume: (z, y, x), to fill.
            out_mask: (y, x), to fill.
            out_label: (y, x), to fill; None: labels are not wanted.

        Returns:
            Where it is.

        Raises:
            DataError: see `read_batch`.
        """
        place, values = self._drawn(i, epoch)
        volume = self.volumes[place.volume]
        is_trained = self.split == "train"
        turn = self._augment.turn(i, epoch, self.target_shape) if is_trained else Turn()
        values = self.raw(place) if values is None else values
        out_volume[...] = turn.apply(self._normalised(volume, place, values))
        _, y, x = place.origin
        part = slice(y, y + self.scroll.window[1]), slice(x, x + self.scroll.window[2])
        out_mask[...] = True if volume.mask is None else turn.apply(volume.mask[part])
        if out_label is not None and volume.labels is not None:
            out_label[...] = turn.apply(volume.labels[part])
        if is_trained:
            self._augment.change(i, epoch, out_volume, out_mask)
        return place

    def raw(self, place: Place) -> NDArray[Any]:
        """Grey values of a window, as they are stored."""
        return self.volumes[place.volume].read(place.origin, self.scroll.window)

    def measure_scales(self, known: ScrollScales | None = None) -> ScrollScales:
        """Scales of these volumes by `data.normalization`; on one rank, then shared.

        Args:
            known: those of the training volumes, which keep theirs.
        """
        kind = self.scroll.normalization
        found: dict[str, Scale] = dict(known.scales) if known else {}
        if kind in ("standard", "percentiles", "limits"):
            for number, volume in enumerate(self.volumes):
                if volume.source not in found:
                    sample = partial(self._some_windows, number)
                    found[volume.source] = measure(self.scroll, volume.source, sample)
        return ScrollScales(kind, found)

    def _some_windows(self, number: int) -> Iterator[NDArray[Any]]:
        """Grey values of windows all over one volume."""
        own = [boxes if n == number else [] for n, boxes in enumerate(self._boxes)]
        places = find_places(self.volumes, own, self.scroll.window)
        if not places.count:
            raise DataError(
                f"{self.volumes[number].source}: no window has its middle on papyrus; mend its mask"
            )
        draws = Draws(SCALES, number)
        for _ in range(_MEASURED):
            yield self.raw(places.draw(draws))

    def _normalised(
        self, volume: ScrollVolume, place: Place, values: NDArray[Any]
    ) -> NDArray[np.float32]:
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            z, y, x = (int(n) + o for n, o in zip(_first_bad(values), place.origin, strict=True))
            raise DataError(
                f"{volume.source}: the grey value at z {z}, y {y}, x {x} is no number; repair the "
                "volume, or keep off it with data.layers, rows or columns"
            )
        if self.scales is None:
            return values.astype(np.float32)
        return self.scales.apply(volume.source, values)

    def _drawn(self, i: int, epoch: int) -> tuple[Place, NDArray[Any] | None]:
        """The window of a sample, with its grey values if the draw has read them."""
        if self.split != "train":
            return self._grid[i], None
        most = -1.0
        values: NDArray[Any] | None = None

        def papyrus(place: Place) -> float:
            """Share of a window's voxels; of windows with more than any before the values stay."""
            nonlocal most, values
            own = self.raw(place)
            share = float(np.mean(own > (self.scroll.papyrus_above or 0.0)))
            if share > most:  # as `Drawing.place` chooses: the first of those with the most
                most, values = share, own
            return share

        place = self._drawing.place(i, epoch, papyrus)
        return place, values

    def _check_labels(self) -> bool:
        without = [volume.source for volume in self.volumes if volume.labels is None]
        if not without:
            return True
        if len(without) < len(self.volumes):
            raise DataError(
                f"data.labels: {without[0]} has no {self.scroll.labels!r}, and other volumes have; "
                "label all of them, leave it out, or give labels: null"
            )
        if self.scroll.edge_share or self.scroll.ink_share is not None:
            raise DataError(
                f"data.labels: {without[0]} has no {self.scroll.labels!r}, which edge_share and "
                "ink_share need; give labels, or drop them"
            )
        return False


def _first_bad(values: NDArray[Any]) -> Triple:
    z, y, x = np.argwhere(~np.isfinite(values))[0]
    return int(z), int(y), int(x)
