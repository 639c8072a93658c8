"""Validation in this process, on small real files: its numbers against plain formulas."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.io import netcdf_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hpctrain.provenance.files import read
from hpctrain.tasks.super_resolution.by_shell import ShellSums, shell_errors
from hpctrain.tasks.super_resolution.pair import Pair
from hpctrain.train.task import Validation
from hpctrain.train.trainer import Trainer
from tests.unit.train.test_trainer import change, run_dir, trainer, write_job

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
    for name in ("spectra", "errors_by_shell"):
        assert [image.step for image in events.Images(name)] == [5, 10]
    tag = "validation/by_variable/temperature/log_spectrum_error/generator"
    assert [point.step for point in events.Scalars(tag)] == [5, 10]
    assert [image.step for image in events.Images("temperature")] == [10]
    kept = {path.name for path in (run_dir / "eval" / "figures").iterdir()}
    assert "epoch_0002_spectra.png" in kept
    assert "epoch_0001_spectra.png" not in kept  # the numbers of each epoch are in metrics.jsonl
    lines = [json.loads(x) for x in (run_dir / "logs" / "metrics.jsonl").read_text().splitlines()]
    assert all("correlation/generator" in x for x in lines if x["kind"] == "validation")


def by_shell(made: Trainer, kind: str, variable: int) -> tuple[np.ndarray, ...]:
    """Truth and field of all samples, physical, put where their shells are; NaN elsewhere."""
    task, data = made.task, made.data.validation
    rows: list[list[np.ndarray]] = [[], []]
    for i in range(len(data)):
        batch = _batch(made, i)
        with torch.no_grad():
            pair = Pair(batch, task.models["generator"], task.factor, task.settings.seed)
            field = pair.generate() if kind == "generator" else pair.condition
        for found, values in zip(rows, (batch.target, field), strict=True):
            physical = task.scales.denormalize(values.double())[0, variable].numpy()
            whole = np.full((data.num_shells, *physical.shape[1:]), np.nan)
            first = data.anchors[i % data.samples_per_file][0] * task.factor
            whole[first : first + len(physical)] = physical
            found.append(whole)
    truth, made_of = (np.stack(found, 1).reshape(data.num_shells, -1) for found in rows)
    return truth, made_of


@pytest.mark.parametrize("kind", ["generator", "trilinear"])
def test_shells__numbers_are_those_of_their_cells(untrained: Trainer, kind: str) -> None:
    validation = result(untrained)
    page = validation.files["shells.json"]
    for c, variable in enumerate(page["variables"]):
        truth, made = by_shell(untrained, kind, c)
        assert np.isnan(truth).any() or len(np.unique(truth)) > 1
        error = np.sqrt(np.nanmean((made - truth) ** 2, axis=1))
        np.testing.assert_allclose(page["rmse"][kind][variable], error, rtol=1e-4)
        deviation = page["deviation"]["truth"][variable]
        np.testing.assert_allclose(deviation, np.nanstd(truth, axis=1), rtol=1e-4)
        known = ~np.isnan(truth)
        alike = [np.corrcoef(truth[i, k], made[i, k])[0, 1] for i, k in enumerate(known)]
        np.testing.assert_allclose(page["correlation"][kind][variable], alike, rtol=1e-3, atol=1e-5)
        spectra = page["log_spectrum_error"][kind][variable]
        assert len(spectra) == len(error)
        assert all(0 < e < 12 for e in spectra)
    assert len(page["radii"]) == len(error)
    assert page["radii"] == sorted(page["radii"])


def test_shell_spectra__are_those_of_single_layers(untrained: Trainer) -> None:
    """Four times the power on one shell is an error there, and nowhere else."""
    truth = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 1, 2, 8, 8))).float()
    field = truth.clone()
    first = [0, 2, 2]  # of a field of four shells
    field[1:, :, 1] *= 2  # the last one
    sums = ShellSums(first, 2, 4, truth.device)
    for kind, values in (("truth", truth), ("generator", field)):
        sums.add_spectrum(kind, values)
    sums.add_errors("generator", field, truth)
    found = shell_errors(sums.sums, ["generator"], ["T"])["log_spectrum_error"]["generator"]["T"]
    assert found == pytest.approx([0, 0, 0, np.log10(4)], abs=1e-5)


def test_variable_that_is_constant__has_no_spectrum_and_hides_no_other(run_dir: Path) -> None:
    """Its rounding noise counted as twelve decades, which drowned all that was learned."""
    for path in run_dir.parent.glob("step*.nc"):
        with netcdf_file(path, "a") as file:
            file.variables["vz"][:] = 3.3
    job = yaml.safe_load((run_dir / "config.yaml").read_text())
    job["train"]["epochs"] = 1
    write_job(run_dir, job)
    trainer(run_dir).fit()
    text = (run_dir / "eval" / "summary.json").read_text()
    summary = json.loads(text, parse_constant=pytest.fail)
    assert read(run_dir / "eval" / "summary.json").is_intact
    by_variable = summary["log_spectrum_error_by_variable"]["generator"]
    assert by_variable.pop("vz") is None
    mean = np.sqrt(np.mean(np.square(list(by_variable.values()))))
    assert summary["log_spectrum_error"]["generator"] == pytest.approx(mean)
    assert summary["correlation"]["generator"]["vz"] is None
    shells = json.loads((run_dir / "eval" / "shells.json").read_text(), parse_constant=pytest.fail)
    assert set(shells["log_spectrum_error"]["generator"]["vz"]) == {None}
    lines = [json.loads(x) for x in (run_dir / "logs" / "metrics.jsonl").read_text().splitlines()]
    (line,) = (x for x in lines if x["kind"] == "validation")
    assert np.isfinite(line["correlation/generator"])
    assert line["by_variable/vx/rmse/generator"] == pytest.approx(
        summary["rmse"]["generator"]["vx"]
    )
    (own,) = (x for x in lines if x["kind"] == "shells")
    ours = shells["rmse"]["generator"]["vx"]
    assert own["rmse"]["vx"] == pytest.approx(ours, rel=1e-4)
