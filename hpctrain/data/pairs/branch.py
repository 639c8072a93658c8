"""Crops for one encoder: out of planes, with given draws, in batch on whatever device."""

from __future__ import annotations

import torch
from torch import Tensor

from hpctrain.config.pair_data import CAMERA_OFFSET, CAMERA_SCALE, Four, PairModality, Thermal
from hpctrain.data.pairs.change import change_colours, change_temperatures
from hpctrain.data.pairs.resample import Size, resample

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours."""
GREY_MEAN, GREY_STD = 0.449, 0.226


class Branch:
    """Knows how crops of one modality are made and normalised."""

    def __init__(
        self, modality: PairModality, thermal: Thermal, aspect: float, edges: Four | None
    ) -> None:
        """Remember the settings.

        Args:
            modality: of the `data:` block.
            thermal: of the `data:` block.
            aspect: width over height of the scene.
            edges: of the bins, where its channels are such.
        """
        self.channels, self.aspect, self.edges = modality.channels, aspect, edges
        self.offset = CAMERA_OFFSET if thermal.offset is None else thermal.offset
        self.scale = CAMERA_SCALE if thermal.scale is None else thermal.scale
        is_rgb = modality.channels == "rgb"
        self.mean = tuple(modality.mean or (MEAN if is_rgb else (GREY_MEAN,)))
        self.std = tuple(modality.std or (STD if is_rgb else (GREY_STD,)))

    def optical(self, planes: Tensor, parts: Tensor, size: Size, table: Tensor | None) -> Tensor:
        """Normalised optical channels.

        Args:
            planes: (B, H, W, 3) or (B, H, W, 1), uint8.
            parts: (B, 7), see `resample`.
            size: of the crops.
            table: (B, 6), see `change_colours`; None: nothing changes.

        Returns:
            (B, 3, h, w) or (B, 1, h, w) float32.
        """
        crops = resample(planes, parts, size, self.aspect) / 255
        if table is not None:
            crops = change_colours(crops, table)
        mean, std = (torch.tensor(n, device=crops.device) for n in (self.mean, self.std))
        return (crops - mean[:, None, None]) / std[:, None, None]

    def thermal(
        self,
        planes: Tensor,
        parts: Tensor,
        size: Size,
        changes: tuple[Tensor, Tensor] | None,
    ) -> Tensor:
        """Normalised thermal channels.

        Args:
            planes: (B, H, W, 1) float32, degrees or other values.
            parts: (B, 7), see `resample`.
            size: of the crops.
            changes: table (B, 4) and keys (B,), see `change_temperatures`; None: nothing changes.

        Returns:
            (B, 1, h, w), or (B, 3, h, w) for bins, float32.
        """
        crops = resample(planes, parts, size, self.aspect)
        if changes is not None:
            crops = change_temperatures(crops, *changes)
        if self.channels != "temperature_bins":
            return (crops - self.offset) / self.scale
        if self.edges is None:
            raise ValueError("bins of temperature need edges; set `scales` first")
        low, high = (torch.tensor(e, device=crops.device) for e in (self.edges[:3], self.edges[1:]))
        shares = (crops - low[:, None, None]) / (high - low)[:, None, None]
        return 2 * shares.clamp(0, 1) - 1
