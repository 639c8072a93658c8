"""Validation in this process, on small real files: its numbers against plain formulas."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hpctrain.tasks.super_resolution.pair import Pair
from hpctrain.train.task import Validation
from hpctrain.train.trainer import Trainer
from tests.unit.train.test_trainer import change, run_dir, trainer

__all__ = ["run_dir"]


@pytest.fixture
def untrained(run_dir: Path) -> Trainer:
    return trainer(run_dir)


def crops(made: Trainer) -> list[tuple[np.ndarray, np.ndarray]]:
    """Generated and true crops of all validation samples, each (C, cells), normalised."""
    task, found = made.task, []
    for i in range(len(made.data.validation)):
        batch = _batch(made, i)
        with torch.no_grad():
            pair = Pair(batch, task.models["generator"], task.factor, task.settings.seed)
            found.append(
                (pair.generate()[0].flatten(1).numpy(), batch.target[0].flatten(1).numpy())
            )
    return found


def _batch(made: Trainer, i: int):
    from hpctrain.data import FieldBatch

    data = made.data.validation
    given, target = (np.empty(s, np.float32) for s in (data.input_shape, data.target_shape))
    data.read_into(i, 0, given, target)
    return FieldBatch((i,), 0, torch.from_numpy(given)[None], torch.from_numpy(target)[None])


def result(made: Trainer) -> Validation:
    sums: dict[str, torch.Tensor] = {}
    for i in range(len(made.data.validation)):
        with torch.no_grad():
            for key, value in made.task.validation_step(_batch(made, i)).items():
                sums[key] = sums.get(key, 0) + value
    return made.task.validation_result(sums)


def test_correlation__is_numpys_over_all_cells(untrained: Trainer) -> None:
    pairs = crops(untrained)
    made, true = (np.concatenate([p[i] for p in pairs], axis=1) for i in (0, 1))
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(made, true, strict=True)]
    found = result(untrained)
    by_variable = found.files["summary.json"]["correlation"]["generator"]
    np.testing.assert_allclose(list(by_variable.values()), expected, rtol=1e-5)
    assert found.scalars["correlation/generator"] == pytest.approx(np.mean(expected), rel=1e-5)


def test_histogram_distance__is_the_mean_over_samples(untrained: Trainer) -> None:
    distances = [np.abs(np.sort(a) - np.sort(b)).mean(1) for a, b in crops(untrained)]
    found = result(untrained)
    by_variable = found.files["summary.json"]["histogram_distance"]["generator"]
    np.testing.assert_allclose(list(by_variable.values()), np.mean(distances, 0), rtol=1e-5)


def test_yardsticks__are_trilinear_and_tricubic(untrained: Trainer) -> None:
    found = result(untrained)
    for name in ("rmse", "log_spectrum_error", "correlation", "histogram_distance"):
        assert {f"{name}/{kind}" for kind in ("generator", "trilinear", "tricubic")} <= set(
            found.scalars
        )
    # a smooth field is followed better by the cubic
    assert (
        found.scalars["log_spectrum_error/tricubic"] < found.scalars["log_spectrum_error/trilinear"]
    )


def test_spectra__are_in_tensorboard_from_the_first_epoch(run_dir: Path) -> None:
    change(run_dir, epochs=2, figures_every_epochs=2)
    trainer(run_dir).fit()
    events = EventAccumulator(str(run_dir / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert [image.step for image in events.Images("spectra")] == [5, 10]
    assert [image.step for image in events.Images("temperature")] == [10]
    kept = {path.name for path in (run_dir / "eval" / "figures").iterdir()}
    assert "epoch_0002_spectra.png" in kept
    assert "epoch_0001_spectra.png" not in kept  # the numbers of each epoch are in metrics.jsonl
    lines = [json.loads(x) for x in (run_dir / "logs" / "metrics.jsonl").read_text().splitlines()]
    assert all("correlation/generator" in x for x in lines if x["kind"] == "validation")
