"""The average against its formula, and the weights that come back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from hpctrain.config.averaging import Ema as Settings
from hpctrain.errors import CheckpointError, ConfigError
from hpctrain.train.ema import Ema


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3))


def change(model: nn.Module, step: int) -> None:
    torch.manual_seed(step)
    model(torch.randn(4, 2, 8))  # moves the running means
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p))


@pytest.mark.parametrize("warmup", [True, False])
def test_step__equals_the_formula(warmup: bool) -> None:
    model = network()
    ema = Ema(Settings(models=["g"], decay=0.6, warmup=warmup), {"g": model})
    expected = [p.detach().double().clone() for p in model.parameters()]
    for n in range(12):
        change(model, n)
        ema.step()
        d = min(0.6, (1 + n) / (10 + n)) if warmup else 0.6
        for a, p in zip(expected, model.parameters(), strict=True):
            a.mul_(d).add_(p.detach().double(), alpha=1 - d)
    with ema.applied():
        for a, p in zip(expected, model.parameters(), strict=True):
            torch.testing.assert_close(p.detach().double(), a, rtol=1e-5, atol=1e-6)


def test_applied__weights_come_back_bit_by_bit() -> None:
    model = network()
    ema = Ema(Settings(models=["g"]), {"g": model, "other": nn.Linear(1, 1)})
    change(model, 1)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with ema.applied():
        assert not torch.equal(model.state_dict()["0.weight"], before["0.weight"])
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


def test_restore__goes_on_bit_by_bit(tmp_path: Path) -> None:
    model, settings = network(), Settings(models=["g"])
    whole = Ema(settings, {"g": model})
    for n in range(3):
        change(model, n)
        whole.step()
    torch.save(whole.save(), tmp_path / "ema.pt")
    second = Ema(settings, {"g": model})
    second.restore(torch.load(tmp_path / "ema.pt", weights_only=True))
    for ema in (whole, second):
        ema.step()
    for key, value in whole.save()["models"]["g"].items():
        assert torch.equal(second.save()["models"]["g"][key], value)
    assert second.decay == whole.decay


def test_names__are_checked() -> None:
    with pytest.raises(ConfigError, match="unknown h; choose from g"):
        Ema(Settings(models=["h"]), {"g": network()})
    with pytest.raises(CheckpointError, match="no average of this g"):
        Ema(Settings(models=["g"]), {"g": network()}).restore({"models": {}, "num_steps": 1})
