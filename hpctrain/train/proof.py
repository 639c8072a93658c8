"""The ranks' proof at start-up that the launcher started what the job asked for."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import hpctrain
from hpctrain.comm import Communicator
from hpctrain.config.job import Job
from hpctrain.errors import LaunchError
from hpctrain.provenance.host import host_facts


@dataclass(frozen=True)
class Claim:
    """What one rank says of itself."""

    rank: int
    host: str
    local_rank: int
    device: str
    digests: Mapping[str, str]
    package: str = ""
    """Folder of the hpctrain that runs."""
    torch: str = ""


def exchange(comm: Communicator, job: Job, digests: Mapping[str, str]) -> list[Claim]:
    """Gather every rank's claim and check them together.

    Raises:
        LaunchError: on every rank alike; the sentence names the ranks and hosts at fault.
    """
    place, package = comm.ranks, Path(hpctrain.__file__).parent
    own = Claim(
        rank=place.rank,
        host=place.host,
        local_rank=place.local_rank,
        device=_device(comm),
        digests={**digests, "program": _program(package)},
        package=str(package),
        torch=torch.__version__,
    )
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
    check_size(len(claims), nodes * ranks_per_node)
    hosts = Counter(claim.host for claim in claims)
    if len(hosts) != nodes:
        raise LaunchError(
            f"job asked for {nodes} nodes, ranks run on {len(hosts)} ({', '.join(sorted(hosts))}); "
            "check how the launcher places ranks (PBS needs place=scatter)"
        )
    if set(hosts.values()) != {ranks_per_node}:
        counts = ", ".join(f"{count} on {host}" for host, count in sorted(hosts.items()))
        raise LaunchError(
            f"job asked for {ranks_per_node} ranks on each node, and there are {counts}; "
            "check how the launcher places ranks"
        )
    _check_local_ranks(claims)
    if has_gpus:
        _check_gpus(claims)
    _check_devices(claims)
    _check_digests(claims)


def check_size(found: int, asked: int, here: str = "") -> None:
    """Compare the number of ranks with what the job asked for.

    Args:
        found: as the launcher says.
        asked: nodes x ranks_per_node.
        here: rank and host of the process that asks.

    Raises:
        LaunchError: they differ.
    """
    if found == asked:
        return
    hint = (
        "the launcher started independent processes: its PMI does not fit the program's MPI, or "
        "something else than the launcher in the run script started them; `hpctrain doctor --job` "
        "of this run, inside a job, shows which"
        if found == 1
        else "check nodes, ranks_per_node and the launcher's arguments in the run script"
    )
    text = f"job asked for {asked} ranks, launcher started {found}; {hint}"
    raise LaunchError(f"{here} {text}".lstrip())


def _check_local_ranks(claims: Sequence[Claim]) -> None:
    for (host, local_rank), ranks in _shared((c.host, c.local_rank, c.rank) for c in claims):
        raise LaunchError(
            f"ranks {_list(ranks)} on {host} all have local rank {local_rank}, and would take "
            "the same device; let rank.sh alone set HPCTRAIN_LOCAL_RANK"
        )


def _check_gpus(claims: Sequence[Claim]) -> None:
    without = [claim for claim in claims if claim.device == "cpu"]
    if without:
        where = _where(without)
        raise LaunchError(
            f"job asked for GPUs, but {where} found none; check that torch was built for this GPU, "
            "the driver, --nv or --rocm of the container, and the mask that rank.sh sets"
        )


def _check_devices(claims: Sequence[Claim]) -> None:
    on_gpus = ((c.host, c.device, c.rank) for c in claims if c.device != "cpu")
    for (host, device), ranks in _shared(on_gpus):
        raise LaunchError(
            f"ranks {_list(ranks)} on {host} share the device {device}; "
            "start every rank through rank.sh, which shows each its own"
        )


def _shared(
    uses: Iterable[tuple[str, str | int, int]],
) -> Iterator[tuple[tuple[str, str | int], list[int]]]:
    """What several ranks of one host use, of (host, what, rank); with these ranks."""
    users: dict[tuple[str, str | int], list[int]] = defaultdict(list)
    for host, what, rank in uses:
        users[host, what].append(rank)
    return ((key, ranks) for key, ranks in users.items() if len(ranks) > 1)


def _check_digests(claims: Sequence[Claim]) -> None:
    first = claims[0]
    for key, expected in first.digests.items():
        others = [c for c in claims if c.digests.get(key) != expected]
        if others:
            raise LaunchError(_difference(key, first, others))
    others = [c for c in claims if c.torch != first.torch]
    if others:
        raise LaunchError(
            f"rank 0 on {first.host} has torch {first.torch}, and {_where(others)} "
            f"{others[0].torch}; start all ranks with the same Python (launch.python)"
        )


def _difference(key: str, first: Claim, others: Sequence[Claim]) -> str:
    if key == "program":
        return (
            f"{_where(others)} runs another hpctrain than rank 0 on {first.host} "
            f"({others[0].package}, {first.package}); all ranks must run the code/ of the run "
            "directory: check PYTHONPATH and mounts"
        )
    return (
        f"the {key} that rank 0 read differs from that of {_where(others)}; "
        "all ranks must see the same run directory: check mounts and stale caches"
    )


def _program(package: Path) -> str:
    """Digest of the package's own files, wherever Python found it."""
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _device(comm: Communicator) -> str:
    if comm.device.type != "cuda":
        return "cpu"
    return str(torch.cuda.get_device_properties(comm.device).uuid)


def _where(claims: Sequence[Claim]) -> str:
    more = f" and {len(claims) - 4} more" if len(claims) > 4 else ""
    return ", ".join(f"rank {c.rank} on {c.host}" for c in claims[:4]) + more


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
        **host_facts(),
    }
