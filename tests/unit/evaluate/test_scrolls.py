"""Runs on scrolls are evaluated on all that was held out: segments of ink, cubes of a VAE."""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
import zarr
from torch.nn import functional as F
from typer.testing import CliRunner

from hpctrain.cli.app import app
from hpctrain.config.job import Job
from hpctrain.config.load import read_resolved
from hpctrain.data.scroll import ScrollDataset
from hpctrain.errors import CheckpointError, ConfigError, DataError
from hpctrain.evaluate.cubes import blocks_of, evaluate_cubes
from hpctrain.evaluate.segments import evaluate_segments
from hpctrain.index import read_index
from hpctrain.index.scroll.build import build_scroll_index
from hpctrain.provenance import read
from hpctrain.tasks.scroll_vae.bound import make_vae
from hpctrain.train.checkpoint import CheckpointFolder
from tests.unit.data.scroll.builders import ink, mask, write_fragment
from tests.unit.predict.segment import made

WINDOW = (4, 8, 8)


@pytest.fixture(scope="module")
def ink_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.make_run(tmp_path_factory.mktemp("ink"))


@pytest.fixture(scope="module")
def scored(ink_run: Path) -> dict[str, Any]:
    return evaluate_segments(ink_run)


@pytest.fixture(scope="module")
def vae_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of task `scroll_vae` with random weights, made without a training."""
    folder = tmp_path_factory.mktemp("vae")
    (folder / "data").mkdir()
    np.save(folder / "data" / "v.npy", made.grey(shape=(8, 32, 40)))
    page: dict[str, Any] = {
        "name": "made",
        "site": "local",
        "resources": {"nodes": 1, "ranks_per_node": 1, "walltime": "00:10:00"},
        "data": {
            "kind": "scroll",
            "root": str(folder / "data"),
            "volumes": ["*.npy"],
            "sample": "cube",
            "window": list(WINDOW),
            "samples_per_epoch": 4,
            "validation": {"share": 0.5, "axis": "x"},
        },
        "train": {
            "task": "scroll_vae",
            "epochs": 1,
            "global_batch_size": 4,
            "network": {"block": "plain", "channels": 4, "layers": 2, "latent_dim": 5},
        },
    }
    run = folder / "run"
    run.mkdir()
    (run / "config.yaml").write_text(yaml.safe_dump(page))
    (run / "manifest.json").write_text(json.dumps({"files": {}}))
    index = build_scroll_index(Job.model_validate(page).data, folder)
    (run / "index.csv").write_text(index.csv_text)
    (run / "index.json").write_text(index.json_text)
    job = read_resolved(run / "config.yaml")
    scales = ScrollDataset(job.data, read_index(run), "train", 0).measure_scales()
    torch.manual_seed(0)
    state = {
        "models": {"vae": make_vae(job.train, WINDOW).state_dict()},
        "task": {"scales": scales.to_dict(), "span": 3.0},
        "position": {"epoch": 1, "step": 0, "global_step": 5},
    }
    CheckpointFolder(run / "checkpoints", keep_last=2).save(state, 1, 0)
    return run


def test_evaluate_ink__scores_are_those_of_the_blended_picture_where_held_out(
    ink_run: Path, scored: dict[str, Any], tmp_path: Path
) -> None:
    page = scored
    made.run_predict(ink_run, tmp_path / "a.zarr")
    p = zarr.open_array(tmp_path / "a.zarr", mode="r")[:]
    where = mask(made.SHAPE)
    where[:, : 60 - 24] = False  # two fifths of the columns were held out
    scores, is_ink = p[where].astype(np.float64), ink(made.SHAPE)[where]
    assert page["pixels"] == where.sum()
    pairs = scores[is_ink][:, None] - scores[~is_ink][None]
    assert page["auc"] == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean(), abs=0.02)
    best = 0.0
    for threshold in scores:
        says = scores >= threshold
        true = (says & is_ink).sum()
        best = max(best, 1.25 * true / (says.sum() + 0.25 * is_ink.sum()))
    assert page["f05"] == pytest.approx(best, abs=0.02)
    gap = 0.0
    for part in range(10):
        own = (scores * 10).astype(int) == part
        gap += abs(scores[own].sum() - is_ink[own].sum())
    assert page["calibration_error"] == pytest.approx(gap / len(scores), abs=0.01)


def test_evaluate_ink__leaves_numbers_tables_and_figures_with_their_stamps(
    ink_run: Path, scored: dict[str, Any]
) -> None:
    page = scored
    folder = ink_run / "eval"
    written = json.loads((folder / "segments.json").read_text())
    assert {**page, "provenance": written["provenance"]} == written
    assert [own["name"] for own in page["segments"]] == ["1"]
    assert page["segments"][0]["seams"]["ratio"] > 0
    rows = list(csv.DictReader((folder / "segments.csv").read_text().splitlines()))
    assert list(rows[0]) == ["threshold", "precision", "recall", "f05", "dice"]
    assert max(float(row["f05"]) for row in rows) == pytest.approx(page["f05"], abs=0.02)
    for name in ("segments.json", "segments.csv", "segments.png", "segments/1-figure.png"):
        found = read(folder / name)
        assert found.stamp.checkpoint == "state_1.pt"
        assert found.is_intact
    assert sorted(p.name for p in (folder / "segments").iterdir()) == [
        *("1-figure.png", "1.json", "1.png")
    ]


@pytest.fixture
def two_run(tmp_path: Path) -> Path:
    """A run over two fragments, of which the scans are named alike."""
    return made.make_run(tmp_path, ("frag1/54keV", "frag2/54keV"))


def test_evaluate_ink__segments_of_one_name_are_told_apart(two_run: Path) -> None:
    said: list[str] = []
    page = evaluate_segments(two_run, said.append)
    first, second = page["segments"]
    assert [first["name"], second["name"]] == ["frag1-54keV", "frag2-54keV"]
    assert first["source_sha256"] != second["source_sha256"]
    where = mask(made.SHAPE)
    where[:, : 60 - 24] = False
    assert page["pixels"] == 2 * where.sum()
    assert sum(line.startswith("frag2-54keV: AUC") for line in said) == 1
    shown = two_run / "eval" / "segments" / "frag2-54keV.png"
    assert shown.is_file()
    assert any(line.startswith(f"wrote {shown}: ") for line in said)


def test_evaluate_ink__goes_on_and_leaves_the_former_one_whole_until_then(
    two_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = two_run / "eval"
    former, written = evaluate_segments(two_run), made.files_in(folder)
    with monkeypatch.context() as patch:
        made.kill_after(patch, 6)  # in the second band of the second segment
        with pytest.raises(made.KilledError):
            evaluate_segments(two_run)
    now = made.files_in(folder)
    assert {name: now[name] for name in written} == written
    with monkeypatch.context() as patch:
        kept = made.kill_after(patch, 99)
        assert evaluate_segments(two_run) == former
    assert kept == [1, 2, 3, 4]
    assert sorted(made.files_in(folder)) == sorted(written)


def test_evaluate_ink__without_ink_in_what_was_held_out_is_refused(tmp_path: Path) -> None:
    run = made.make_run(tmp_path)
    evaluate_segments(run)
    former = made.files_in(run / "eval")
    labels = ink(made.SHAPE)
    labels[:, 30:] = False
    shutil.rmtree(tmp_path / "data" / "1")
    write_fragment(tmp_path / "data" / "1", made.grey(), labels=labels)
    with pytest.raises(DataError, match="1: what was held out has not both ink and bare papyrus"):
        evaluate_segments(run)
    now = made.files_in(run / "eval")
    assert "segments.unfinished/1.png" in now
    assert {name: now[name] for name in former} == former


def test_evaluate_vae__equals_numpy_over_all_cubes(vae_run: Path) -> None:
    page = evaluate_cubes(vae_run)
    data = np.load(vae_run.parent / "data" / "v.npy").astype(np.float64)
    job = read_resolved(vae_run / "config.yaml")
    state = torch.load(vae_run / "checkpoints" / "state_1.pt", weights_only=True)
    (scale,) = (
        ScrollDataset(job.data, read_index(vae_run), "train", 0).measure_scales().scales.values()
    )
    vae = make_vae(job.train, WINDOW).eval()
    vae.load_state_dict(state["models"]["vae"])
    rows = list(csv.DictReader((vae_run / "eval" / "cubes.csv").read_text().splitlines()))
    # two by four by two windows and a last one flush with the end: columns 20 to 40, 8 at a time
    assert len(rows) == page["cubes"] == 2 * 4 * 3
    errors, theirs = [], []
    for row in rows:
        z, y, x = (int(row[axis]) for axis in "zyx")
        cube = torch.from_numpy(
            scale.apply(data[z : z + 4, y : y + 8, x : x + 8]).astype(np.float32)
        )[None, None]
        with torch.no_grad():
            errors.append(float((vae(cube).output - cube).double().square().mean()))
        means = F.avg_pool3d(cube, (4, 4, 4))
        plain = F.interpolate(means, WINDOW, mode="trilinear", align_corners=False)
        theirs.append(float((plain - cube).double().square().mean()))
        assert float(row["block_means_mse"]) == pytest.approx(theirs[-1], rel=1e-4)
        assert float(row["mse"]) == pytest.approx(errors[-1], rel=1e-4)
        assert float(row["variance"]) == pytest.approx(float(cube.double().var(correction=0)))
    assert page["mse"] == pytest.approx(np.mean(errors), rel=1e-4)
    assert page["psnr"] == pytest.approx(10 * math.log10(9 / np.mean(errors)), rel=1e-4)
    blocks = page["block_means"]
    assert blocks["blocks"] == [1, 2, 2]
    assert blocks["mse"] == pytest.approx(np.mean(theirs), rel=1e-4)
    assert len(page["error_by_distance"]["block means"]) == len(page["error_by_distance"]["mse"])


def test_evaluate_vae__of_another_network_says_so(vae_run: Path, tmp_path: Path) -> None:
    page = yaml.safe_load((vae_run / "config.yaml").read_text())
    page["train"]["network"]["latent_dim"] = 7
    whole = (vae_run / "config.yaml").read_text()
    try:
        (vae_run / "config.yaml").write_text(yaml.safe_dump(page))
        with pytest.raises(CheckpointError, match="another vae network than config.yaml asks for"):
            evaluate_cubes(vae_run)
    finally:
        (vae_run / "config.yaml").write_text(whole)


@pytest.mark.parametrize(
    ("numbers", "window", "blocks"),
    [(512, (32, 32, 32), (8, 8, 8)), (64, (16, 32, 32), (2, 5, 5)), (1, (4, 4, 4), (1, 1, 1))],
)
def test_blocks__are_as_many_as_there_are_numbers(numbers: int, window, blocks) -> None:
    assert blocks_of(numbers, window) == blocks
    assert math.prod(blocks) <= numbers


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("ink", ["--members", "2"], "--members: evaluations of task ink have no use for it"),
        ("ink", ["--cubes", "2"], "--cubes: evaluations of task ink have no use for it"),
        ("vae", ["--memory-mb", "9"], "--memory-mb: evaluations of task scroll_vae have no use"),
    ],
)
def test_evaluate__an_option_without_effect_is_refused(
    ink_run: Path, vae_run: Path, kind: str, options: list[str], message: str
) -> None:
    run = ink_run if kind == "ink" else vae_run
    found = CliRunner().invoke(app, ["evaluate", str(run), *options])
    assert isinstance(found.exception, ConfigError)
    assert message in str(found.exception)


def test_evaluate_vae__takes_fewer_cubes_and_stamps_what_it_writes(vae_run: Path) -> None:
    found = CliRunner().invoke(app, ["evaluate", str(vae_run), "--cubes", "2"])
    assert found.exit_code == 0, found.output
    assert "2 held-out cubes: PSNR" in found.output
    folder = vae_run / "eval"
    assert f"evaluation: {folder / 'cubes.json'}" in found.output
    names = ("reconstruction", "latent_traversal", "error_by_distance")
    for name in ("cubes.json", "cubes.csv", *(f"cubes/{own}.png" for own in names)):
        own = read(folder / name)
        assert (own.stamp.product, own.stamp.checkpoint) == ("evaluation", "state_1.pt")
        assert own.is_intact
