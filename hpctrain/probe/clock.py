"""How far the clocks of the ranks' hosts are apart."""

from __future__ import annotations

import time
from typing import Any

from hpctrain.comm.base import Communicator

_ROUNDS = 20


def clock_offsets(comm: Communicator) -> list[dict[str, Any]]:
    """Each rank's clock against rank 0's, in seconds, with the bound of the error.

    A ping-pong: rank 0's word arrives after it was sent, and the answer leaves before it arrives.
    So every rank's reading lies between rank 0's two; of many rounds the quickest says most.
    """
    best: list[tuple[float, float]] = [(float("inf"), 0.0)] * comm.world_size
    for _ in range(_ROUNDS):
        begin = time.time()
        comm.broadcast_object(None)
        own = time.time()
        readings = comm.allgather_object(own)
        end = time.time()
        best = [
            min(old, ((end - begin) / 2, reading - (begin + end) / 2))
            for old, reading in zip(best, readings, strict=True)
        ]
    rank_0 = comm.broadcast_object(best)  # only its own readings enclose those of the others
    hosts = comm.allgather_object(comm.ranks.host)
    return [
        {"rank": rank, "host": host, "offset_s": round(offset, 6), "error_s": round(error, 6)}
        for rank, (host, (error, offset)) in enumerate(zip(hosts, rank_0, strict=True))
    ]
