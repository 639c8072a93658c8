from __future__ import annotations

import pytest

from hpctrain.comm import Ranks
from hpctrain.comm.control import check_world
from hpctrain.errors import LaunchError

RANKS = Ranks(1, 4, 1, 4, "nid01")


@pytest.mark.parametrize(
    ("rank", "size", "expected"),
    [
        (0, 1, "started 4 ranks, and the MPI of Horovod believes to be alone, as its PMI"),
        (3, 4, "sees this process as rank 3, and HPCTRAIN_RANK says 1"),
        (1, 8, "sees rank 1 of 8: one launcher was started within another"),
    ],
)
def test_check_world__each_difference_has_its_reason(rank, size, expected):
    with pytest.raises(LaunchError, match=expected) as caught:
        check_world("Horovod", RANKS, rank, size)
    assert str(caught.value).startswith("[rank 1/4 nid01]")
    assert "launch.comm: ddp" in str(caught.value)


def test_check_world__agreement() -> None:
    check_world("Horovod", RANKS, 1, 4)
