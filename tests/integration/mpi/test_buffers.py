"""Running means without `sync_batch_norm`: ranks hold those of rank 0, also after a stop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.mpi.conftest import SmallRun
from tests.integration.mpi.test_deterministic import assert_same, state_of
from tests.integration.mpi.test_sample_order import SEEN
from tests.requires import requires

NORMALISED = '''"""A generator whose first layer is normalised with running means."""

import torch
from torch import nn
from torch.nn import functional as F

import seen
from hpctrain.models import SrGenerator


class RunningNorm(nn.BatchNorm3d):
    """As in batch renormalisation: the running means have a say in the training, too."""

    def forward(self, x):
        if torch.is_grad_enabled():
            super().forward(x)
        mean, var = self.running_mean.clone(), self.running_var.clone()
        return F.batch_norm(x, mean, var, self.weight, self.bias)


_init = SrGenerator.__init__


def init(self, *args, **kwargs):
    _init(self, *args, **kwargs)
    layer = next(m for m in self.modules() if isinstance(m, nn.Conv3d))
    self.norm = RunningNorm(layer.out_channels)
    layer.register_forward_hook(lambda module, inputs, output: self.norm(output))


SrGenerator.__init__ = init
Loss = nn.MSELoss
'''
SETTINGS = (
    "train.deterministic=true",
    "train.adversary=null",
    "train.epochs=2",
    "train.accumulate=2",
    "train.schedule={kind: plateau, plateau: {metric: validation/rmse/generator, patience: 0, "
    "threshold: 0.5}}",
    "train.ema={models: [generator], decay: 0.9}",
    "train.criterion=normalised.Loss",
    "code=[mine]",
)


@requires(mpi=True, horovod=True)
@pytest.mark.parametrize("comm", ["horovod", "ddp", "mpi"])
def test_running_means__a_stop_in_mid_epoch_changes_no_bit(small: SmallRun, comm: str) -> None:
    (small.folder / "mine" / "seen.py").write_text(SEEN)
    (small.folder / "mine" / "normalised.py").write_text(NORMALISED)
    (small.folder / "log").mkdir(exist_ok=True)
    whole, stopped = (render(small, comm, stop) for stop in (-1, 3))
    small.finish(whole)
    small.finish(stopped, expected=75)
    script = stopped / "run.sh"
    script.write_text(script.read_text().replace("LEAVE_AFTER=3", "LEAVE_AFTER=-1"))
    assert "resuming from state_0_step_3.pt" in small.finish(stopped)
    assert any("running_mean" in key for key in state_of(whole)["models"]["generator"])
    assert_same(state_of(whole), state_of(stopped), "")
    assert validations(whole) == validations(stopped)


def render(small: SmallRun, comm: str, leave_after: int) -> Path:
    env = (f"launch.env.SEEN={small.folder}/log", f"launch.env.LEAVE_AFTER='{leave_after}'")
    name = small.unique("buffers")
    return small.render(name, *SETTINGS, f"launch.comm={comm}", *env)


def validations(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "logs" / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in line.items() if "rmse" in key or "spectrum" in key}
        for line in lines
        if line["kind"] == "validation"
    ]
