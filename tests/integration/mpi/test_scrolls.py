"""Real trainings on a small scroll: a VAE, and ink with its encoder; ranks agree, alarms tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hpctrain.samples.scroll import write_sample
from tests.e2e.commands import hpctrain, state
from tests.integration.mpi.test_field_to_field import agree
from tests.requires import requires
from tests.runs import SmallRun, newest

pytestmark = pytest.mark.slow

REAL = Path(__file__).parents[4] / "shared" / "data" / "vesuvius"
SLICES = "campfire_scroll_slices_280.npz"

JOB: dict[str, Any] = {
    "name": "scroll",
    "site": "local",
    "resources": {"nodes": 1, "ranks_per_node": 2, "walltime": "00:10:00"},
    "launch": {"comm": "ddp"},
    "data": {
        "kind": "scroll",
        "root": "data",
        "volumes": ["*.volpkg"],
        "sample": "cube",
        "window": [8, 8, 8],
        "samples_per_epoch": 24,
        "validation": {"share": 0.2, "axis": "z", "samples": 10},
    },
    "train": {
        "task": "scroll_vae",
        "epochs": 1,
        "global_batch_size": 8,
        "precision": "float32",
        "log_every_steps": 1,
        "sync_batch_norm": True,
        "network": {"channels": 4, "layers": 2, "latent_dim": 8},
        "divergence": {"warmup_steps": 2, "free_bits": 0.01},
    },
}
VAE = ("train.ema={models: [vae], decay: 0.5}",)
"""What the second of the trainings below has beside."""


@pytest.fixture(scope="module")
def roll(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    folder = tmp_path_factory.mktemp("roll")
    write_sample(folder / "data", size=(128, 192))
    (folder / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    return SmallRun(folder)


def ink_job(weights: Path) -> dict[str, object]:
    """A job on the flattened surface of the same roll."""
    surface = {
        "root": "../data",
        "volumes": ["train/*"],
        "sample": "surface",
        "window": [8, 16, 16],
        "validation": {"columns": [40, 88]},
        "ink_share": 0.5,
    }
    network = {"kind": "encoder_decoder", "channels": 4, "layers": 2}
    train = {key: value for key, value in JOB["train"].items() if key != "divergence"}
    train |= {
        "task": "ink",
        "network": network,
        "initial_weights": {"path": str(weights), "encoder": "frozen"},
        "loss": {"dice": 1.0, "ink_weight": "balanced"},
    }
    return {**JOB, "name": "ink", "data": {**JOB["data"], **surface}, "train": train}


def scalars(run: Path) -> dict[str, float]:
    """The last validation."""
    lines = (run / "logs" / "metrics.jsonl").read_text().splitlines()
    return next(m for m in map(json.loads, reversed(lines)) if m["kind"] == "validation")


@requires(mpi=True)
def test_vae__one_and_two_ranks_agree_and_tell_the_same(roll: SmallRun) -> None:
    one = roll.finished("resources.ranks_per_node=1", *VAE)
    two = roll.finished(*VAE)
    agree(one, two)
    first, second = scalars(one), scalars(two)
    assert first.keys() == second.keys() >= {"loss", "psnr", "active_units", "divergence"}
    for key in first.keys() - {"kind", "time"}:
        assert first[key] == pytest.approx(second[key], rel=2e-3, abs=1e-6), key
    best = json.loads((two / "checkpoints" / "best.json").read_text())
    assert best["value"] == pytest.approx(second["loss"], rel=1e-6)


@requires(mpi=True)
def test_linear_path__is_found_once_and_the_same_on_all_ranks(roll: SmallRun) -> None:
    """One and two ranks agree; an epoch that is done again from its checkpoint has equal bits."""
    own = ("train.network.linear_windows=16", "train.epochs=2")
    one, two = roll.finished("resources.ranks_per_node=1", *own), roll.finished(*own)
    agree(one, two)
    whole, path = newest(two), two / "checkpoints" / "state_2.pt"
    assert float(whole["vae.linear.vectors"].norm()) == pytest.approx(8**0.5, rel=1e-5)
    path.write_bytes(path.read_bytes()[:-2000])
    assert "resuming from state_1.pt" in roll.finish(two)
    again = newest(two)
    assert all(torch.equal(again[key], value) for key, value in whole.items())


@requires(mpi=True)
def test_vae__figures_and_alarms_are_where_one_looks(roll: SmallRun) -> None:
    """Three steps teach nothing, so that the output is constant and the posterior is the prior."""
    run = roll.finished(*VAE)
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert {"reconstruction", "latent_traversal", "error_by_distance"} <= set(
        events.Tags()["images"]
    )
    assert "alarm/constant_output" in events.Tags()["scalars"]
    (told,) = [a for a in [state(run)["alarms"]] if "constant_output" in a]
    assert told["constant_output"]["value"] < 0.01
    shown = hpctrain("status", str(run), cwd=roll.folder)
    assert "constant output: its variance is" in shown.stdout
    curve = json.loads((run / "eval" / "summary.json").read_text())["error_by_distance"]
    assert curve["distance"] == [0.125, 0.375, 0.625, 0.875]


@requires(mpi=True)
def test_ink__begins_with_the_vae_and_one_and_two_ranks_agree(roll: SmallRun) -> None:
    weights = roll.finished(*VAE) / "checkpoints" / "best.pt"
    desk = roll.folder / "ink"
    desk.mkdir()
    (desk / "small.yaml").write_text(yaml.safe_dump(ink_job(weights), sort_keys=False))
    ink = SmallRun(desk)
    one, two = ink.finished("resources.ranks_per_node=1"), ink.finished()
    agree(one, two)
    first, second = scalars(one), scalars(two)
    assert first["auc"] == pytest.approx(second["auc"], abs=2e-3)
    assert first["ink_share"] == second["ink_share"]
    kept = torch.load(weights, weights_only=True)["ema"]["models"]["vae"]
    own = newest(two)
    found = [key for key in own if "encoder." in key and key.endswith("weight")]
    assert found
    for key in found:
        assert torch.equal(own[key], kept[key.removeprefix("ink.")]), key
    names = {p.name for p in (two / "eval" / "figures").iterdir()}
    assert {f"epoch_0001_ink_{n}.png" for n in ("curves", "windows", "region")} <= names
    best = json.loads((two / "checkpoints" / "best.json").read_text())
    assert best["metric"] == "validation/f05"


@requires(mpi=True)
@pytest.mark.skipif(not (REAL / SLICES).is_file(), reason=f"no slices of a real roll in {REAL}")
def test_vae__of_a_real_carbonised_roll(roll: SmallRun) -> None:
    run = roll.finished(
        f"data.root={REAL}",
        f"data.volumes=[{SLICES}]",
        "data.window=[16, 16, 16]",
        "data.samples_per_epoch=256",
        "data.validation={share: 0.2, axis: x, samples: 64}",
        "train.network={channels: 8, layers: 2, latent_dim: 64, latent: grid}",
        "train.optimizer.learning_rate=3e-3",
        "train.epochs=3",
    )
    found = scalars(run)
    assert found["explained"] > 0.1
    assert np.isfinite(found["psnr"])
    assert {"constant_output", "posterior_collapse"}.isdisjoint(state(run).get("alarms", {}))
