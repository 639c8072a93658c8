"""torch.distributed: gloo on CPUs, nccl on CUDA devices."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import TCPStore

from hpctrain.comm.base import Communicator, Handle, Op
from hpctrain.comm.ranks import Ranks
from hpctrain.errors import LaunchError

_OPS = {"mean": dist.ReduceOp.SUM, "sum": dist.ReduceOp.SUM, "max": dist.ReduceOp.MAX}
_TIMEOUT_S = 120.0


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

    def __init__(self, ranks: Ranks, device: torch.device, run_dir: Path) -> None:
        super().__init__(ranks, device)
        single_node = ranks.local_size == ranks.world_size
        if single_node and device.type == "cpu":
            # the host's own name may resolve to an address that no interface carries
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=_rendezvous(ranks, run_dir, "127.0.0.1" if single_node else ranks.host),
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

    def allgather_object(self, value: Any) -> list[Any]:
        """See `Communicator`."""
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def close(self) -> None:
        """Destroy the process group."""
        dist.destroy_process_group()


def _rendezvous(ranks: Ranks, run_dir: Path, host: str) -> TCPStore:
    """A store on a port that rank 0 is given by its kernel and writes into the run directory."""
    launch = os.environ.get("HPCTRAIN_LAUNCH_ID", "0")
    path = run_dir / "logs" / f".rendezvous-{launch}"
    timeout = timedelta(seconds=_TIMEOUT_S)
    if ranks.rank == 0:
        store = TCPStore(host, 0, ranks.world_size, True, timeout, wait_for_workers=False)
        path.with_suffix(".tmp").write_text(f"{host} {store.port}")
        path.with_suffix(".tmp").replace(path)
    else:
        address, port = _wait_for(path, ranks).split()
        store = TCPStore(address, int(port), ranks.world_size, False, timeout)
    store.set(f"here/{ranks.rank}", "1")
    store.wait([f"here/{r}" for r in range(ranks.world_size)], timeout)
    if ranks.rank == 0:
        path.unlink()
    return store


def _wait_for(path: Path, ranks: Ranks) -> str:
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        # listing the folder makes network file systems look again
        if path.name in os.listdir(path.parent):
            return path.read_text()
        time.sleep(0.05)
    raise LaunchError(
        f"{ranks} rank 0 left no address in {path} within {_TIMEOUT_S:.0f} s; "
        "check that all ranks see the same run directory and that rank 0 started "
        f"(this rank runs on {socket.gethostname()})"
    )
