"""Train, export, validate, reproduce elsewhere, train again; trace what came out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.e2e.commands import hpctrain, run_script
from tests.requires import ROC_VALIDATOR, requires
from tests.runs import SmallRun, newest

ONE_RANK = (
    "resources.ranks_per_node=1",
    "launch.comm=single",
    "train.deterministic=true",
    "train.figures_every_epochs=1",
)


@pytest.fixture(scope="module")
def trained(shared: SmallRun) -> Path:
    """A real training on one rank, with figures, TensorBoard and a report."""
    run = shared.render("first", *ONE_RANK)
    shared.finish(run)
    assert hpctrain("report", str(run), cwd=shared.folder).returncode == 0
    return run


@pytest.fixture(scope="module")
def crate(trained: Path) -> Path:
    folder = trained.parents[1]
    done = hpctrain("export", "first", "--ro-crate", "--with-data", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "next: hpctrain reproduce first.crate.zip"
    return folder / "first.crate.zip"


@pytest.mark.slow
def test_reproduce__trains_to_the_same_parameters(
    trained: Path, crate: Path, tmp_path: Path
) -> None:
    shutil.copy(crate, tmp_path)
    (tmp_path / "mine").mkdir()
    done = hpctrain("reproduce", crate.name, "--as", "second", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same job, and nothing differs" in done.stdout
    second = tmp_path / "jobs" / "second"
    hidden = trained.parents[1] / "data"
    hidden.rename(hidden.with_name("away"))  # the second run must read the crate's data
    try:
        started = run_script(second)
    finally:
        hidden.with_name("away").rename(hidden)
    assert started.returncode == 0, started.stderr
    first, again = newest(trained), newest(second)
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    summaries = [
        json.loads((run / "eval" / "summary.json").read_text()) for run in (trained, second)
    ]
    assert summaries[0]["rmse"] == summaries[1]["rmse"]
    stamps = [summary["provenance"] for summary in summaries]
    assert stamps[0]["code_digest"] == stamps[1]["code_digest"]
    assert stamps[0]["index_digest"] == stamps[1]["index_digest"]
    assert stamps[0]["run_id"] != stamps[1]["run_id"]


def test_trace__every_product_of_a_training(trained: Path, tmp_path: Path) -> None:
    """Copied elsewhere, each leads back to the run; figures to their own checkpoint."""
    (events,) = (trained / "tensorboard").iterdir()
    products = {
        "events": events,
        "report": trained / "report.html",
        "evaluation": trained / "eval" / "summary.json",
        "figure": trained / "eval" / "figures" / "epoch_0001_vx.png",
        "checkpoint": trained / "checkpoints" / "state_1.pt",
    }
    digest = ""
    for kind, path in reversed(products.items()):
        copy = tmp_path / path.name
        shutil.copyfile(path, copy)
        done = hpctrain("trace", str(copy), "--json", "--digests", cwd=tmp_path)
        assert done.returncode == 0, f"{kind}: {done.stdout}{done.stderr}"
        page = json.loads(done.stdout)
        stamp = page["stamp"]
        assert (stamp["product"], stamp["run_dir"]) == (kind, str(trained))
        if kind == "checkpoint":
            digest = stamp["content_digest"]
        elif kind != "events":
            assert (stamp["checkpoint"], stamp["checkpoint_digest"]) == ("state_1.pt", digest)
        verdicts = {link["kind"]: link["verdict"] for link in page["links"]}
        assert verdicts["inputs"] == verdicts["code"] == verdicts["config"] == "same"


def test_trace__needs_no_torch(trained: Path, tmp_path: Path) -> None:
    """A login node has none: the command must not even try to import it."""
    for name in ("torch", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} was imported')")
    script = "import sys; from hpctrain.cli import main; main(sys.argv[1:])"
    command = ["trace", str(trained / "checkpoints" / "latest")]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", script, *command],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "all of it is as it was" in done.stdout


@pytest.mark.slow
@requires(roc_validator=True)
def test_export__is_a_valid_workflow_run_crate(crate: Path, trained: Path, tmp_path: Path) -> None:
    """Against all that the profile and those below it require, by the community's validator."""
    folder, broken = tmp_path / "folder", tmp_path / "broken"
    words = ("--ro-crate", "--with-checkpoints", "all", "--author", "A. B.", "--out", str(folder))
    done = hpctrain("export", str(trained), *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shutil.copytree(folder, broken)
    page = json.loads((broken / "ro-crate-metadata.json").read_text())
    for entity in page["@graph"]:
        if entity["@type"] == "CreateAction":
            del entity["instrument"]
    (broken / "ro-crate-metadata.json").write_text(json.dumps(page))
    found = validate(crate, folder, broken)
    profiles = {
        *("ro-crate-1.1", "workflow-ro-crate-1.0"),
        *("process-run-crate-0.5", "workflow-run-crate-0.5"),
    }
    for path in (crate, folder):
        assert found[str(path)]["issues"] == []
        assert set(found[str(path)]["profiles"]) == profiles
        assert found[str(path)]["executed"] > 50
    assert any("instrument" in issue for issue in found[str(broken)]["issues"])


def validate(*crates: Path) -> dict[str, Any]:
    """What the validator finds, in its own environment and without a network."""
    from importlib.util import find_spec

    spec = find_spec("rocrate")
    assert spec is not None
    assert spec.origin is not None
    context = Path(spec.origin).parent / "data" / "ro-crate.jsonld"
    script = Path(__file__).with_name("validate_crate.py")
    done = subprocess.run(
        [str(ROC_VALIDATOR), str(script), str(context), "REQUIRED", *map(str, crates)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    page: dict[str, Any] = json.loads(done.stdout)
    return page
