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
    one = small.render("one", "resources.ranks_per_node=1", f"launch.comm={comm}", extra)
    two = small.render("two", "resources.ranks_per_node=2", f"launch.comm={comm}", extra)
    small.finish(one)
    small.finish(two)
    expected, found = newest(one), newest(two)
    assert expected.keys() == found.keys()
    assert len([k for k in expected if k.startswith("discriminator.")]) > 5
    for key, value in expected.items():
        distance = torch.linalg.vector_norm(found[key] - value)
        assert distance <= 1e-5 * torch.linalg.vector_norm(value), key


@requires(mpi=True, horovod=True)
def test_parameters__horovod_and_ddp_agree_on_two_ranks(small: SmallRun) -> None:
    runs = [small.render(comm, f"launch.comm={comm}") for comm in ("horovod", "ddp")]
    for run in runs:
        small.finish(run)
    hvd, ddp = (newest(run) for run in runs)
    for key, value in hvd.items():
        torch.testing.assert_close(ddp[key], value, rtol=1e-5, atol=1e-7)


@requires(mpi=True, horovod=True)
def test_parameters__another_seed_gives_others(small: SmallRun) -> None:
    """The comparison above can fail: a changed seed is seen by it."""
    runs = [small.render(f"seed{seed}", f"train.seed={seed}") for seed in (0, 1)]
    for run in runs:
        small.finish(run)
    first, second = (newest(run) for run in runs)
    assert any(not torch.allclose(first[key], second[key], rtol=1e-3) for key in first)
