"""KoLeo: spread embeddings over the sphere (Sablayrolles et al. 2019, 1806.03198, equation 2)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from hpctrain.losses.wide import wide

_EPSILON = 1e-8


def koleo(x: Tensor) -> Tensor:
    """-mean ln of each row's distance from its nearest neighbour, rows scaled to length 1.

    Args:
        x: (N, D) embeddings, of the whole batch; N from 2 on.
    """
    with torch.autocast(x.device.type, enabled=False):
        unit = F.normalize(wide(x), dim=1)
        with torch.no_grad():
            likeness = unit @ unit.T
            nearest = likeness.fill_diagonal_(-2).argmax(1)
        distance = torch.linalg.vector_norm(unit - unit[nearest], dim=1)
        return -torch.log(distance + _EPSILON).mean()
