"""Tiles of the output, one forward pass each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hpctrain.data.inputs import FieldInputs
from hpctrain.models import Noise, SampleNoise, ZeroNoise, crop_to
from hpctrain.predict.choose import Field, Tiling, choose_tiles
from hpctrain.predict.noise import Layer, PlacedNoise, layers_of
from hpctrain.predict.options import Triple
from hpctrain.predict.tiles import Block, add_tile
from hpctrain.predict.trained import Trained
from hpctrain.tasks.super_resolution.networks import call_without_noise
from hpctrain.tasks.super_resolution.pair import generate
from hpctrain.train.draws import sample_seed
from hpctrain.train.precision import Precision

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Draw:
    """One member of an ensemble."""

    seed: int | None
    """Of its noise; None: none."""
    style: tuple[float, ...] = ()


def tiling_of(
    trained: Trained,
    inputs: FieldInputs,
    memory_mb: int,
    tile: Sequence[int],
    overlap: int | None,
) -> Tiling:
    """Choose tiles of whole inputs; see `choose_tiles`."""
    a, b, c = (mode == "periodic" for mode in inputs.modes)
    has_frames = inputs.frame is not None
    field = Field(inputs.shape, (a, b, c), inputs.fields.crop, has_frames)
    memory = memory_mb * 1_000_000
    return choose_tiles(trained, field, call_without_noise, tile, overlap, memory)


class Predictor:
    """Computes blocks of output fields."""

    def __init__(
        self,
        trained: Trained,
        inputs: FieldInputs,
        tiling: Tiling,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.trained, self.inputs, self.tiling, self.device = trained, inputs, tiling, device
        self.plan, self.factor = tiling.plan, trained.settings.upscale_factor
        self.network = trained.network.to(device)
        precision.apply_layout({"generator": self.network})
        self._autocast: Callable[[], AbstractContextManager[None]] = (
            precision.autocast(device) or nullcontext
        )
        self._layers = _layers(trained, tiling)

    @property
    def has_noise(self) -> bool:
        """Whether the network takes noise."""
        return bool(getattr(self.network, "has_noise", False))

    @property
    def draws_by_tile(self) -> bool:
        """Whether noise belongs to tiles instead of places in the field."""
        return self.has_noise and self._layers is None

    def block(
        self, sample: int, block: Block, draw: Draw, tell: Callable[[], None] = lambda: None
    ) -> Array:
        """One block of a sample's output, (C, n0, n1, n2), in physical units.

        Args:
            sample: number of the sample.
            block: of the plan.
            draw: which member.
            tell: called after each tile.
        """
        whole = np.zeros((self.trained.channels[1], *block.shape), np.float32)
        tiles = self.plan.tiles_of(block)
        with ThreadPoolExecutor(1, "read") as reader:
            ahead = self._submit(reader, sample, tiles[0][0])
            for i, (number, places) in enumerate(tiles):
                x = ahead.result()
                if i + 1 < len(tiles):
                    ahead = self._submit(reader, sample, tiles[i + 1][0])
                add_tile(whole, block, self._tile(x, number, draw), places)
                tell()
        return whole

    def _submit(self, reader: ThreadPoolExecutor, sample: int, number: Triple) -> Future[Tensor]:
        return reader.submit(self._read, sample, self.plan.start(number))

    def _read(self, sample: int, start: Triple) -> Tensor:
        values = self.inputs.read(sample, start, self.plan.tile, self.tiling.halo)
        x = torch.from_numpy(values)[None]
        return x.pin_memory() if self.device.type == "cuda" else x

    @torch.inference_mode()
    def _tile(self, x: Tensor, number: Triple, draw: Draw) -> Array:
        start = self.plan.start(number)
        size = [n * self.factor for n in self.plan.tile]
        x = x.to(self.device, non_blocking=True)
        style = None
        if draw.style:
            style = torch.tensor([draw.style], dtype=torch.float32, device=self.device)
        noise = self._noise(draw, number, start)
        with self._autocast():
            y = crop_to(self._forward(x, noise, style), size)
        found = self.trained.scales.denormalize(y.double()).float()[0].cpu().numpy()
        self.inputs.turn_back(found, start)
        return found

    def _forward(self, x: Tensor, noise: Noise, style: Tensor | None) -> Tensor:
        if not self.trained.is_planar:
            return generate(self.network, x, noise, style)
        # planes know nothing of each other
        planes = x[0].transpose(0, 1)[:, :, None]
        if style is not None:
            style = style.expand(len(planes), -1)
        made = generate(self.network, planes, noise, style)
        return made[:, :, 0].transpose(0, 1)[None]

    def _noise(self, draw: Draw, number: Triple, start: Triple) -> Noise:
        if draw.seed is None or not self.has_noise:
            return ZeroNoise()
        if self._layers is None:
            # where its layers lie is not known: each tile, or plane of one, has draws of its own
            a, b, c = number
            if not self.trained.is_planar:
                return SampleNoise([sample_seed(draw.seed, a, b, c)])
            rows = range(start[0], start[0] + self.plan.tile[0])
            return SampleNoise([sample_seed(draw.seed, row, b, c) for row in rows])
        first, period = zip(
            *(
                (s - h, axis.size if axis.is_periodic else None)
                for s, h, axis in zip(start, self.tiling.halo, self.plan.axes, strict=True)
            ),
            strict=True,
        )
        return PlacedNoise(draw.seed, self._layers, _three(first), _three(period))


def _layers(trained: Trained, tiling: Tiling) -> tuple[Layer, ...] | None:
    """Where the noisy layers lie; None where that cannot be found out."""
    if not getattr(trained.network, "has_noise", False) or trained.is_planar:
        return None

    def call(network: nn.Module, x: Tensor, noise: Noise) -> Tensor:
        style = torch.zeros(1, getattr(network, "style_size", 1), device=x.device)
        return generate(network, x, noise, style)

    a, b, c = (n + 2 * h for n, h in zip(tiling.plan.tile, tiling.halo, strict=True))
    try:
        return layers_of(trained.meta, call, trained.channels[0], (a, b, c), tiling.period)
    except Exception:  # noqa: BLE001 - the user's own network may do what the meta device cannot
        return None


def _three(values: Sequence[int]) -> tuple[int, int, int]:
    a, b, c = values
    return a, b, c
