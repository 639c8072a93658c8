"""One validation field put together from its tiles, and its slices as a figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hpctrain.analysis import figures
from hpctrain.data import FieldDataset
from hpctrain.models import crop_to, upsample_trilinear
from hpctrain.models.noise import ZeroNoise
from hpctrain.tasks.super_resolution.pair import generate

Array = NDArray[np.float32]

_MAX_CELLS = 4_000_000
"""Larger fields are shown by one tile: a picture must not hold up the other ranks."""


@dataclass(frozen=True)
class Picture:
    """Physical values of one field, (C, n0, n1, n2), finely and coarsely resolved."""

    name: str
    variables: tuple[str, ...]
    units: tuple[str, ...]
    radii_km: Array | None
    truth: Array
    coarse: Array | None
    """None where inputs are other variables."""
    trilinear: Array | None
    """None at one resolution."""
    generated: Array

    @classmethod
    def take(
        cls,
        dataset: FieldDataset,
        generator: nn.Module,
        factor: int,
        halo: tuple[int, int, int],
        device: torch.device,
    ) -> Picture:
        """Super-resolve the first field of a data set, tile by tile, without noise.

        A halo carries all that a tile needs to know, so without noise neighbouring tiles fit; but
        on a sphere each tile's velocities stand in the tile's own frame, and a generator that has
        not learned to turn with them leaves faint seams.
        """
        shape = tuple(n * factor for n in dataset.coarse_shape)
        is_whole = int(np.prod(shape)) <= _MAX_CELLS and _is_covered(dataset)
        tiles = range(len(dataset.anchors) if is_whole else 1)
        if not is_whole:
            shape = dataset.target_shape[1:]
        channels = len(dataset.variables)
        fine = [np.zeros((channels, *shape), np.float32) for _ in range(3)]
        coarse = np.zeros((channels, *(n // factor for n in shape)), np.float32)
        radii: Array | None = np.zeros(shape[0], np.float32)
        for i in tiles:
            first = dataset.anchors[i] if is_whole else (0, 0, 0)
            *found, small = _tile(dataset, i, generator, factor, halo, device)
            for whole, part in zip(fine, found, strict=True):
                _place(whole, part, [n * factor for n in first])
            _place(coarse, small, first)
            r = dataset.coordinates(i)[0]
            if r is None:
                radii = None
            elif radii is not None:
                radii[first[0] * factor : first[0] * factor + len(r)] = r
        name = dataset.sample_name(0)
        return cls(
            name.split(" [")[0] if is_whole else name,
            dataset.variables,
            dataset.units or ("",) * channels,
            radii if dataset.fields.geometry == "sphere" else None,
            truth=fine[0],
            coarse=coarse if dataset.num_input_channels == channels else None,
            trilinear=fine[1] if dataset.factor > 1 else None,
            generated=fine[2],
        )


def draw_picture(picture: Picture, variable: int, epoch: int) -> Any:
    """Slices of one variable: input, trilinear, generated, truth."""
    one = slice(variable, variable + 1)
    depth = picture.truth.shape[1]
    layers = figures.pick_layers(depth)
    radii = picture.radii_km
    is_sphere = radii is not None
    titles = [
        figures.layer_title(
            i,
            depth,
            float(radii[i]) if radii is not None else None,
            "shell" if is_sphere else "layer",
        )
        for i in layers
    ]
    name = picture.variables[variable]
    drawn = figures.slices(
        picture.truth[one],
        None if picture.coarse is None else picture.coarse[one],
        None if picture.trilinear is None else picture.trilinear[one],
        picture.generated[one],
        [name],
        units=[picture.units[variable]],
        layers=layers,
        layer_titles=titles,
        title=f"epoch {epoch}, {picture.name}",
        axis_names=("latitude", "longitude") if is_sphere else ("y", "z"),
    )
    return drawn[name]


def _tile(
    dataset: FieldDataset,
    i: int,
    generator: nn.Module,
    factor: int,
    halo: tuple[int, int, int],
    device: torch.device,
) -> tuple[Array, Array, Array, Array]:
    """Truth, trilinear, generated, input of a sample, (C, ...), physical, in the globe's frame."""
    inputs = np.empty((1, *dataset.input_shape), np.float32)
    targets = np.empty((1, *dataset.target_shape), np.float32)
    dataset.read_into(i, 0, inputs[0], targets[0])
    x = torch.from_numpy(inputs).to(device)
    with torch.no_grad():
        generated = generate(generator, x, ZeroNoise(), _style(dataset, i, device))
        generated = crop_to(generated, targets.shape[2:]).float().cpu()
        trilinear = upsample_trilinear(x, factor, halo).float().cpu()
    small = upsample_trilinear(torch.from_numpy(inputs), 1, halo)
    fine, coarse = [torch.from_numpy(targets), generated], [trilinear, small]
    if dataset.scales is not None:
        fine = [dataset.scales.denormalize(a) for a in fine]
        coarse = [dataset.scales.for_inputs.denormalize(a) for a in coarse]
    channels = targets.shape[1]
    if inputs.shape[1] != channels:  # other variables, which are not shown
        coarse = [torch.zeros(1, channels, *a.shape[2:]) for a in coarse]
    truth, made, upsampled, given = (a[0].numpy().copy() for a in (*fine, *coarse))
    for array in (truth, made, upsampled, given):
        dataset.turn_back(i, array)
    return truth, upsampled, made, given


def _style(dataset: FieldDataset, i: int, device: torch.device) -> torch.Tensor | None:
    if dataset.styles is None:
        return None
    return torch.from_numpy(dataset.styles[dataset.file_of(i)][None]).to(device)


def _is_covered(dataset: FieldDataset) -> bool:
    """Whether the samples of a file fill its whole field."""
    covered = np.zeros(dataset.coarse_shape, bool)
    for anchor in dataset.anchors:
        _place(covered[None], np.ones((1, *dataset.fields.crop), bool), anchor)
    return bool(covered.all())


def _place(whole: NDArray[Any], part: NDArray[Any], first: list[int] | tuple[int, ...]) -> None:
    """Write a tile into the whole; a tile over the end of a periodic axis goes on at its start."""
    grids = [
        (np.arange(n) + start) % size
        for n, start, size in zip(part.shape[1:], first, whole.shape[1:], strict=True)
    ]
    whole[(slice(None), *np.ix_(*grids))] = part
