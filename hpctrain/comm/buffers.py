"""The buffers of networks, such as running means, kept the same on all ranks."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from hpctrain.comm.base import Communicator
from hpctrain.comm.batch_norm import SyncBatchNorm


class SharedBuffers:
    """Gives all ranks the buffers of rank 0, in one message.

    Ranks see other samples, so that each would come to buffers of its own, and a checkpoint holds
    those of rank 0. Buffers that are no part of it are constants, and those of `SyncBatchNorm` are
    the same already.
    """

    def __init__(self, comm: Communicator, models: Iterable[nn.Module]) -> None:
        self._comm = comm
        modules = [module for model in models for module in model.modules()]
        self._places = [
            (module, name)
            for module in dict.fromkeys(modules)
            for name in module._buffers
            if name not in module._non_persistent_buffers_set
            and not isinstance(module, SyncBatchNorm)
        ]

    @torch.no_grad()
    def share(self) -> bool:
        """Overwrite the buffers with those of rank 0; False where there was nothing to send."""
        found = [module._buffers[name] for module, name in self._places]
        # by size, so that each lies where its type may lie
        buffers = sorted((b for b in found if b is not None), key=lambda b: -b.element_size())
        if self._comm.world_size == 1 or not buffers:
            return False
        flat = torch.cat([buffer.reshape(-1).view(torch.uint8) for buffer in buffers])
        self._comm.broadcast([flat])
        if self._comm.rank > 0:
            sizes = [buffer.numel() * buffer.element_size() for buffer in buffers]
            for buffer, chunk in zip(buffers, torch.split(flat, sizes), strict=True):
                buffer.copy_(_as(buffer, chunk))
        return True


def _as(buffer: Tensor, chunk: Tensor) -> Tensor:
    return chunk.view(buffer.dtype).view(buffer.shape)
