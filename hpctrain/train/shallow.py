"""3D convolutions over fewer layers than their kernel has, which bfloat16 on CPUs gets wrong.

oneDNN, as PyTorch 2.13 has it, leaves parts of such a kernel's gradient as memory happens to be, or
writes beyond it: where depth is 2 and the kernel 3, or 4 and 5.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ShallowConv3d(nn.Conv3d):
    """A 3D convolution that computes in float32 where bfloat16 gives no gradient."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of nn.Conv3d
        """Convolve (B, C, D, H, W); see `nn.Conv3d`."""
        reach = self.dilation[0] * (self.kernel_size[0] - 1) + 1
        is_wrong = input.device.type == "cpu" and 1 < input.shape[-3] < reach
        if is_wrong and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(input.float())
        return super().forward(input)


def guard_shallow(network: nn.Module) -> None:
    """Let all 3D convolutions of a network be such ones; weights and their names stay."""
    for module in network.modules():
        if type(module) is nn.Conv3d:
            module.__class__ = ShallowConv3d
