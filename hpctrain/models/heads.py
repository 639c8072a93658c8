"""Layers behind a backbone that serve the loss alone: VICReg's expander and DINO's head."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_DEVIATION = 0.02


class Expander(nn.Sequential):
    """Dense layers with BatchNorm and ReLU, the last bare (Bardes et al. 2022, section 4.1).

    Layers before a BatchNorm have no bias, which it would take away again.

    Args:
        dim: numbers of a vector.
        widths: of the layers, such as (8192, 8192, 8192).
    """

    def __init__(self, dim: int, widths: Sequence[int]) -> None:
        layers: list[nn.Module] = []
        *inner, last = widths
        ends = [dim, *inner]
        for a, b in zip(ends[:-1], ends[1:], strict=True):
            layers += [nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.Linear(ends[-1], last, bias=False))
        self.dim = last


class DinoHead(nn.Module):
    """Dense layers to a bottleneck of length 1, and its products with prototypes.

    Caron et al. 2021 (arXiv 2104.14294), appendix C; prototypes have length 1, too, or with a
    free gain one that is learned. They are computed in float32.

    Args:
        dim: numbers of a vector.
        prototypes: K.
        hidden: width of inner layers.
        bottleneck: numbers before the prototypes.
        layers: dense layers up to the bottleneck.
        is_gain_fixed: prototypes keep the length 1, which is stable; else it is learned.
    """

    def __init__(
        self,
        dim: int,
        prototypes: int = 65536,
        hidden: int = 2048,
        bottleneck: int = 256,
        layers: int = 3,
        *,
        is_gain_fixed: bool = True,
    ) -> None:
        super().__init__()
        widths = [dim, *[hidden] * (layers - 1), bottleneck]
        parts: list[nn.Module] = []
        for inner, outer in zip(widths[:-1], widths[1:], strict=True):
            parts += [nn.Linear(inner, outer), nn.GELU()]
        self.mlp = nn.Sequential(*parts[:-1])
        self.prototypes = nn.Parameter(torch.empty(prototypes, bottleneck))
        self.gain = None if is_gain_fixed else nn.Parameter(torch.ones(prototypes))
        for module in self.mlp:
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=_DEVIATION)
                nn.init.zeros_(module.bias)
        nn.init.normal_(self.prototypes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, dim) to logits (B, K)."""
        z = self.mlp(x)
        # lengths in float32: those of bfloat16 are off by parts in a hundred
        with _in_full(z.device):
            z = F.normalize(z.float(), dim=-1)
            prototypes = F.normalize(self.prototypes.float(), dim=-1)
        logits = F.linear(z, prototypes)
        return logits if self.gain is None else logits * self.gain

    def last_layer(self) -> list[nn.Parameter]:
        """Parameters that DINO freezes in the first epochs."""
        return [self.prototypes, *([] if self.gain is None else [self.gain])]


def _in_full(device: torch.device) -> AbstractContextManager[Any]:
    """Without autocast, which shapes without numbers (`hpctrain models`) know nothing of."""
    is_meta = device.type == "meta"
    return nullcontext() if is_meta else torch.autocast(device.type, enabled=False)
