"""`hpctrain smoke` of the tasks on scrolls tells a set-up that learns from one that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml

from hpctrain.cli import smoke as cli_smoke
from tests.unit.data.scroll.builders import ink, write_fragment

SMALL: dict[str, dict[str, Any]] = {
    "scroll_vae": {"network": {"channels": 8, "layers": 1, "latent_dim": 32}},
    "ink": {"network": {"kind": "unet", "stem": 4, "channels": 8, "levels": 1}},
}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    volume = rng.normal(3000, 200, (9, 40, 60)) + 2000 * ink() * (np.arange(9) == 4)[:, None, None]
    write_fragment(tmp_path / "data" / "1", volume.astype(np.uint16))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def job(desk: Path, task: str) -> str:
    page = {
        "version": 1,
        "name": "roll",
        "site": "local",
        "resources": {"nodes": 1, "ranks_per_node": 1, "walltime": "00:10:00"},
        "data": {
            "kind": "scroll",
            "root": "data",
            "volumes": ["*"],
            "sample": "surface" if task == "ink" else "cube",
            "window": [4, 8, 8],
            "samples_per_epoch": 64,
            "validation": {"columns": [40, 60]},
        },
        "train": {
            "task": task,
            "epochs": 1,
            "global_batch_size": 8,
            "optimizer": {"learning_rate": 1e-2},
            **SMALL[task],
        },
    }
    (desk / "roll.yaml").write_text(yaml.safe_dump(page))
    return "roll.yaml"


@pytest.mark.parametrize(
    ("task", "text"),
    [
        ("scroll_vae", "the set-up can learn: squared error 0."),
        ("ink", "the set-up can learn: loss 0."),
    ],
)
def test_smoke__a_set_up_that_learns(
    desk: Path, task: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli_smoke.command(job(desk, task), [], seconds=30.0)
    told = capsys.readouterr().out
    assert text in told
    assert "8 windows; Adam" in told


@pytest.mark.parametrize(("rate", "learns"), [("1e-2", True), ("1e-12", False)])
def test_smoke__of_a_linear_path_counts_what_is_learned_beyond_it(
    desk: Path, rate: str, learns: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its components explain enough of the windows before the first step."""
    settings = [
        "train.network.linear_windows=64",
        f"train.optimizer.learning_rate={rate}",
        "data.normalization=standard",
    ]
    status = 0
    try:
        cli_smoke.command(job(desk, "scroll_vae"), settings, seconds=30.0 if learns else 1.0)
    except typer.Exit as left:
        status = left.exit_code
    told = capsys.readouterr().out
    assert status == (0 if learns else 1)
    at_first = float(told.split("squared error ")[1].split()[0])
    assert at_first < 0.5
    if learns:
        assert "after 0 steps" not in told
    else:
        goal = float(told.split("which should be below ")[1].split()[0])
        assert goal == pytest.approx(0.9 * at_first, rel=0.01)


@pytest.mark.parametrize("task", SMALL)
@pytest.mark.parametrize(
    ("rate", "hint"), [("1e-12", "it has stopped falling"), ("1e30", "is no number; lower it")]
)
def test_smoke__one_that_does_not(
    desk: Path, task: str, rate: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = f"train.optimizer.learning_rate={rate}"
    with pytest.raises(typer.Exit) as left:
        cli_smoke.command(job(desk, task), [setting], seconds=1.0)
    assert left.value.exit_code == 1
    told = capsys.readouterr().out
    assert "the set-up does not learn" in told
    assert hint in told
