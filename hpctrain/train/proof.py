"""The ranks' proof at start-up that the launcher started what the job asked for."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from hpctrain.comm import Communicator
from hpctrain.config.job import Job
from hpctrain.errors import LaunchError


@dataclass(frozen=True)
class Claim:
    """What one rank says of itself."""

    rank: int
    host: str
    local_rank: int
    device: str
    digests: Mapping[str, str]


def exchange(comm: Communicator, job: Job, digests: Mapping[str, str]) -> list[Claim]:
    """Gather every rank's claim and check them together.

    Raises:
        LaunchError: on every rank alike; the sentence names the ranks and hosts at fault.
    """
    own = Claim(comm.rank, comm.ranks.host, comm.ranks.local_rank, _device(comm), dict(digests))
    claims = [Claim(**claim) for claim in comm.allgather_object(asdict(own))]
    wanted = job.resources
    check(
        claims,
        nodes=wanted.nodes,
        ranks_per_node=wanted.ranks_per_node,
        has_gpus=wanted.gpus_per_rank > 0,
    )
    return claims


def check(
    claims: Sequence[Claim], nodes: int, ranks_per_node: int, *, has_gpus: bool = False
) -> None:
    """Compare the claims with what was asked for and with each other.

    Raises:
        LaunchError: see `exchange`.
    """
    asked = nodes * ranks_per_node
    hosts = sorted({claim.host for claim in claims})
    if len(claims) != asked:
        hint = (
            "the launcher started independent processes: its PMI does not fit the program's MPI"
            if len(claims) == 1
            else "check nodes, ranks_per_node and the launcher's arguments in the run script"
        )
        raise LaunchError(f"job asked for {asked} ranks, launcher started {len(claims)}; {hint}")
    if len(hosts) != nodes:
        raise LaunchError(
            f"job asked for {nodes} nodes, ranks run on {len(hosts)} ({', '.join(hosts)}); "
            "check how the launcher places ranks (PBS needs place=scatter)"
        )
    if has_gpus:
        _check_gpus(claims)
    _check_devices(claims)
    _check_digests(claims)


def _check_gpus(claims: Sequence[Claim]) -> None:
    without = [claim for claim in claims if claim.device == "cpu"]
    if without:
        where = ", ".join(f"rank {c.rank} on {c.host}" for c in without[:4])
        raise LaunchError(
            f"job asked for GPUs, but {where} found none; check that torch was built for this GPU, "
            "the driver, --nv or --rocm of the container, and the mask that rank.sh sets"
        )


def _check_devices(claims: Sequence[Claim]) -> None:
    users: dict[tuple[str, str], list[int]] = defaultdict(list)
    for claim in claims:
        if claim.device != "cpu":
            users[claim.host, claim.device].append(claim.rank)
    for (host, device), ranks in users.items():
        if len(ranks) > 1:
            raise LaunchError(
                f"ranks {_list(ranks)} on {host} share the device {device}; "
                "start every rank through rank.sh, which shows each its own"
            )


def _check_digests(claims: Sequence[Claim]) -> None:
    for key, expected in claims[0].digests.items():
        others = [c for c in claims if c.digests.get(key) != expected]
        if others:
            where = ", ".join(f"rank {c.rank} on {c.host}" for c in others[:4])
            raise LaunchError(
                f"the {key} that rank 0 read differs from that of {where}; "
                "all ranks must see the same run directory: check mounts and stale caches"
            )


def _device(comm: Communicator) -> str:
    if comm.device.type != "cuda":
        return "cpu"
    return str(torch.cuda.get_device_properties(comm.device).uuid)


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"


def facts(comm: Communicator, claims: Sequence[Claim]) -> dict[str, Any]:
    """What the manifest remembers of this start."""
    return {
        "launch_id": os.environ.get("HPCTRAIN_LAUNCH_ID", ""),
        "hosts": sorted({claim.host for claim in claims}),
        "world_size": comm.world_size,
        "comm": comm.kind,
        "device": torch.cuda.get_device_name() if comm.device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "devices": [claim.device for claim in claims] if comm.device.type == "cuda" else [],
    }
