"""`hpctrain smoke` on small real files: what learns, and what it says of what does not."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from hpctrain.cli.app import app
from tests.runs import JOB, SLOW_LOSS, write_step

NETWORK = '''"""A network of which one layer does nothing."""

from torch import nn

from hpctrain.models import upsample_trilinear


class HalfDead(nn.Module):
    def __init__(self, inputs, targets):
        super().__init__()
        self.used = nn.Conv3d(inputs, targets, 1)
        self.unused = nn.Conv3d(inputs, targets, 1)

    def forward(self, x):
        y = self.used(upsample_trilinear(x, 2, 0))
        return y + 0 * self.unused(upsample_trilinear(x, 2, 0))
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    for i in range(3):
        write_step(tmp_path / "data" / f"step{i:03}.nc", seed=i)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "smoked.py").write_text(NETWORK)
    job = copy.deepcopy(JOB)
    job["launch"] = {"comm": "single"}
    job["resources"]["ranks_per_node"] = 1
    job["train"]["optimizer"] = {"learning_rate": 0.01}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(job))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def smoke(*words: str) -> tuple[int, str]:
    found = CliRunner().invoke(app, ["smoke", "small.yaml", *words])
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found.exit_code, found.output


def test_sound_job__learns_and_leaves_nothing_behind(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    code, text = smoke("--share", "0.9")
    assert code == 0, text
    assert "the set-up can learn" in text
    assert "step000.nc" in text
    assert "look at" not in text
    assert sorted(folder.rglob("*")) == before


def test_high_learning_rate__is_named(folder: Path) -> None:
    code, text = smoke("--set", "train.optimizer.learning_rate=30", "--seconds", "2")
    assert code == 1
    assert "look at learning rate 30" in text
    assert "try a tenth of it" in text


def test_low_learning_rate__still_falls(folder: Path) -> None:
    code, text = smoke(
        "--set", "train.optimizer.learning_rate=0.0003", "--seconds", "2", "--share", "0.01"
    )
    assert code == 1
    assert "still falls" in text or "stopped falling" in text


def in_box(folder: Path, scale: float, constant: bool) -> tuple[str, ...]:
    """Words for a job on npy files of two channels."""
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c"):
        field = scale * rng.normal(size=(2, 16, 16, 16)).astype(np.float32)
        field[1] = 4.0 if constant else field[1]
        np.save(folder / "data" / f"{name}.npy", field)
    keys = ('data.targets=["*.npy"]', "data.variables=[]", "data.geometry=box", "data.augment={}")
    words = (word for key in keys for word in ("--set", key))
    return (*words, "--seconds", "1", "--share", "0.0001")


def test_constant_targets__are_named(folder: Path) -> None:
    code, text = smoke(*in_box(folder, 1.0, constant=True))
    assert code == 1
    assert "channel 1 is constant" in text


def test_values_far_from_one__are_named(folder: Path) -> None:
    words = in_box(folder, 1e4, constant=False)
    code, text = smoke(*words, "--set", "data.normalization=none")
    assert code == 1
    assert "normalisation: inputs have a root mean square of" in text
    _, text = smoke(*words)
    assert "normalisation" not in text


def test_dead_layer__is_named(folder: Path) -> None:
    job = yaml.safe_load((folder / "small.yaml").read_text())
    job["train"] |= {"generator": {"kind": "smoked.HalfDead"}, "adversary": None}
    (folder / "small.yaml").write_text(yaml.safe_dump(job))
    _, text = smoke("--set", "code=[mine]", "--seconds", "1")
    assert "dead gradients: unused.bias, unused.weight never had one" in text


def test_field_to_field__is_measured_by_the_input(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(3):
        field = rng.normal(size=(1, 16, 16, 16)).astype(np.float32)
        np.save(folder / "data" / f"in{i}.npy", field)
        np.save(folder / "data" / f"out{i}.npy", field**2)
    job = yaml.safe_load((folder / "small.yaml").read_text())
    job["data"] |= {
        "inputs": ["in*.npy"], "targets": ["out*.npy"], "variables": [], "geometry": "box",
    }  # fmt: skip
    job["train"] = {
        "task": "field_to_field", "epochs": 1, "global_batch_size": 1,
        "generator": {"kind": "unet", "channels": 4, "levels": 1},
        "optimizer": {"learning_rate": 0.01},
    }  # fmt: skip
    (folder / "small.yaml").write_text(yaml.safe_dump(job))
    code, text = smoke("--share", "0.8", "--seconds", "20")
    assert code == 0, text


def test_sweep__is_refused(folder: Path) -> None:
    found = CliRunner().invoke(
        app, ["smoke", "small.yaml", "--set", "sweep={parameters: {train.seed: [1, 2]}}"]
    )
    assert found.exit_code != 0


def test_time_limit__is_looked_at_after_each_step(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "mine" / "slow.py").write_text(SLOW_LOSS)
    monkeypatch.setenv("STEP_S", "0.3")
    _, text = smoke(
        "--set", "code=[mine]", "--set", "train.criterion=slow.Slow", "--seconds", "1",
        "--share", "0.0001",
    )  # fmt: skip
    last = [int(line.split()[1]) for line in text.splitlines() if line.startswith("  step ")][-1]
    assert 1 <= last <= 4
