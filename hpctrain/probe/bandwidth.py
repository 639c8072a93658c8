"""Speed of allreduce, as nccl-tests counts it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from hpctrain.comm.base import Communicator

_MOST_REPEATS = 50


def bandwidth(comm: Communicator, sizes: Sequence[int], budget_s: float) -> list[dict[str, Any]]:
    """Time one allreduce of each size takes, until the budget is spent.

    `algbw` is the size over the time, `busbw` that times 2(n-1)/n, which of any number of ranks n
    compares with the speed of the links (nccl-tests doc/PERFORMANCE.md).

    Args:
        comm: between all ranks.
        sizes: in bytes, growing.
        budget_s: for all of them; a size that would go beyond is left out, with those above.
    """
    buffer = torch.zeros(max(sizes) // 4, device=comm.device)
    found: list[dict[str, Any]] = []
    end, share = time.monotonic() + budget_s, budget_s / len(sizes)
    for size in sizes:
        tensor = buffer[: size // 4]
        _timed(comm, tensor, 1)  # buffers and connections are made at the first
        once = _timed(comm, tensor, 1)
        count = max(1, min(_MOST_REPEATS, int(share / once)))
        seconds = _timed(comm, tensor, count) / count
        ranks = comm.world_size
        algbw = size / seconds / 1e9
        found.append(
            {
                "bytes": size,
                "repeats": count,
                "time_us": round(seconds * 1e6, 1),
                "algbw_gb_s": _short(algbw),
                "busbw_gb_s": _short(algbw * 2 * (ranks - 1) / ranks),
            }
        )
        left = _slowest(comm, time.monotonic() - end)
        if left + 4 * 3 * seconds > 0:  # the next is four times as large, and sent thrice or more
            break
    return found


def _timed(comm: Communicator, tensor: torch.Tensor, count: int) -> float:
    """Seconds that the slowest rank takes; the same on all ranks."""
    comm.barrier()
    _finish(tensor)
    begin = time.perf_counter()
    for _ in range(count):
        comm.allreduce(tensor, f"probe.{tensor.numel()}", "sum")
    _finish(tensor)
    return _slowest(comm, time.perf_counter() - begin)


def _finish(tensor: torch.Tensor) -> None:
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)


def _slowest(comm: Communicator, value: float) -> float:
    return float(max(comm.allgather_object(value)))


def _short(value: float) -> float:
    return float(f"{value:.4g}")
