"""Real trainings of the DCGAN on N-body counts: ranks agree, a killed run goes on bit for bit."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.e2e.commands import hpctrain
from tests.integration.mpi.test_field_to_field import agree
from tests.integration.mpi.test_resume import ranks_of
from tests.requires import requires
from tests.runs import SmallRun, newest, wait_until

pytestmark = pytest.mark.slow

REAL = Path(__file__).parents[4] / "shared" / "data" / "cosmology" / "abacus_mini_slabs_128.npy"

JOB = {
    "name": "cosmic-web",
    "site": "local",
    "resources": {"nodes": 1, "ranks_per_node": 2, "walltime": "00:10:00"},
    "launch": {"comm": "ddp"},
    "data": {
        "kind": "fields",
        "root": "data",
        "targets": ["u*.hdf5"],
        "variables": ["z=0"],
        "validation_steps": 2,
        "geometry": "box",
        "crop": [1, 8, 8],
        "slice_axes": [0, 2],
        "styles": "parameters.csv",
        "target_norms": [{"kind": "ratio"}],
        "augment": {"octahedral": True, "random_shift": True},
    },
    "train": {
        "task": "field_gan",
        "epochs": 1,
        "global_batch_size": 8,
        "precision": "float32",
        "log_every_steps": 1,
        "figures_every_epochs": 1,
        "sync_batch_norm": True,
        "rescaled_by": [10],
        "generator": {"noise_size": 4, "channels": [4, 6]},
        "adversary": {
            "discriminator": {"channels": [4, 6]},
            "label_flip": 0.1,
            "spectral_weight": 0.1,
            "instance_noise": {"std": 0.1, "epochs": 3},
        },
    },
}
TOGETHER = "train.adversary.spectral_weight=0"
"""The spectral loss is of each rank's samples, and so not the same on other numbers of ranks."""
CUBES = (
    "data.crop=[8, 8, 8]",
    "data.stride=[4, 4, 4]",
    "data.slice_axes=[0]",
    "train.adversary.spectral_norm=true",
    "train.adversary.loss=hinge",
)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    folder = tmp_path_factory.mktemp("web")
    (folder / "data").mkdir()
    rng = np.random.default_rng(0)
    lines = ["file,sigma"]
    for i in range(5):
        with h5py.File(folder / "data" / f"u{i}.hdf5", "w") as file:
            file["full"] = rng.poisson(rng.gamma(0.5, 2.0, (8, 8, 8, 2))).astype(np.int16)
            file["redshifts"] = [0.0, 0.5]
        lines.append(f"u{i}.hdf5,{0.7 + i / 20}")
    (folder / "data" / "parameters.csv").write_text("\n".join(lines) + "\n")
    (folder / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    return SmallRun(folder)


@requires(mpi=True)
@pytest.mark.parametrize("settings", [(), CUBES], ids=["slices", "cubes"])
def test_one_and_two_ranks_agree(web: SmallRun, settings: tuple[str, ...]) -> None:
    settings = (*settings, TOGETHER)
    one, two = web.finished("resources.ranks_per_node=1", *settings), web.finished(*settings)
    agree(one, two)
    found = [json.loads((run / "eval" / "summary.json").read_text()) for run in (one, two)]
    keys = [key for key in found[0] if key.startswith(("chi2/", "floor/"))]
    assert len(keys) == 6
    for key in keys:
        assert found[0][key] == pytest.approx(found[1][key], rel=1e-2), key


@requires(mpi=True)
def test_killed__goes_on_bit_for_bit(web: SmallRun) -> None:
    settings = ("resources.ranks_per_node=1", "train.epochs=12", "train.checkpoints.every_steps=2")
    whole = web.finished(*settings)
    run = web.render(web.unique("killed"), *settings)
    process = web.start(run)
    wait_until(lambda: len(list((run / "checkpoints").glob("state_1_step_*.pt"))) > 0)
    for pid in ranks_of(run).values():
        os.kill(pid, signal.SIGKILL)
    assert process.wait(timeout=60) != 0
    assert "resuming from state_" in web.finish(run)
    expected, found = newest(whole), newest(run)
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    best = [json.loads((r / "checkpoints" / "best.json").read_text()) for r in (whole, run)]
    assert all(best[0][key] == best[1][key] for key in ("metric", "value", "epoch"))
    metrics = [json.loads(x) for x in (run / "logs" / "metrics.jsonl").read_text().splitlines()]
    values = {m["epoch"]: m["chi2/both"] for m in metrics if "chi2/both" in m}
    assert best[0]["value"] == pytest.approx(min(values.values()), rel=1e-6)
    kept = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    assert kept["position"]["epoch"] == best[0]["epoch"]


@requires(mpi=True)
def test_figures__and_curves_are_written(web: SmallRun) -> None:
    run = web.finished("resources.ranks_per_node=1")
    names = {p.name for p in (run / "eval" / "figures").iterdir()}
    expected = {f"epoch_0001_z=0_{kind}.png" for kind in ("samples", "histogram", "spectrum")}
    assert expected <= names
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    assert "validation/chi2/both" in events.Tags()["scalars"]
    assert len(events.Tags()["images"]) >= 3
    curves = json.loads((run / "eval" / "statistics.json").read_text())
    own = curves["variables"]["z=0"]
    assert sum(own["histogram/truth"]["mean"]) == pytest.approx(1)
    assert len(own["k"]) == len(own["spectrum/generator"]["mean"]) == 4
    assert curves["spectrum_unit"] == "field squared (Mpc/h)^2"


@requires(mpi=True)
def test_generate__fields_of_the_best_checkpoint(web: SmallRun) -> None:
    run = web.finished("resources.ranks_per_node=1")
    out = web.folder / "made.npy"

    def generate(*words: str) -> np.ndarray:
        done = hpctrain("generate", str(run), "--out", str(out), *words, cwd=web.folder)
        assert done.returncode == 0, done.stderr
        assert "fields of" in done.stdout
        return np.load(out)

    few = generate("--count", "3", "--style", "0.8")
    assert few.shape == (3, 1, 8, 8)
    assert few.min() >= 0, "counts, not normalised values"
    assert np.allclose(generate("--count", "5", "--style", "0.8")[:3], few, atol=1e-5)
    assert not np.allclose(generate("--count", "3", "--style", "0.95"), few)
    assert not np.allclose(generate("--count", "3", "--style", "0.8", "--seed", "1"), few)
    traced = hpctrain("trace", str(out), cwd=web.folder)
    assert traced.returncode == 0, traced.stderr
    assert "best.pt" in traced.stdout
    assert not list(web.folder.glob(".*.part*"))
    for words, text in (([], "--style: found 0 numbers"), (["--style", "x"], "allowed: numbers")):
        done = hpctrain("generate", str(run), "--out", str(out), *words, cwd=web.folder)
        assert done.returncode == 2
        assert text in done.stderr


@requires(mpi=True)
@pytest.mark.skipif(not REAL.is_file(), reason=f"no slabs of a real N-body run at {REAL}")
def test_real_slabs__of_an_abacus_run(web: SmallRun) -> None:
    """16 slabs along each axis of one box: trained on those of x and y, judged by those of z."""
    slabs = np.load(REAL)
    for axis in range(3):
        np.save(web.folder / "data" / f"slab{axis}.npy", slabs[16 * axis : 16 * axis + 16])
    settings = (
        "data.targets=[slab*.npy]",
        "data.variables=[]",
        "data.styles=null",
        "data.slice_axes=[0]",
        "data.validation_steps=1",
        "data.crop=[1, 128, 128]",
        "train.rescaled_by=[1000]",
        "train.judgement.cell_size=0.25",
        "train.epochs=3",
        "train.adversary.instance_noise=null",
    )
    run = web.finished("resources.ranks_per_node=1", *settings)
    summary = json.loads((run / "eval" / "summary.json").read_text())
    assert summary["samples"] == 16
    assert 0.5 < summary["floor/spectrum"] < 20
    own = json.loads((run / "eval" / "statistics.json").read_text())["variables"]["slab"]
    assert own["mean"] == pytest.approx(1), "a count of 1 a cell"
    lines = (run / "logs" / "metrics.jsonl").read_text().splitlines()
    found = [m["chi2/histogram"] for m in map(json.loads, lines) if "chi2/histogram" in m]
    assert len(found) == 3
