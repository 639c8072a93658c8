"""Samples of a training on pairs: crops of both pictures that show the same part of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpctrain.config.pair_data import PairModality, Pairs
from hpctrain.data.batch import AfterSample
from hpctrain.data.pairs.batch import Crops, Material, PairBatch
from hpctrain.data.pairs.branch import Branch
from hpctrain.data.pairs.draw import WHOLE, Drawing
from hpctrain.data.pairs.planes import Planes, check_rows, kinds_of
from hpctrain.data.pairs.scales import PairScales
from hpctrain.data.sampler import Share
from hpctrain.index.table import Index, Row

Size = tuple[int, int]
ALL = "all"
"""Name of a split that holds every usable row."""


class PairDataset:
    """Pairs of one split.

    A training sample is cropped and changed by draws of its own in every epoch; all others are the
    whole pictures, as they are.
    """

    def __init__(
        self,
        pairs: Pairs,
        index: Index,
        split: str,
        seed: int,
        *,
        cache: Path | None = None,
        scales: PairScales | None = None,
        is_augmented: bool | None = None,
    ) -> None:
        """Open the split; no picture is read.

        Args:
            pairs: the `data:` block.
            index: what the run reads.
            split: train, validation, test, or all.
            seed: of all draws.
            cache: folder of decoded pictures; None: each is decoded each time.
            scales: what was measured; may be set later.
            is_augmented: whether samples are cropped and changed; None: those of train are.

        Raises:
            DataError: the split has no sample.
        """
        usable = (row for row in index.rows if row.status == "ok")
        self.rows: tuple[Row, ...] = tuple(usable) if split == ALL else index.split(split)
        check_rows(self.rows, split)
        self.pairs, self.split, self.seed, self.root = pairs, split, seed, index.root
        self.is_augmented = split == "train" if is_augmented is None else is_augmented
        self.scales = scales or PairScales()
        self._planes = Planes(pairs, index, cache)
        ir = pairs.modalities.ir
        self._aspect = ir.size[1] / ir.size[0]
        local = ir.local_crop or ir.crop
        stretches = (self._aspect * ir.crop[0] / ir.crop[1], self._aspect * local[0] / local[1])
        self._drawing = Drawing(pairs.views, seed, stretches)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def missing_bytes(self) -> int:
        """Most room on the disk that decoded pictures of the index will yet take."""
        return self._planes.missing_bytes

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the samples."""
        return tuple(row.id for row in self.rows)

    @property
    def channels(self) -> dict[str, int]:
        """Channels of each modality."""
        return {name: m.num_channels for name, m in self.pairs.modalities.items()}

    @property
    def num_global_crops(self) -> int:
        """Crops of a sample before the local ones."""
        return self.pairs.views.count if self.is_augmented else 1

    @property
    def sample_bytes(self) -> int:
        """Memory of a sample's crops in all."""
        own = ((m.num_channels, self._sizes(m)) for _, m in self.pairs.modalities.items())
        return 4 * sum(channels * h * w for channels, sizes in own for h, w in sizes)

    def size(self, modality: str) -> Size:
        """Rows and columns of a modality's (global) crops."""
        return self._sizes(getattr(self.pairs.modalities, modality))[0]

    def paths(self, i: int) -> list[Path]:
        """The files of a sample."""
        return [
            self.root / name
            for m in self.rows[i].columns.modalities
            for name in self.rows[i].paths(m)
        ]

    def sample_name(self, i: int, epoch: int | None = None) -> str:
        """Id of a sample."""
        return self.rows[i].id

    def read_batch(
        self, share: Share, after_sample: AfterSample | None = None, *, pin: bool = False
    ) -> PairBatch:
        """Read the samples of a share.

        Args:
            share: which.
            after_sample: called with number and epoch of each that was read.
            pin: into pinned memory.

        Raises:
            DataError: a file that cannot be decoded, or was changed since it was indexed.
        """
        is_late = self.is_augmented and self.pairs.augment_on == "device"
        found: list[Any] = []
        for i in share.ids:
            material = self._material(i, share.epoch)
            found.append(material if is_late else self._make_crops(material))
            if after_sample is not None:
                after_sample(i, share.epoch)
        return PairBatch(
            share.ids,
            share.epoch,
            {} if is_late else _joined(found, pin),
            self.num_global_crops,
            share.step,
            share.num_global,
            share.is_filler,
            _joined_material(found, pin) if is_late else None,
            self._make_crops if is_late else None,
        )

    def temperatures(self, i: int) -> NDArray[np.float32]:
        """Degrees of a sample's thermal picture, (H, W)."""
        both = (m for _, m in self.pairs.modalities.items() if m.is_thermal)
        values = self._planes.read(self.rows[i], "thermal", next(both).size)
        return values[..., 0].astype(np.float32)

    def whole(self, i: int, modality: str) -> NDArray[np.generic]:
        """A sample's picture that crops are taken from, for figures: the first kind of plane."""
        own: PairModality = getattr(self.pairs.modalities, modality)
        return self._planes.read(self.rows[i], kinds_of(own)[0], own.size)

    def _sizes(self, modality: PairModality) -> list[Size]:
        """Of each crop."""
        if not self.is_augmented:
            return [modality.validation_size or modality.size]
        views = self.pairs.views
        local = [modality.local_crop or modality.crop] * views.local_count
        return [modality.crop] * views.count + local

    def _material(self, i: int, epoch: int) -> Material:
        row, planes, draws = self.rows[i], {}, {}
        views = range(self.pairs.views.total) if self.is_augmented else range(1)
        draw = self._drawing
        parts = [draw.part(i, epoch, v) if self.is_augmented else WHOLE for v in views]
        draws["part"] = torch.tensor([parts], dtype=torch.float64)
        for branch, (name, modality) in enumerate(self.pairs.modalities.items()):
            for kind in kinds_of(modality):
                plane = self._planes.read(row, kind, modality.size)
                planes[f"{name}.{kind}"] = torch.from_numpy(np.array(plane))[None]
            if not self.is_augmented:
                continue
            if modality.is_optical:
                draws[f"{name}.colour"] = _table(draw.colour(i, epoch, v, branch) for v in views)
            if modality.is_thermal:
                draws[f"{name}.warmth"] = _table(draw.thermal(i, epoch, v, branch) for v in views)
                keys = [draw.noise_key(i, epoch, v, branch) for v in views]
                draws[f"{name}.key"] = torch.tensor([keys])
        return Material(planes, draws)

    def _make_crops(self, material: Material) -> Crops:
        """Crops of each modality, for all samples at once."""
        found = {}
        for name, modality in self.pairs.modalities.items():
            branch = Branch(modality, self.pairs.thermal, self._aspect, self.scales.edges)
            found[name] = tuple(
                self._crop(branch, material, name, view, size)
                for view, size in enumerate(self._sizes(modality))
            )
        return found

    def _crop(self, branch: Branch, material: Material, name: str, view: int, size: Size) -> Tensor:
        planes, draws = material.planes, material.draws
        parts, channels = draws["part"][:, view], []
        for kind in ("rgb", "grey"):
            if f"{name}.{kind}" in planes:
                table = draws[f"{name}.colour"][:, view] if self.is_augmented else None
                channels.append(branch.optical(planes[f"{name}.{kind}"], parts, size, table))
        if f"{name}.thermal" in planes:
            changes = None
            if self.is_augmented:
                changes = draws[f"{name}.warmth"][:, view], draws[f"{name}.key"][:, view]
            channels.append(branch.thermal(planes[f"{name}.thermal"], parts, size, changes))
        return torch.cat(channels, 1) if len(channels) > 1 else channels[0]


def _table(rows: Any) -> Tensor:
    """(1, V, N) float64."""
    return torch.from_numpy(np.stack(list(rows)))[None]


def _joined(found: Sequence[Crops], pin: bool) -> Crops:
    return {
        name: tuple(_cat([own[name][n] for own in found], pin) for n in range(len(crops)))
        for name, crops in found[0].items()
    }


def _joined_material(found: Sequence[Material], pin: bool) -> Material:
    planes = {name: _cat([m.planes[name] for m in found], pin) for name in found[0].planes}
    draws = {name: torch.cat([m.draws[name] for m in found]) for name in found[0].draws}
    return Material(planes, draws)


def _cat(parts: Sequence[Tensor], pin: bool) -> Tensor:
    joined = torch.cat(list(parts))
    return joined.pin_memory() if pin else joined
