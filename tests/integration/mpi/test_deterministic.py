"""`deterministic: true`: the same bits again, also after a stop, with every switch on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.integration.mpi.conftest import SmallRun
from tests.integration.mpi.test_sample_order import SEEN
from tests.requires import requires

DRAWING = '''"""A loss that draws from all global generators."""

import random

import numpy as np
import torch
from torch import nn

import seen


class Loss(nn.Module):
    def forward(self, output, target):
        factor = 1 + random.random() + np.random.rand() + torch.rand(())
        return (output - target).square().mean() * factor
'''
EVERYTHING = (
    "train.deterministic=true",
    "train.precision=float16",
    "train.adversary=null",
    "train.epochs=3",
    "train.global_batch_size=8",
    "train.accumulate=2",
    "train.last_batch=keep",
    "train.clip_grad_norm=0.5",
    "train.activation_checkpointing=true",
    "train.ema={models: [generator], decay: 0.9}",
    "train.optimizer={name: LAMB, weight_decay: 0.01, exclude_1d: true}",
    "train.schedule={kind: plateau, warmup_steps: 2, "
    "plateau: {metric: train/loss/generator, patience: 0, threshold: 0.5}}",
    "train.criterion=drawing.Loss",
    "code=[mine]",
)
"""Nine steps, of which every third has four samples."""


@requires(mpi=True, horovod=True)
def test_everything_on__repeats_and_resumes_bit_by_bit(small: SmallRun) -> None:
    (small.folder / "mine" / "seen.py").write_text(SEEN)
    (small.folder / "mine" / "drawing.py").write_text(DRAWING)
    (small.folder / "log").mkdir(exist_ok=True)
    first, again, stopped = (render(small, stop) for stop in (-1, -1, 5))
    small.finish(first)
    small.finish(again)
    small.finish(stopped, expected=75)
    script = stopped / "run.sh"
    script.write_text(script.read_text().replace("LEAVE_AFTER=5", "LEAVE_AFTER=-1"))
    assert "resuming from state_1_step_2.pt" in small.finish(stopped)
    expected = state_of(first)
    assert expected["rates"]["factor"] < 1, "the plateau has had its say"
    assert expected["ema"]["num_steps"] == 9
    assert_same(expected, state_of(again), "")
    assert_same(expected, state_of(stopped), "")


def render(small: SmallRun, leave_after: int) -> Path:
    env = (f"launch.env.SEEN={small.folder}/log", f"launch.env.LEAVE_AFTER='{leave_after}'")
    return small.render(small.unique("everything"), *EVERYTHING, *env)


def state_of(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(run / "checkpoints" / "latest", weights_only=True)
    return state


def assert_same(one: Any, other: Any, where: str) -> None:
    """All that a checkpoint holds: models, optimizers, averages, scales, draws of every rank."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            assert_same(value, other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}/{i}")
    else:
        assert one == other, where
