"""A training on crops of several sizes: samples, steps, rates, and going on in any stage."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from hpctrain.tasks.super_resolution import SuperResolutionTask
from hpctrain.train.schedule import factor
from hpctrain.train.task import Position
from tests.runs import JOB, write_step
from tests.unit.train.test_trainer import stop_at, trainer, write_job

STAGES = [{"epochs": 1, "crop": [2, 4, 4]}, {"epochs": 1, "crop": [3, 4, 4], "stride": [3, 4, 8]}]
STEPS = {0: 10, 1: 6, 2: 5, 3: 5}
"""Of each epoch: two files of 4 x 8 x 20 input cells, in batches of four."""
CROPS = {0: (2, 4, 4), 1: (3, 4, 4), 2: (4, 4, 4), 3: (4, 4, 4)}
TOTAL = sum(STEPS.values())


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    for i in range(3):
        write_step(tmp_path / f"step{i:03}.nc", seed=i)
    job = copy.deepcopy(JOB)
    job["resources"]["ranks_per_node"] = 1
    job["data"] |= {"root": str(tmp_path), "workers": 1, "crop_stages": STAGES}
    schedule = {"kind": "cosine", "warmup_steps": 3}
    job["train"] |= {"epochs": 4, "pretrain_epochs": 1, "schedule": schedule}
    write_job(tmp_path / "run", job)
    return tmp_path / "run"


class Watched(SuperResolutionTask):
    """Writes down what each step gets."""

    seen: list[tuple[int, int, int, tuple[int, ...], tuple[int, ...], float]]

    def training_step(self, batch: Any, update: Any, at: Position) -> dict[str, torch.Tensor]:
        rate = update.optimizers["generator"].param_groups[0]["lr"] if update.optimizers else 0.0
        shape = tuple(n // self.factor for n in batch.target.shape[2:])
        if update.optimizers:  # not the probe of precisions
            self.seen.append((at.epoch, at.step, at.global_step, batch.ids, shape, rate))
        return super().training_step(batch, update, at)


def fit(run: Path, monkeypatch: pytest.MonkeyPatch, stop: int | None = None) -> list[Any]:
    """What the steps of one start got."""
    with monkeypatch.context() as patched:
        if stop is not None:
            stop_at(patched, stop)
        made = trainer(run, Watched)
        made.task.seen = []
        assert made.fit() == (stop is None)
    return made.task.seen


def test_stages__crops_samples_rates_and_total(run_dir, monkeypatch):
    seen = fit(run_dir, monkeypatch)
    assert {epoch: shape for epoch, *_, shape, _ in seen} == CROPS
    assert [(e, s) for e, s, *_ in seen] == [(e, s) for e in range(4) for s in range(STEPS[e])]
    assert [g for _, _, g, *_ in seen] == list(range(TOTAL))
    for epoch, steps in STEPS.items():
        ids = Counter(i for e, _, _, own, _, _ in seen if e == epoch for i in own)
        assert ids == Counter(range(4 * steps))  # each sample of the stage once
    settings = trainer(run_dir).settings
    full = settings.optimizer.learning_rate
    expected = [full * factor(settings.schedule, step, TOTAL) for step in range(TOTAL)]
    assert [rate for *_, rate in seen] == pytest.approx(expected, rel=1e-12)


def test_stages__resumed_anywhere_end_bit_by_bit_the_same(run_dir, monkeypatch, tmp_path):
    whole = fit(run_dir, monkeypatch)
    expected = torch.load(run_dir / "checkpoints" / "latest", weights_only=True)
    for step in (4, 10, 13):  # within a stage, at its end, in the next one
        other = tmp_path / f"run{step}"
        write_job(other, yaml.safe_load((run_dir / "config.yaml").read_text()))
        seen = fit(other, monkeypatch, step)
        assert len(seen) == step
        seen += fit(other, monkeypatch)
        assert seen == whole, step
        found = torch.load(other / "checkpoints" / "latest", weights_only=True)
        for name, model in expected["models"].items():
            for key, value in model.items():
                assert torch.equal(found["models"][name][key], value), (step, key)
