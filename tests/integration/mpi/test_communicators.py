"""Every communicator does the same, with MPI as a second line beside it and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.mpi import collectives
from tests.integration.mpi.conftest import SmallRun
from tests.integration.mpi.test_proof import mpirun, rank_words
from tests.requires import requires


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize(
    ("kind", "env"),
    [
        ("horovod", ()),
        ("ddp", ()),
        ("mpi", ()),
        ("horovod", ("WITHOUT_MPI4PY=1",)),
        ("ddp", ("WITHOUT_MPI4PY=1",)),
    ],
)
def test_collectives__on_two_ranks(small: SmallRun, kind: str, env: tuple[str, ...]) -> None:
    run = small.render(small.unique("collectives"))
    words = ["env", *env, *rank_words(run, str(Path(collectives.__file__)), kind)]
    code, text = mpirun(run, words, words)
    assert code == 0, text
    assert text.count("all well") == 2
