from __future__ import annotations

from dataclasses import replace

import pytest

from hpctrain.errors import LaunchError
from hpctrain.train.proof import Claim, check


def claims(count: int, hosts: int = 1, **changes: object) -> list[Claim]:
    per_host = count // hosts
    return [
        Claim(
            rank=r,
            host=f"nid{r // per_host:02}",
            local_rank=r % per_host,
            device=str(changes.get("device", f"GPU-{r}")),
            digests={"config": "a", "index": "b"},
        )
        for r in range(count)
    ]


def test_check__what_was_asked_for_passes() -> None:
    check(claims(8, hosts=2), nodes=2, ranks_per_node=4)


def test_check__cpu_ranks_share_the_cpu() -> None:
    check(claims(4, device="cpu"), nodes=1, ranks_per_node=4)


def test_check__independent_single_ranks() -> None:
    with pytest.raises(LaunchError, match="asked for 4 ranks, launcher started 1; .*PMI"):
        check(claims(1), nodes=1, ranks_per_node=4)


def test_check__fewer_ranks() -> None:
    with pytest.raises(LaunchError, match="asked for 8 ranks, launcher started 4; check nodes"):
        check(claims(4), nodes=2, ranks_per_node=4)


def test_check__all_on_one_host() -> None:
    with pytest.raises(LaunchError, match=r"asked for 2 nodes, ranks run on 1 \(nid00\)"):
        check(claims(8), nodes=2, ranks_per_node=4)


def test_check__gpus_were_asked_for_and_one_rank_has_none() -> None:
    some = claims(2)
    some[1] = Claim(1, "nid00", 1, "cpu", some[0].digests)
    with pytest.raises(LaunchError, match="asked for GPUs, but rank 1 on nid00 found none"):
        check(some, nodes=1, ranks_per_node=2, has_gpus=True)


def test_check__shared_device_names_ranks_and_host() -> None:
    with pytest.raises(LaunchError, match="ranks 0, 1, 2 and 3 on nid00 share the device GPU-0"):
        check(claims(4, device="GPU-0"), nodes=1, ranks_per_node=4)


def test_check__same_device_name_on_two_hosts_is_fine() -> None:
    check(claims(2, hosts=2, device="GPU-0"), nodes=2, ranks_per_node=1)


def test_check__another_index() -> None:
    some = claims(2)
    some[1] = Claim(1, "nid00", 1, "GPU-1", {"config": "a", "index": "stale"})
    with pytest.raises(LaunchError, match="the index that rank 0 read differs .* rank 1 on nid00"):
        check(some, nodes=1, ranks_per_node=2)


def test_check__unequal_shares_of_the_nodes() -> None:
    some = [replace(c, host="nid00" if c.rank < 3 else "nid01") for c in claims(4)]
    with pytest.raises(LaunchError, match="2 ranks on each node, and there are 3 on nid00, 1 on"):
        check(some, nodes=2, ranks_per_node=2)


def test_check__one_local_rank_twice() -> None:
    some = [replace(c, local_rank=0) for c in claims(2)]
    with pytest.raises(LaunchError, match="ranks 0 and 1 on nid00 all have local rank 0"):
        check(some, nodes=1, ranks_per_node=2)


def test_check__another_program_names_both_folders() -> None:
    some = [replace(c, digests={"program": str(c.rank)}, package=f"/{c.rank}") for c in claims(2)]
    with pytest.raises(LaunchError, match=r"rank 1 on nid00 runs another .* \(/1, /0\)"):
        check(some, nodes=1, ranks_per_node=2)


def test_check__another_torch() -> None:
    some = [replace(c, torch=f"2.{c.rank}") for c in claims(2)]
    with pytest.raises(LaunchError, match=r"rank 0 on nid00 has torch 2.0, and rank 1 .* 2.1"):
        check(some, nodes=1, ranks_per_node=2)


def test_check__many_at_fault_are_counted() -> None:
    some = [replace(c, digests={"config": str(bool(c.rank))}) for c in claims(8)]
    with pytest.raises(LaunchError, match="config .* rank 4 on nid00 and 3 more; all ranks"):
        check(some, nodes=1, ranks_per_node=8)
