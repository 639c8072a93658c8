"""Losses of the whole batch on 2 and 4 ranks, also where shares are unequal or empty."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.mpi import whole_batch
from tests.integration.mpi.conftest import SmallRun
from tests.integration.mpi.test_proof import mpirun, rank_words
from tests.requires import requires


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize(
    ("kind", "ranks"), [("horovod", 2), ("horovod", 4), ("ddp", 4), ("mpi", 4)]
)
def test_vicreg__on_many_ranks_is_that_of_one(small: SmallRun, kind: str, ranks: int) -> None:
    run = small.render(
        small.unique("whole"), f"resources.ranks_per_node={ranks}", "train.global_batch_size=8"
    )
    words = rank_words(run, str(Path(whole_batch.__file__)), kind)
    code, text = mpirun(run, *[words] * ranks)
    assert code == 0, text
    assert text.count("all well") == ranks
