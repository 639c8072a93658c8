"""Further channels for the discriminator, and physical values without infinities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hpctrain.data import Scales
from hpctrain.losses import wide

_SATURATED = 10.0
"""tanh of this is 1 - 4e-9: nothing is lost where values are held below so many scales."""
_HEADROOM = 10.0


class Rescaling:
    """Multi-channel rescaling (ExaGAN): tanh(x / c) of the physical values as further channels.

    A normalisation such as s(x) squeezes rare high values into a small interval below 1, where the
    discriminator hardly sees them; the new channels are linear up to c.

    Args:
        scales: normalisation of the fields.
        by: the numbers c.
    """

    def __init__(self, scales: Scales, by: Sequence[float]) -> None:
        self.scales, self.by = scales, tuple(by)
        self._ceiling = ceiling(scales, _SATURATED * max(by)) if by else []

    @property
    def factor(self) -> int:
        """Channels that become of one."""
        return 1 + len(self.by)

    def __call__(self, fields: Tensor) -> Tensor:
        """Normalised fields (B, C, D, H, W) to (B, C + C len(by), D, H, W); differentiable."""
        if not self.by:
            return fields
        # at s = 1 the physical value is infinite, and its gradient no number
        fields = wide(fields)
        x = physical(self.scales, fields, self._ceiling)
        return torch.cat((fields, *(torch.tanh(x / c) for c in self.by)), 1)


def ceiling(scales: Scales, largest: float) -> list[float]:
    """The normalised values of a physical one, channel by channel."""
    values = torch.full((1, len(scales.names), 1, 1, 1), largest, dtype=torch.float64)
    found: list[float] = scales.normalize(values).flatten().tolist()
    return found


def physical(scales: Scales, fields: Tensor, highest: Sequence[float]) -> Tensor:
    """Physical values of normalised fields, which are held below a highest value a channel."""
    limit = fields.new_tensor(highest).view(1, -1, 1, 1, 1)
    return scales.denormalize(torch.minimum(fields, limit))


def highest_values(scales: Scales, edges: Sequence[Sequence[float]]) -> list[float]:
    """Normalised values of ten times the range of true ones; made fields are held below.

    Args:
        scales: normalisation of the fields.
        edges: of each channel's histogram, which span the true values.
    """
    return [
        ceiling(scales, own[-1] + _HEADROOM * (own[-1] - own[0]))[channel]
        for channel, own in enumerate(edges)
    ]
