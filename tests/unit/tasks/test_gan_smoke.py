"""`hpctrain smoke` of field_gan: it tells a set-up that learns from one that does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
import yaml

from hpctrain.cli import smoke as cli_smoke
from hpctrain.registry import SMOKE, TASKS, resolve
from hpctrain.tasks.field_gan.smoke import advice

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
        "global_batch_size": 8,
        "generator": {"noise_size": 8, "channels": [8, 16]},
        "optimizer": {"learning_rate": 2e-3},
        "adversary": {
            "discriminator": {"channels": [8, 16]},
            "optimizer": {"learning_rate": 2e-3},
        },
    },
}


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    rng = np.random.default_rng(0)
    (tmp_path / "data").mkdir()
    for i in range(3):
        np.save(tmp_path / "data" / f"u{i}.npy", rng.poisson(0.6, (16, 16, 16)).astype(np.float32))
    (tmp_path / "web.yaml").write_text(yaml.safe_dump(JOB))
    monkeypatch.chdir(tmp_path)
    return "web.yaml"


def test_smoke__a_set_up_that_learns(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    cli_smoke.command(job, [], seconds=30.0)
    told = capsys.readouterr().out
    assert "the set-up can learn: share of cells in a wrong bin of the histogram 0." in told
    assert "8 samples; Adam at 0.002 and Adam at 0.002" in told


@pytest.mark.parametrize(
    ("settings", "hint"),
    [
        (["train.optimizer.learning_rate=1e-9"], "look at "),
        (["train.adversary.optimizer.learning_rate=1e30"], "is no number; lower both"),
    ],
)
def test_smoke__one_that_does_not(
    job: str, settings: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as left:
        cli_smoke.command(job, settings, seconds=1.0)
    assert left.value.exit_code == 1
    told = capsys.readouterr().out
    assert "the set-up does not learn" in told
    assert hint in told


@pytest.mark.parametrize(
    ("kind", "words", "absent"),
    [
        (
            "bce",
            ["tells all fields apart", "lower train.adversary.opt", "label_flip"],
            "raise train",
        ),
        ("hinge", ["tells all fields apart", "lower train.adversary.opt"], "raise train"),
        ("least_squares", ["tells all fields apart", "label_smoothing"], "label_flip"),
        ("wasserstein", ["alike", "raise train.adversary.critic_steps"], "lower"),
    ],
)
def test_advice__where_the_discriminators_loss_is_zero(
    kind: str, words: list[str], absent: str
) -> None:
    losses = {"discriminator": -0.003, "generator": 0.1}
    (text,) = advice([1.0] * 8, losses, kind)
    assert all(word in text for word in words)
    assert absent not in text
    (other,) = advice([1.0] * 8, {**losses, "discriminator": 1.0}, kind)
    assert other.startswith("learning rates")


def test_smoke__all_are_of_own_tasks() -> None:
    assert SMOKE.keys() == TASKS.keys()
    assert all(callable(resolve(target)) for target in SMOKE.values())
