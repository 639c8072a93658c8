"""Whole fields of a small real run: put together, measured, drawn and shown on the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from scipy.io import netcdf_file
from typer.testing import CliRunner

from hpctrain.analysis.report import write_report
from hpctrain.analysis.spectrum import power_spectrum
from hpctrain.cli.app import app
from hpctrain.errors import CheckpointError, DataError
from hpctrain.evaluate import fields
from hpctrain.evaluate.command import evaluate_run
from hpctrain.evaluate.fields import WholeFields
from hpctrain.models import upsample_tricubic, upsample_trilinear
from hpctrain.predict.predictor import Draw, Predictor
from hpctrain.predict.tiles import Block
from hpctrain.provenance.files import read
from tests.runs import VARIABLES
from tests.unit.train.test_trainer import change, run_dir, trainer, write_job

__all__ = ["run_dir"]


@pytest.fixture
def trained_flow(run_dir: Path) -> Path:
    change(run_dir, epochs=1)
    trainer(run_dir).fit()
    return run_dir


@pytest.fixture
def trained(run_dir: Path) -> Path:
    job = yaml.safe_load((run_dir / "config.yaml").read_text())
    job["data"] |= {"validation_steps": 2, "variables": ["temperature"]}
    job["train"]["epochs"] = 1
    write_job(run_dir, job)
    trainer(run_dir).fit()
    return run_dir


def test_whole_fields__are_those_of_the_file(trained_flow: Path) -> None:
    source = WholeFields(trained_flow)
    truth = source.truth(0)
    with netcdf_file(trained_flow.parent / source.targets.name(0), mmap=False) as file:
        stored = {v: file.variables[v][:].transpose(1, 0, 2).copy() for v in VARIABLES}
        axes = [file.variables[name][:].copy() for name in ("r", "lat", "lon")]
    shape = truth.shape[1:]
    for channel, variable in enumerate(VARIABLES):
        part = stored[variable]
        cut = [(n - m) // 2 for n, m in zip(part.shape, shape, strict=True)]
        expected = part[tuple(slice(c, c + m) for c, m in zip(cut, shape, strict=True))]
        np.testing.assert_array_equal(truth[channel], expected)
    for values, stored_axis in zip(source.targets.coordinates(), axes, strict=True):
        assert values is not None
        assert set(np.round(values, 4)) <= set(np.round(stored_axis, 4))


def test_yardsticks__are_upsampled_slab_by_slab_as_at_once(trained_flow: Path, monkeypatch) -> None:
    source = WholeFields(trained_flow)
    truth = source.truth(0)
    coarse = truth.reshape(4, *(m for n in truth.shape[1:] for m in (n // 2, 2))).mean((2, 4, 6))
    for axis, mode in enumerate(("edge", "symmetric", "wrap"), start=1):
        coarse = np.pad(coarse, [(2, 2) if i == axis else (0, 0) for i in range(4)], mode=mode)
    monkeypatch.setattr(fields, "_SLAB_CELLS", 1)  # a coarse layer each
    for kind, upsample in (("trilinear", upsample_trilinear), ("tricubic", upsample_tricubic)):
        expected = upsample(torch.from_numpy(coarse)[None], 2, 2)[0].numpy()
        np.testing.assert_allclose(source.upsampled(0, kind), expected, rtol=1e-4, atol=1e-4)


def test_evaluate__numbers_agree_with_plain_formulas(trained: Path) -> None:
    page = evaluate_run(trained, members=3, fields=None)
    stored = json.loads((trained / "eval" / "whole.json").read_text())
    assert stored["steps"] == page["steps"]
    assert read(trained / "eval" / "whole.json").stamp.product == "evaluation"
    arrays = np.load(trained / "eval" / "whole.npz")
    layer = int(arrays["layers"][0])
    truth, made = (arrays[f"shells/{kind}"][0, 0] for kind in ("truth", "generator"))
    step = page["steps"][-1]
    assert page["geometry"] == "globe"
    weights = np.cos(np.deg2rad(arrays["latitudes"]))[:, None]
    error = np.average((made - truth) ** 2, weights=np.broadcast_to(weights, truth.shape))
    found = step["rmse"]["generator"]["temperature"][layer]
    assert found == pytest.approx(np.sqrt(error), rel=0.05)  # rows weigh as their cosine, nearly
    for variable in page["variables"]:
        assert sum(step["rank_histogram"][variable]) == pytest.approx(1)
        assert len(step["rank_histogram"][variable]) == 4
        assert len(step["spectrum"]["truth"][variable]) == len(page["k"])
        assert step["log_spectrum_error"]["generator"][variable] > 0


@pytest.mark.parametrize(("members", "maker"), [(0, "the network"), (2, "with noise the network")])
def test_evaluate__a_field_that_is_not_finite(
    trained: Path, monkeypatch: pytest.MonkeyPatch, members: int, maker: str
) -> None:
    page = evaluate_run(trained, members=members, fields=None)
    block = Predictor.block

    def overflowing(self: Predictor, sample: int, at: Block, draw: Draw, *more: Any) -> Any:
        found = block(self, sample, at, draw, *more)
        if sample == 1 and (draw.seed is not None) == (members > 0):
            found[0, 0, 0, 0] = np.inf
        return found

    monkeypatch.setattr(Predictor, "block", overflowing)
    with pytest.raises(DataError) as refused:
        evaluate_run(trained, members=members, fields=None)
    text = str(refused.value)
    assert f".nc: {maker} of state_1.pt makes values of temperature that are not finite" in text
    assert "(1 of 2) are in" in text
    folder = trained / "eval"
    partial = json.loads((folder / "whole.partial.json").read_text())
    assert partial["steps"] == page["steps"][:1]
    assert json.loads((folder / "whole.json").read_text())["steps"] == page["steps"]
    monkeypatch.undo()
    evaluate_run(trained, members=0, fields=1)
    assert not (folder / "whole.partial.json").exists()


def test_report__shows_what_was_evaluated(trained: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(trained), "--members", "2"])
    assert done.exit_code == 0, done.output
    assert "temperature RMSE" in done.output
    html = write_report(trained).read_text()
    assert "Whole fields" in html
    folder = trained / "eval" / "whole"
    assert {"spectra.png", "profiles.png", "calibration.png"} <= {p.name for p in folder.iterdir()}
    page = json.loads((trained / "eval" / "whole.json").read_text())
    with Image.open(folder / "time_temperature.gif") as image:
        assert image.n_frames == len(page["steps"]) == 2
    assert read(folder / "time_temperature.gif").stamp.product == "figure"
    before = (folder / "spectra.png").stat().st_mtime_ns
    write_report(trained)
    assert (folder / "spectra.png").stat().st_mtime_ns == before  # nothing is drawn twice


def test_report__says_when_the_evaluation_is_damaged(trained: Path) -> None:
    evaluate_run(trained, members=0, fields=1)
    (trained / "eval" / "whole.json").write_text("{")
    assert "is damaged" in write_report(trained).read_text()


def test_evaluate__without_a_checkpoint_is_refused(run_dir: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        evaluate_run(run_dir, members=0, fields=None)


def test_evaluate__two_shells_of_a_flow_have_no_divergence(run_dir: Path) -> None:
    job = yaml.safe_load((run_dir / "config.yaml").read_text())
    job["data"] |= {"shells": [0, 2], "crop": [1, 4, 4]}
    job["train"]["epochs"] = 1
    write_job(run_dir, job)
    trainer(run_dir).fit()
    (step,) = evaluate_run(run_dir, members=0, fields=None)["steps"]
    assert "divergence" not in step
    assert len(step["rmse"]["generator"]["vx"]) == 2
    assert "is damaged" not in write_report(run_dir).read_text()


def test_evaluate__radii_in_metres_are_told_from_the_file(run_dir: Path) -> None:
    change(run_dir, epochs=1)
    trainer(run_dir).fit()
    expected = evaluate_run(run_dir, members=0, fields=None)
    for path in run_dir.parent.glob("step*.nc"):
        with netcdf_file(path, "a") as file:
            file.variables["r"][:] *= 1000
            file.variables["r"].units = "m"
    found = evaluate_run(run_dir, members=0, fields=None)
    assert found["radii"] == pytest.approx(expected["radii"])
    assert np.load(run_dir / "eval" / "whole.npz")["radii"] == pytest.approx(expected["radii"])
    here, there = (page["steps"][0]["divergence"]["truth"] for page in (found, expected))
    assert here == pytest.approx(there)


def strict(text: str) -> dict:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_report__shows_shells_and_a_variable_that_are_constant(run_dir: Path) -> None:
    for path in run_dir.parent.glob("step*.nc"):
        with netcdf_file(path, "a") as file:
            file.variables["temperature"][:, [0, -1]] = 300
            file.variables["vz"][:] = 0
    job = yaml.safe_load((run_dir / "config.yaml").read_text())
    job["train"] |= {"epochs": 1}
    job["data"]["variables"] = ["temperature", "vz"]
    write_job(run_dir, job)
    trainer(run_dir).fit()
    page = evaluate_run(run_dir, members=2, fields=None)
    assert strict((run_dir / "eval" / "whole.json").read_text())["steps"] == page["steps"]
    (step,) = page["steps"]
    assert step["correlation"]["generator"]["temperature"][0] is None
    assert step["log_spectrum_error"]["generator"]["vz"] is None
    text = write_report(run_dir).read_text()
    assert "Whole fields" in text
    assert "is damaged" not in text


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.fixture
def twice_saved(run_dir: Path) -> Path:
    change(run_dir, epochs=2)
    trainer(run_dir).fit()
    return run_dir / "checkpoints"


@pytest.mark.parametrize("is_there", [True, False])
def test_evaluate__takes_the_checkpoint_before_a_lost_one(twice_saved: Path, is_there) -> None:
    newest = twice_saved / "state_2.pt"
    if is_there:
        tear(newest)
    else:
        newest.unlink()  # which leaves `latest` dangling
    run = twice_saved.parent
    assert evaluate_run(run, members=0, fields=None)["epoch"] == 1
    for name in ("whole.json", "whole.npz"):
        assert read(run / "eval" / name).stamp.checkpoint == "state_1.pt"


def test_evaluate__stamps_what_it_judged_while_training_goes_on(twice_saved: Path) -> None:
    run, newer, kept = twice_saved.parent, twice_saved / "state_2.pt", twice_saved / "kept"
    newer.rename(kept)
    (twice_saved / "latest").unlink()
    (twice_saved / "latest").symlink_to("state_1.pt")
    judged = read(twice_saved / "state_1.pt").stamp.content_digest

    def go_on(_: str) -> None:
        kept.rename(newer)
        (twice_saved / "latest").unlink()
        (twice_saved / "latest").symlink_to("state_2.pt")
        (twice_saved / "state_1.pt").unlink()

    page = evaluate_run(run, members=0, fields=None, say=go_on)
    assert page["epoch"] == 1
    write_report(run)
    for name in ("whole.json", "whole.npz", "whole/spectra.png"):
        stamp = read(run / "eval" / name).stamp
        assert (stamp.checkpoint, stamp.checkpoint_digest) == ("state_1.pt", judged)
        assert stamp.epoch == 1


@pytest.mark.parametrize("ema", [None, {"models": ["generator"], "validate_with": True}])
def test_evaluate__of_another_generator_says_so(run_dir: Path, ema: dict | None) -> None:
    change(run_dir, epochs=1, ema=ema)
    trainer(run_dir).fit()
    change(run_dir, generator={"channels": {"base": 16, "min": 4, "max": 16}})
    with pytest.raises(CheckpointError, match=r"state_1\.pt: .*put the run's train block back"):
        evaluate_run(run_dir, members=0, fields=None)


@pytest.mark.parametrize("padding", [None, ["periodic", "reflect", "periodic"]])
def test_evaluate__spectra_of_a_box_follow_its_padding(run_dir: Path, padding) -> None:
    rng = np.random.default_rng(0)
    for i in range(3):
        np.save(run_dir.parent / f"box{i}.npy", rng.normal(size=(1, 8, 8, 8)).astype(np.float32))
    job = yaml.safe_load((run_dir / "config.yaml").read_text())
    job["data"] |= {"targets": ["box*.npy"], "variables": [], "geometry": "box"}
    job["data"] |= {"padding": padding, "augment": {}}
    job["train"] |= {"epochs": 1, "global_batch_size": 2}
    write_job(run_dir, job)
    trainer(run_dir).fit()
    (step,) = evaluate_run(run_dir, members=0, fields=None)["steps"]
    truth = torch.from_numpy(np.load(run_dir.parent / "box2.npy"))[None]
    _, power = power_spectrum(truth, "hann" if padding else None)
    (found,) = step["spectrum"]["truth"].values()
    assert found == pytest.approx(power[0].tolist(), rel=1e-4)
