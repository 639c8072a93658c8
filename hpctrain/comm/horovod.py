"""Horovod over MPI (and NCCL where it was built in)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import horovod.torch as hvd
import torch
from torch import Tensor

from hpctrain.comm.base import Communicator, Handle, Op
from hpctrain.comm.control import Control, check_world
from hpctrain.comm.ranks import Ranks

_OPS = {"mean": hvd.Average, "sum": hvd.Sum, "max": hvd.Max, "adasum": hvd.Adasum}


def has_nccl() -> bool:
    """True if this Horovod was built with NCCL, without which it must not see CUDA tensors."""
    return bool(hvd.nccl_built())


class _HorovodHandle:
    def __init__(self, number: int) -> None:
        self.number = number

    def wait(self) -> None:
        hvd.synchronize(self.number)


class HorovodCommunicator(Communicator):
    """Horovod's collectives, started from the gradient hooks of `GradientReducer`."""

    kind = "horovod"

    def __init__(self, ranks: Ranks, device: torch.device, control: Control | None = None) -> None:
        hvd.init()
        check_world("Horovod", ranks, hvd.rank(), hvd.size())
        super().__init__(ranks, device, control)

    def allreduce_async(self, tensor: Tensor, name: str, op: Op = "mean") -> Handle:
        """See `Communicator`; small tensors of one cycle are fused by Horovod itself."""
        return _HorovodHandle(hvd.allreduce_async_(tensor, name=name, op=_OPS[op]))

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """See `Communicator`."""
        found = list(tensors)
        sent = [tensor.contiguous() for tensor in found]  # Horovod takes no channels_last
        numbers = [
            hvd.broadcast_async_(tensor, 0, name=f"broadcast.{i}") for i, tensor in enumerate(sent)
        ]
        for number, tensor, copy in zip(numbers, found, sent, strict=True):
            hvd.synchronize(number)
            if copy is not tensor:
                tensor.copy_(copy)

    def _allgather_object(self, value: Any) -> list[Any]:
        return list(hvd.allgather_object(value, name="object"))

    def close(self) -> None:
        """Shut Horovod down, then MPI, which Horovod only does where it started it."""
        hvd.shutdown()
        super().close()
