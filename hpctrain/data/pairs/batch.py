"""One rank's share of a batch of pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

Crops = Mapping[str, tuple[Tensor, ...]]
"""Modality to its crops, each (B, C, h, w): first those of the whole scale, then local ones."""


@dataclass(frozen=True)
class Material:
    """What crops are made of: planes of pictures, and the draws."""

    planes: Mapping[str, Tensor]
    """By modality and kind, such as `ir.thermal`: (B, H, W, C)."""
    draws: Mapping[str, Tensor]
    """Tables by name: (B, V, ...), V crops; they stay on the host."""

    def part(self, part: slice) -> Material:
        """That of some samples."""
        return Material(
            {name: plane[part] for name, plane in self.planes.items()},
            {name: table[part] for name, table in self.draws.items()},
        )


MakeCrops = Callable[[Material], Crops]


@dataclass(frozen=True)
class PairBatch:
    """One rank's share of a batch, or a part of it."""

    ids: tuple[int, ...]
    """Numbers of the samples in the split."""
    epoch: int
    crops: Crops
    """By modality, float32, normalised; crop n of both shows the same part of the scene. Empty
    before `augmented`, where crops are made on the device."""
    num_global_crops: int
    """Crops before the local ones."""
    step: int = 0
    """Batch within the epoch."""
    num_global: int = 0
    """Samples of the batch over all ranks."""
    is_filler: bool = False
    """One sample that must count nothing; see `Share`."""
    material: Material | None = None
    """What crops are still to be made of; None: they are there."""
    make_crops: MakeCrops | None = field(default=None, repr=False)

    @property
    def num_samples(self) -> int:
        """Samples that count."""
        return 0 if self.is_filler else len(self.ids)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What a device needs."""
        if self.material is not None:
            return tuple(self.material.planes.values())
        return tuple(crop for crops in self.crops.values() for crop in crops)

    def augmented(self) -> PairBatch:
        """The batch with its crops, made where its planes are; itself if they are there."""
        if self.material is None or self.make_crops is None:
            return self
        return replace(self, crops=self.make_crops(self.material), material=None)

    def to(self, device: object, *, non_blocking: bool = False) -> PairBatch:
        """The batch on a device; draws stay on the host."""

        def moved(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=non_blocking)  # type: ignore[call-overload, no-any-return]

        material = self.material
        if material is not None:
            planes = {name: moved(plane) for name, plane in material.planes.items()}
            material = Material(planes, material.draws)
        crops = {name: tuple(map(moved, own)) for name, own in self.crops.items()}
        return replace(self, crops=crops, material=material)

    def micro(self, count: int) -> list[PairBatch]:
        """Cut into parts of nearly one size for gradient accumulation.

        There are always `count` parts: those that a small share does not reach are fillers.
        """
        n = self.num_samples
        return [self._part(i * n // count, (i + 1) * n // count) for i in range(count)]

    def _part(self, first: int, end: int) -> PairBatch:
        is_filler = first == end
        part = slice(0, 1) if is_filler else slice(first, end)
        crops = {name: tuple(crop[part] for crop in own) for name, own in self.crops.items()}
        material = None if self.material is None else self.material.part(part)
        return replace(
            self, ids=self.ids[part], crops=crops, material=material, is_filler=is_filler
        )
