"""torch.distributed: gloo on CPUs, nccl on CUDA devices."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from hpctrain.comm.base import Communicator, Handle, Op
from hpctrain.comm.control import Control
from hpctrain.comm.ranks import Ranks
from hpctrain.comm.rendezvous import meet

_OPS = {"mean": dist.ReduceOp.SUM, "sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX}


class _DdpHandle:
    def __init__(self, work: Any, tensor: Tensor, divisor: int) -> None:
        self.work, self.tensor, self.divisor = work, tensor, divisor

    def wait(self) -> None:
        self.work.wait()
        if self.divisor > 1:
            self.tensor.div_(self.divisor)


class DdpCommunicator(Communicator):
    """Collectives of torch.distributed's default process group."""

    kind = "ddp"

    def __init__(
        self,
        ranks: Ranks,
        device: torch.device,
        run_dir: Path,
        control: Control | None = None,
        meeting: str = "",
    ) -> None:
        """Meet the other ranks.

        Args:
            ranks: this rank and the others.
            device: of its tensors.
            run_dir: where ranks find each other that have no MPI.
            control: MPI beside it.
            meeting: tells these ranks from others of the same run; empty: the start of the run.
        """
        super().__init__(ranks, device, control)
        single_node = ranks.local_size == ranks.world_size
        if single_node and device.type == "cpu":
            # the host's own name may resolve to an address that no interface carries
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=meet(
                ranks, run_dir, "127.0.0.1" if single_node else ranks.host, control, meeting
            ),
            rank=ranks.rank,
            world_size=ranks.world_size,
        )

    def allreduce_async(self, tensor: Tensor, name: str, op: Op = "mean") -> Handle:
        """See `Communicator`; `name` is not needed, the order of calls pairs them."""
        work = dist.all_reduce(tensor, op=_OPS[op], async_op=True)
        return _DdpHandle(work, tensor, self.world_size if op == "mean" else 1)

    def broadcast(self, tensors: Iterable[Tensor]) -> None:
        """See `Communicator`."""
        for work in [dist.broadcast(tensor, 0, async_op=True) for tensor in tensors]:
            work.wait()

    def _allgather_object(self, value: Any) -> list[Any]:
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def close(self) -> None:
        """Destroy the process group."""
        dist.destroy_process_group()
        super().close()
