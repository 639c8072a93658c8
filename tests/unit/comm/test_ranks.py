from __future__ import annotations

import pytest

from hpctrain.comm import Ranks
from hpctrain.errors import LaunchError

FROM_RANK_SH = {
    "HPCTRAIN_RANK": "3",
    "HPCTRAIN_WORLD_SIZE": "8",
    "HPCTRAIN_LOCAL_RANK": "1",
    "HPCTRAIN_LOCAL_SIZE": "2",
}


def test_from_environment__rank_sh() -> None:
    ranks = Ranks.from_environment(FROM_RANK_SH)
    assert (ranks.rank, ranks.world_size, ranks.local_rank, ranks.local_size) == (3, 8, 1, 2)
    assert str(ranks).startswith("[rank 3/8 ")


def test_from_environment__nothing_means_one_process() -> None:
    ranks = Ranks.from_environment({})
    assert (ranks.rank, ranks.world_size) == (0, 1)


def test_from_environment__launcher_without_rank_sh() -> None:
    with pytest.raises(LaunchError, match="OMPI_COMM_WORLD_RANK is set.* not through rank.sh"):
        Ranks.from_environment({"OMPI_COMM_WORLD_RANK": "0"})


@pytest.mark.parametrize("value", [None, "", "two"])
def test_from_environment__incomplete(value: str | None) -> None:
    env = dict(FROM_RANK_SH)
    del env["HPCTRAIN_LOCAL_RANK"]
    if value is not None:
        env["HPCTRAIN_LOCAL_RANK"] = value
    with pytest.raises(LaunchError, match="incomplete"):
        Ranks.from_environment(env)
