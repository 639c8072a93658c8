"""Whole fields put together from the samples that cover them, in physical units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpctrain.data import FieldDataset
from hpctrain.errors import ConfigError
from hpctrain.formats.hdf5 import fill_header
from hpctrain.index.fields.layout import NAMES
from hpctrain.index.headers.file import read_header
from hpctrain.models import (
    Noise,
    SampleNoise,
    ZeroNoise,
    crop_to,
    upsample_tricubic,
    upsample_trilinear,
)
from hpctrain.tasks.super_resolution.evaluation import baseline_of
from hpctrain.tasks.super_resolution.pair import generate
from hpctrain.train.draws import sample_seeds

Array = NDArray[np.float32]
MEMBER_STREAM = 2


@dataclass(frozen=True)
class Tiles:
    """How samples of a validation data set become whole fields."""

    dataset: FieldDataset
    generator: nn.Module
    factor: int
    halo: tuple[int, int, int]
    device: torch.device
    seed: int

    def __post_init__(self) -> None:
        covered = np.zeros(self.dataset.coarse_shape, bool)
        for anchor in self.dataset.anchors:
            _place(covered[None], np.ones((1, *self.dataset.fields.crop), bool), anchor)
        if not covered.all():
            raise ConfigError(
                "data: the samples do not cover the whole field, so that it cannot be evaluated; "
                "leave out crop_start, crop_stop and stride, or take padding other than none"
            )

    @property
    def num_files(self) -> int:
        """Whole fields of the data set."""
        return len(self.dataset) // self.dataset.samples_per_file

    @property
    def fields_size(self) -> tuple[int, int, int]:
        """Cells of a whole field."""
        a, b, c = (n * self.factor for n in self.dataset.coarse_shape)
        return a, b, c

    def name(self, file: int) -> str:
        """Name of a field, as the index has it."""
        return self.dataset.sample_name(file * self.dataset.samples_per_file).split(" [")[0]

    def coordinates(self) -> list[NDArray[np.float64] | None]:
        """Centres along each axis; None where unknown."""
        found: list[NDArray[np.float64] | None] = [np.zeros(n) for n in self.fields_size]
        for i, anchor in enumerate(self.dataset.anchors):
            for axis, values in enumerate(self.dataset.coordinates(i)):
                whole = found[axis]
                if values is None or whole is None:
                    found[axis] = None
                    continue
                cells = np.arange(len(values)) + anchor[axis] * self.factor
                whole[cells % len(whole)] = values
        return found

    @property
    def radius_unit(self) -> str:
        """Unit of the radii, as the first file has it; empty where it has none."""
        header = fill_header(read_header(self.dataset.paths(0)[0]))
        named = (a for a in header.arrays if a.name.lower() in NAMES["r"])
        return next((str(a.attributes.get("units", "")) for a in named), "")

    def fields(self, file: int, members: Sequence[int]) -> dict[str, Array]:
        """Truth, plain upsamplings and generated fields of one file.

        Args:
            file: its number.
            members: numbers of noise draws.

        Returns:
            (C, n0, n1, n2) by kind, and `members` (N, C, n0, n1, n2).
        """
        channels = len(self.dataset.variables)
        wholes: dict[str, Array] = {}
        for anchor in range(self.dataset.samples_per_file):
            first = [n * self.factor for n in self.dataset.anchors[anchor]]
            i = file * self.dataset.samples_per_file + anchor
            for kind, part in self._sample(i, members).items():
                if kind not in wholes:
                    wholes[kind] = np.zeros((channels, *self.fields_size), np.float32)
                _place(wholes[kind], part, first)
        drawn = [wholes.pop(f"member {m}") for m in members]
        return {**wholes, **({"members": np.stack(drawn)} if drawn else {})}

    def _sample(self, i: int, members: Sequence[int]) -> dict[str, Array]:
        dataset = self.dataset
        given, target = (np.empty((1, *s), np.float32) for s in _shapes(dataset))
        dataset.read_into(i, 0, given[0], target[0])
        x = torch.from_numpy(given).to(self.device)
        style = None
        if dataset.styles is not None:
            style = torch.from_numpy(dataset.styles[dataset.file_of(i)][None]).to(self.device)

        def make(noise: Noise) -> Tensor:
            return crop_to(generate(self.generator, x, noise, style), target.shape[2:])

        with torch.no_grad():
            fields = {"truth": torch.from_numpy(target), "generator": make(ZeroNoise())}
            for member in members:
                seeds = sample_seeds(self.seed, member, (i,), MEMBER_STREAM)
                fields[f"member {member}"] = make(SampleNoise(seeds))
            plain: dict[str, Tensor] = {}
            if baseline_of(dataset) == "trilinear":
                plain["trilinear"] = upsample_trilinear(x, self.factor, self.halo)
                plain["tricubic"] = upsample_tricubic(x, self.factor, self.halo)
            elif baseline_of(dataset) == "input":
                plain["input"] = upsample_trilinear(x, 1, self.halo)
        found = {}
        for kind, field in {**fields, **plain}.items():
            physical = field.float().cpu()
            if dataset.scales is not None:
                scales = dataset.scales.for_inputs if kind in plain else dataset.scales
                physical = scales.denormalize(physical)
            found[kind] = physical[0].numpy().copy()
            dataset.turn_back(i, found[kind])
        return found


def _shapes(dataset: FieldDataset) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return dataset.input_shape, dataset.target_shape


def _place(whole: NDArray, part: NDArray, first: Sequence[int]) -> None:  # type: ignore[type-arg]
    """Write a tile into the whole; over the end of a periodic axis it goes on at the start."""
    grids = [
        (np.arange(n) + start) % size
        for n, start, size in zip(part.shape[1:], first, whole.shape[1:], strict=True)
    ]
    whole[(slice(None), *np.ix_(*grids))] = part
