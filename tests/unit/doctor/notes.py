"""Pages of ranks, as the probe writes them."""

from __future__ import annotations

from typing import Any

from hpctrain.doctor.launch import Ranks
from hpctrain.doctor.watched import Outcome

LIMITS = {
    "open_files": 65536,
    "processes": None,
    "locked_memory": None,
    "stack": 8 << 20,
    "shm": {"size": 8 << 30, "free": 8 << 30},
    "cores": [0, 1],
    "infiniband": [],
    "memory": 16 << 30,
}


def note(rank: int, host: str = "nid01", size: int = 2, **more: Any) -> dict[str, Any]:
    """What one rank said that came to its end."""
    return {
        "host": host,
        "environment": {"HPCTRAIN_RANK": str(rank), "CUDA_VISIBLE_DEVICES": str(rank)},
        "facts": {"python": "3.11.2", "packages": {"torch": "2.9.1", "numpy": "2.1"}},
        "limits": LIMITS,
        "ranks": {"rank": rank, "world_size": size, "local_rank": rank, "local_size": size},
        "devices": {"built_for": "cuda 12.8", "gpus": [gpu(rank)]},
        "comm": "horovod",
        "mpi": {"libraries": ["/opt/lib/libmpi.so.40"], "version": "Open MPI v5.0.11, package"},
        "stage": "done",
        **more,
    }


def gpu(number: int) -> dict[str, Any]:
    return {"name": "A100", "uuid": f"GPU-{number}", "memory": 40 << 30}


def ranks(*notes: dict[str, Any], code: int | None = 0, err: str = "") -> Ranks:
    """What came of a start."""
    return Ranks(Outcome(code, "", err, 3.0), list(notes), 120.0)
