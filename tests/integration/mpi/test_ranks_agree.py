"""1 rank x 4 samples and 2 ranks x 2 give the same parameters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.integration.mpi.conftest import SmallRun, newest
from tests.requires import requires

LAZY_R1 = "train.adversary.gradient_penalty={kind: r1, weight: 10, every: 2}"


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize("comm", ["horovod", "ddp", "mpi"])
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
@pytest.mark.parametrize("comm", ["horovod", "ddp", "mpi"])
def test_parameters__four_ranks_of_two_samples(small: SmallRun, comm: str) -> None:
    eight = "train.global_batch_size=8"
    one = newest(small.finished("resources.ranks_per_node=1", eight))
    four = newest(small.finished("resources.ranks_per_node=4", eight, f"launch.comm={comm}"))
    for key, value in one.items():
        distance = torch.linalg.vector_norm(four[key] - value)
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


SHORT = ("train.last_batch=keep", "train.epochs=2")
FILLED = ("train.global_batch_size=6",)
"""20 samples: three steps of 6 and one of 2, of which the first of three ranks has none."""
MICRO = ("train.global_batch_size=12", "train.accumulate=2")
"""A step of 12 and one of 8, in micro-batches of one and two samples on three ranks."""


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize(("size", "steps"), [(FILLED, 4), (MICRO, 2)])
def test_short_last_batch__every_sample_weighs_the_same(
    small: SmallRun, size: tuple[str, ...], steps: int
) -> None:
    runs = [
        small.finished(f"resources.ranks_per_node={ranks}", *SHORT, *size) for ranks in (1, 2, 3)
    ]
    one = newest(runs[0])
    losses = [train_losses(run) for run in runs]
    assert len(losses[0]) == 2 * steps
    for run, line in zip(runs[1:], losses[1:], strict=True):
        for key, value in newest(run).items():
            distance = torch.linalg.vector_norm(value - one[key])
            assert distance <= 2e-5 * torch.linalg.vector_norm(one[key]), key
        for found, expected in zip(line, losses[0], strict=True):
            assert found == pytest.approx(expected, rel=2e-4, abs=1e-5)


def train_losses(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "logs" / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if key.startswith("loss/")}
        for line in lines
        if line["kind"] == "train"
    ]
