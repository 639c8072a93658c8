"""Networks of two axes on fields of three, whose first axis has one cell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class Planar(nn.Module):
    """Hands planes to a 2D network.

    Samples are planes where the crop has one cell along the first axis: files of one plane, or
    slices of volumes.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.has_noise = getattr(network, "has_noise", False)
        self.has_style = getattr(network, "has_style", False)

    def checkpointed_blocks(self) -> Sequence[nn.Module]:
        """Blocks whose activations may be computed twice."""
        blocks = getattr(self.network, "checkpointed_blocks", None)
        return blocks() if blocks else ()

    @property
    def output_bias(self) -> nn.Parameter:
        """Bias of the last layer, where the network names it."""
        bias = self.network.output_bias
        assert isinstance(bias, nn.Parameter)
        return bias

    def forward(self, x: Tensor, *args: Any, **options: Any) -> Tensor:
        """(B, C, 1, H, W) to (B, C', 1, H', W')."""
        y: Tensor = self.network(x.squeeze(2), *args, **options)
        return y.unsqueeze(2)
