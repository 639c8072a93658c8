"""Real trainings from field to field: U-Net and patch critic, augmented, on one and two ranks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tests.integration.mpi.conftest import newest
from tests.requires import requires
from tests.runs import SmallRun

pytestmark = pytest.mark.slow

JOB = {
    "name": "emulator",
    "site": "local",
    "resources": {"nodes": 1, "ranks_per_node": 2, "walltime": "00:10:00"},
    "launch": {"comm": "ddp"},
    "data": {
        "kind": "fields",
        "root": "data",
        "inputs": ["dis*.npy"],
        "targets": ["out*.npy", "den*.npy"],
        "validation_steps": 1,
        "geometry": "box",
        "crop": [6, 6, 6],
        "input_norms": [{"kind": "cosmology.dis", "options": {"redshift": 1.0}}],
        "target_norms": [{"kind": "none", "then": "standard"}, {"kind": "log1p"}],
        "augment": {"octahedral": True, "random_shift": True},
    },
    "train": {
        "task": "field_to_field",
        "epochs": 1,
        "global_batch_size": 4,
        "precision": "float32",
        "log_every_steps": 1,
        "figures_every_epochs": 1,
        "sync_batch_norm": True,
        "generator": {"kind": "unet", "channels": 4, "levels": 1},
        "adversary": {
            "discriminator": {"kind": "patch", "channels": 4, "layers": 2},
            "loss": "bce",
            "label_smoothing": 0.1,
            "conditional": False,
            "spectral_norm": True,
            "instance_noise": {"std": 0.2, "epochs": 3},
            "ramp_epochs": 1,
            "gradient_penalty": {"kind": "r1", "every": 2},
            "critic_steps": 1,
            "content_weight": 1.0,
        },
    },
}

OWN = '''"""A network that takes noise and style."""

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, in_channels, out_channels, width=4):
        super().__init__()
        self.first = nn.Conv3d(in_channels + 1, width, 3)
        self.last = nn.Conv3d(width, out_channels, 3)
        self.style = nn.Linear(1, width)

    def forward(self, x, noise, style):
        x = torch.cat((x, noise(x).to(x.dtype)), 1)
        gain = 1 + self.style(style)[:, :, None, None, None]
        return self.last(torch.relu(self.first(x) * gain))
'''


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    folder = tmp_path_factory.mktemp("emulator")
    (folder / "data").mkdir()
    (folder / "mine").mkdir()
    (folder / "mine" / "own.py").write_text(OWN)
    rng = np.random.default_rng(0)
    lines = ["file,redshift"]
    for i in range(3):
        x = 6 * rng.standard_normal((3, 12, 12, 12)).astype(np.float32)
        np.save(folder / "data" / f"dis{i}.npy", x)
        np.save(folder / "data" / f"out{i}.npy", x + 0.1 * np.roll(x, 1, 1))
        np.save(folder / "data" / f"den{i}.npy", np.abs(x[:1]))
        lines.append(f"out{i}.npy,{i / 2}")
    (folder / "data" / "styles.csv").write_text("\n".join(lines) + "\n")
    (folder / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    return SmallRun(folder)


def agree(one: Path, two: Path) -> None:
    expected, found = newest(one), newest(two)
    assert expected.keys() == found.keys()
    for key, value in expected.items():
        distance = torch.linalg.vector_norm((found[key] - value).double())
        assert distance <= 1e-4 * torch.linalg.vector_norm(value.double()) + 1e-9, key


@requires(mpi=True)
def test_unet_and_patch_critic__one_and_two_ranks_agree(emulator: SmallRun) -> None:
    one = emulator.finished("resources.ranks_per_node=1")
    agree(one, emulator.finished())
    summary = json.loads((one / "eval" / "summary.json").read_text())
    assert set(summary["rmse"]["generator"]) == {"out_0", "out_1", "out_2", "den"}
    assert "trilinear" not in summary["rmse"]  # 3 channels to 4: nothing is comparable
    assert list((one / "eval").rglob("*den*.png")) or list((one / "tensorboard").iterdir())


@requires(mpi=True)
def test_all_options_of_the_adversary__resumed_is_uninterrupted(emulator: SmallRun) -> None:
    """Two epochs at once, and the second again from the checkpoint of the first: equal bits."""
    run = emulator.finished("resources.ranks_per_node=1", "train.epochs=2")
    whole, path = newest(run), run / "checkpoints" / "state_2.pt"
    path.write_bytes(path.read_bytes()[:-2000])
    assert "resuming from state_1.pt" in emulator.finish(run)
    found = newest(run)
    assert all(torch.equal(found[key], value) for key, value in whole.items())
    assert any("parametrizations" in key for key in found)


@requires(mpi=True)
def test_vnet__of_planes(emulator: SmallRun) -> None:
    settings = (
        "train.generator.kind=vnet",
        "train.generator.dims=2",
        "train.adversary.discriminator.dims=2",
        "data.crop=[1, 6, 6]",
        "data.stride=[4, 6, 6]",
        "data.augment.random_shift=false",
    )
    agree(emulator.finished("resources.ranks_per_node=1", *settings), emulator.finished(*settings))


@requires(mpi=True)
def test_own_network__with_noise_and_style(emulator: SmallRun) -> None:
    settings = (
        "code=[mine]",
        "train.generator={kind: own.Net, options: {width: 5}}",
        "data.styles=styles.csv",
        "train.adversary=null",
    )
    # laid over the file, the block would keep the U-Net's keys
    job = {**JOB, "train": {k: v for k, v in JOB["train"].items() if k != "generator"}}
    (emulator.folder / "small.yaml").write_text(yaml.safe_dump(job, sort_keys=False))
    try:
        one = emulator.finished("resources.ranks_per_node=1", *settings)
        agree(one, emulator.finished(*settings))
        bad = emulator.render("typo", *settings, "train.generator.options={widht: 5}")
    finally:
        (emulator.folder / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    assert newest(one)["generator.first.weight"].shape == (5, 4, 3, 3, 3)
    text = emulator.finish(bad, expected=2)
    assert "train.generator.options: Net takes no 'widht'" in text
    assert "did you mean 'width'?" in text
