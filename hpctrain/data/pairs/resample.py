"""Parts of pictures at another size: antialiased, in batch, with equal results on every device.

Each axis is resampled by a matrix whose rows are triangle filters as wide as the pixels of the
result (those of Pillow's and torchvision's antialiased bilinear resizing, but for whole parts of
pixels), so that a batch is two matrix products. A part that is turned is resampled to a canvas of
the same pixels first, and read from that by bilinear interpolation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Size = tuple[int, int]
TOP, LEFT, HEIGHT, WIDTH, ANGLE, ACROSS, DOWN = range(7)
"""Columns of a table of parts, see `draw.Part`."""
_LEAST = 1e-6
_BLOCK = 32
"""Pixels of a result that share a product: a filter reaches few of all cells."""


def resample(planes: Tensor, parts: Tensor, size: Size, aspect: float) -> Tensor:
    """Read a part of each picture.

    Args:
        planes: (B, H, W, C) float32 or uint8.
        parts: (B, 7) float64, on the CPU: see `draw.Part`.
        size: rows and columns of the result.
        aspect: width over height of the scene that a picture shows, for turning.

    Returns:
        (B, C, rows, columns) float32.
    """
    pad = _padding(parts, size, aspect)
    canvas = (size[0] + 2 * pad[0], size[1] + 2 * pad[1])
    device, (height, width) = planes.device, planes.shape[1:3]
    rows = _Axis(parts[:, TOP], parts[:, HEIGHT], parts[:, DOWN], (height, size[0], canvas[0]))
    columns = _Axis(parts[:, LEFT], parts[:, WIDTH], parts[:, ACROSS], (width, size[1], canvas[1]))
    with _exactly(device):
        if len(planes) == 1 and device.type == "cpu":
            found = _apply_blocks(planes[0], rows.blocks(), columns.blocks())[None]
        else:
            both = (axis.filters().to(device) for axis in (rows, columns))
            found = _apply(planes.float(), *both)
        if pad == (0, 0):
            return found
        return _turned(found, parts, size, aspect)


class _Axis:
    """Filters along one axis of each picture; the canvas has the middle of the part as its own."""

    def __init__(
        self, start: Tensor, length: Tensor, direction: Tensor, sizes: tuple[int, int, int]
    ) -> None:
        """Place the pixels.

        Args:
            start: (B,) first point of each part, as a share.
            length: (B,) its length, as a share.
            direction: (B,) -1 where it is mirrored.
            sizes: cells of a picture, pixels of the result, pixels of the canvas.
        """
        self.cells, count, canvas = sizes
        pitch = length * self.cells / count
        middle = (start + length / 2) * self.cells
        offsets = torch.arange(canvas, dtype=torch.float64) + 0.5 - canvas / 2
        places = middle[:, None] + (direction * pitch)[:, None] * offsets
        # outside of the picture it is mirrored
        places = (places.remainder(2 * self.cells) - self.cells).abs().sub(self.cells).abs()
        self._places, self._support = places, pitch.clamp(min=1.0)

    def filters(self) -> Tensor:
        """(B, canvas, cells) float32; each sums to 1."""
        return _triangles(self._places, self._support, 0, self.cells)

    def blocks(self) -> list[Block]:
        """Those of the first picture by groups, each with the cells that they reach."""
        reach, found = float(self._support[0]) + 0.5, []
        for start in range(0, self._places.shape[1], _BLOCK):
            places = self._places[0, start : start + _BLOCK]
            low, high = places.min().item(), places.max().item()
            first, last = max(0, int(low - reach)), min(self.cells, math.ceil(high + reach))
            weights = _triangles(places[None], self._support[:1], first, last)[0]
            found.append(Block(first, last, weights))
        return found


class Block(NamedTuple):
    """Filters (n, last - first) of neighbouring pixels on the cells [first, last)."""

    first: int
    last: int
    weights: Tensor


def _triangles(places: Tensor, support: Tensor, first: int, last: int) -> Tensor:
    centres = torch.arange(first, last, dtype=torch.float64) + 0.5
    apart = (centres - places[:, :, None]).abs_().div_(support[:, None, None])
    weights = apart.neg_().add_(1).clamp_(min=0)
    return (weights / weights.sum(-1, keepdim=True)).float()


def _apply(planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    batch, height, width, channels = planes.shape
    flat = planes.reshape(batch, height, width * channels)
    lines = torch.bmm(rows, flat).reshape(batch, rows.shape[1], width, channels)
    lines = lines.permute(0, 3, 1, 2).reshape(batch, channels * rows.shape[1], width)
    found = torch.bmm(lines, columns.transpose(1, 2))
    return found.reshape(batch, channels, rows.shape[1], columns.shape[1])


def _apply_blocks(plane: Tensor, rows: list[Block], columns: list[Block]) -> Tensor:
    """The same for one picture on the CPU, by products of what the filters reach alone.

    Args:
        plane: (H, W, C).
        rows: filters of its rows.
        columns: filters of its columns.
    """
    left, right = min(b.first for b in columns), max(b.last for b in columns)
    width, channels = right - left, plane.shape[2]
    parts = (plane[b.first : b.last, left:right].float() for b in rows)
    lines = torch.cat(
        [b.weights @ p.reshape(-1, width * channels) for b, p in zip(rows, parts, strict=True)]
    )
    height = len(lines)
    lines = lines.reshape(height, width, channels).permute(2, 0, 1).reshape(-1, width)
    parts = (lines[:, b.first - left : b.last - left] for b in columns)
    found = torch.cat([p @ b.weights.T for b, p in zip(columns, parts, strict=True)], 1)
    return found.reshape(channels, height, -1)


def _steps(parts: Tensor, size: Size, aspect: float) -> Tensor:
    """Width over height of a pixel of each result, in the scene."""
    return (parts[:, WIDTH] * aspect / size[1]) / (parts[:, HEIGHT] / size[0])


def _padding(parts: Tensor, size: Size, aspect: float) -> Size:
    """Pixels beside the result that turning reaches.

    They are as many on both sides, so that the pixels of the canvas lie where those of a result
    that is not turned lie.
    """
    if not bool((parts[:, ANGLE] != 0).any()):
        return 0, 0
    cos, sin = parts[:, ANGLE].cos().abs(), parts[:, ANGLE].sin().abs()
    steps = _steps(parts, size, aspect)
    tall = size[0] * cos + size[1] * steps * sin - size[0]
    wide = size[1] * cos + size[0] / steps * sin - size[1]
    return tuple(max(0, math.ceil(float(n.max()) / 2)) + 1 for n in (tall, wide))  # type: ignore[return-value]


def _turned(canvas: Tensor, parts: Tensor, size: Size, aspect: float) -> Tensor:
    """Read the result from a canvas, turned about its middle by each part's angle."""
    steps = _steps(parts, size, aspect)[:, None, None]
    cos, sin = (f(parts[:, ANGLE])[:, None, None] for f in (torch.cos, torch.sin))
    y = (torch.arange(size[0], dtype=torch.float64) + 0.5 - size[0] / 2)[None, :, None]
    x = (torch.arange(size[1], dtype=torch.float64) + 0.5 - size[1] / 2)[None, None, :]
    rows = cos * y + sin * steps * x
    columns = cos * x - sin / steps * y
    height, width = canvas.shape[2:]
    grid = torch.stack((columns * (2 / width), rows * (2 / height)), -1).float()
    return F.grid_sample(
        canvas,
        grid.to(canvas.device),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )


def blur(pictures: Tensor, sigmas: Tensor) -> Tensor:
    """Gaussian blur of each picture by its own width; beyond the edge nothing counts.

    Args:
        pictures: (B, C, H, W).
        sigmas: (B,) in pixels, on the CPU; 0 leaves a picture as it is.
    """
    if not bool((sigmas > 0).any()):
        return pictures
    device = pictures.device
    rows, columns = (_gaussians(sigmas, n).to(device) for n in pictures.shape[2:])
    batch, channels, height, width = pictures.shape
    with _exactly(device):
        across = torch.bmm(pictures.reshape(batch, -1, width), columns.transpose(1, 2))
        across = across.reshape(batch, channels, height, width)
        return torch.matmul(rows[:, None], across)


def _gaussians(sigmas: Tensor, cells: int) -> Tensor:
    """(B, cells, cells) float32, each row a Gaussian that sums to 1."""
    places = torch.arange(cells, dtype=torch.float64)
    apart = (places[:, None] - places[None, :])[None]
    weights = torch.exp(-0.5 * (apart / sigmas.double().clamp(min=_LEAST)[:, None, None]) ** 2)
    return (weights / weights.sum(-1, keepdim=True)).float()


@contextmanager
def _exactly(device: torch.device) -> Iterator[None]:
    """Products in float32 throughout, as on the CPU: no autocast, no TF32."""
    with torch.autocast(device.type, enabled=False):
        if device.type != "cuda":
            yield
            return
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            yield
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before
