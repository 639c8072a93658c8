"""1 rank x 4 samples and 2 ranks x 2 give the same parameters."""

from __future__ import annotations

import pytest
import torch

from tests.integration.mpi.conftest import SmallRun, newest
from tests.requires import requires

LAZY_R1 = "train.adversary.gradient_penalty={kind: r1, weight: 10, every: 2}"


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize("comm", ["horovod", "ddp"])
@pytest.mark.parametrize("extra", ["train.accumulate=1", "train.accumulate=2", LAZY_R1])
def test_parameters__after_five_steps(small: SmallRun, comm: str, extra: str) -> None:
    one = small.finished("resources.ranks_per_node=1", extra)
    two = small.finished(f"launch.comm={comm}", extra)
    expected, found = newest(one), newest(two)
    assert expected.keys() == found.keys()
    assert len([k for k in expected if k.startswith("discriminator.")]) > 5
    for key, value in expected.items():
        distance = torch.linalg.vector_norm(found[key] - value)
        assert distance <= 1e-5 * torch.linalg.vector_norm(value), key


@requires(mpi=True, horovod=True)
def test_parameters__horovod_and_ddp_agree_on_two_ranks(small: SmallRun) -> None:
    same = "train.accumulate=1"
    hvd, ddp = (newest(small.finished(f"launch.comm={c}", same)) for c in ("horovod", "ddp"))
    for key, value in hvd.items():
        torch.testing.assert_close(ddp[key], value, rtol=1e-5, atol=1e-7)


@requires(mpi=True, horovod=True)
def test_parameters__another_seed_gives_others(small: SmallRun) -> None:
    """The comparison above can fail: a changed seed is seen by it."""
    first = newest(small.finished("launch.comm=horovod", "train.accumulate=1"))
    second = newest(small.finished("train.seed=1"))
    assert any(not torch.allclose(first[key], second[key], rtol=1e-3) for key in first)
