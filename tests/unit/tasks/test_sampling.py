"""Fields out of a generator's checkpoint, in a file that is whole or not there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from hpctrain.config.load import read_resolved
from hpctrain.data import Scales
from hpctrain.data.scales import FieldNorm
from hpctrain.errors import ConfigError
from hpctrain.models.dcgan import DcganGenerator
from hpctrain.tasks.field_gan import sampling
from hpctrain.tasks.field_gan.networks import make_generator
from hpctrain.tasks.field_gan.sampling import make_fields, num_at_once
from hpctrain.train.checkpoint import CheckpointFolder
from tests.e2e.commands import hpctrain
from tests.requires import requires

JOB = {
    "version": 1,
    "name": "web",
    "site": "local",
    "resources": {"nodes": 1, "ranks_per_node": 1, "walltime": "00:10:00"},
    "data": {
        "kind": "fields",
        "root": "data",
        "targets": ["u*.npy"],
        "validation_steps": 1,
        "geometry": "box",
        "crop": [1, 16, 16],
        "target_norms": [{"kind": "ratio"}],
    },
    "train": {
        "task": "field_gan",
        "epochs": 1,
        "global_batch_size": 4,
        "generator": {"noise_size": 4, "channels": [4, 6]},
        "adversary": {"discriminator": {"channels": [4, 6]}},
    },
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with the checkpoint of an untrained generator."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(JOB))
    torch.manual_seed(0)
    generator = make_generator(read_resolved(folder / "config.yaml").train, 1, (1, 16, 16))
    scales = Scales(("u",), (0.0,), (1.0,), norms=(FieldNorm(0, 1, "ratio", {"a": 4.0}),))
    state = {
        "models": {"generator": generator.state_dict()},
        "task": {"scales": scales.to_dict(), "edges": [[0.0, 5.0, 9.0]], "style_scale": []},
    }
    CheckpointFolder(folder / "checkpoints", 1).save(state, 1, 0)
    return folder


def test_file__is_what_the_generator_makes_and_a_prefix_of_more(run: Path, tmp_path: Path) -> None:
    few, many = tmp_path / "few.npy", tmp_path / "many.npy"
    assert make_fields(run, few, 3) == "state_1.pt"
    make_fields(run, many, 70)
    found = np.load(many)
    assert found.shape == (70, 1, 16, 16)
    assert found.dtype == np.float32
    assert len(np.unique(found[:, 0, 0, 0])) == 70
    np.testing.assert_allclose(np.load(few), found[:3], rtol=1e-5)


@pytest.mark.parametrize(
    ("shape", "least", "most"),
    [((1, 128, 128), 64, 64), ((1, 64, 64, 64), 16, 63), ((1, 512, 512, 512), 1, 1)],
)
def test_at_once__as_many_as_fit_into_a_gigabyte(
    shape: tuple[int, ...], least: int, most: int
) -> None:
    assert least <= num_at_once(shape, (64, 128, 256, 512)) <= most


def test_at_once__is_what_the_generator_gets(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    forward = DcganGenerator.forward

    def count(self: DcganGenerator, *args: torch.Tensor) -> torch.Tensor:
        sizes.append(len(args[0]))
        return forward(self, *args)

    monkeypatch.setattr(DcganGenerator, "forward", count)
    monkeypatch.setattr(sampling, "_BUDGET_BYTES", 30_000)
    make_fields(run, tmp_path / "made.npy", 5)
    assert sizes == [2, 2, 1]


def test_folder__is_refused_before_anything_is_loaded(run: Path, tmp_path: Path) -> None:
    (run / "config.yaml").write_text("is not read: [")
    place = tmp_path / "fields"
    place.mkdir()
    with pytest.raises(ConfigError, match=r"fields: is a folder; give --out the name of an npy"):
        make_fields(run, place, 3)
    assert place.is_dir()


def test_any_exception__leaves_nothing_behind_and_the_old_file(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "made.npy"
    out.write_text("old")
    calls: list[int] = []
    forward = DcganGenerator.forward

    def fail_later(self: DcganGenerator, *args: torch.Tensor | None) -> torch.Tensor:
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return forward(self, *args)

    monkeypatch.setattr(DcganGenerator, "forward", fail_later)
    with pytest.raises(KeyboardInterrupt):
        make_fields(run, out, 65)
    assert out.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made.npy", "run"]


@requires(tmpfs=True)
def test_full_disk__is_told_in_one_sentence(run: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(small)]
    subprocess.run(mount, check=True)
    try:
        words = ["generate", str(run), "--out", str(small / "made.npy"), "--count", "1000"]
        done = hpctrain(*words, cwd=tmp_path)
        assert done.returncode == 6, done.stderr
        assert "made.npy: cannot be written: No space left on device" in done.stderr
        assert list(small.iterdir()) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
