"""Sweeps for tests, rendered the way the command line does it, over an index that is made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hpctrain.config.load import Resolved
from hpctrain.index import Index
from hpctrain.sweep import Outcome, write_sweep
from tests.jobs import inputs, mantle

GRID = {"train.epochs": [11, 12], "train.optimizer.learning_rate": [1e-3, 2e-3, 4e-3]}

ONE_RANK = ("resources.ranks_per_node=1",)


def sweep(spec: dict, site: str = "generic-slurm", *settings: str) -> Resolved:
    """The shipped job with a sweep."""
    named = (f"site={json.dumps(site)}",) if site.endswith(".yaml") else ()
    return mantle(site, f"sweep={json.dumps(spec)}", *named, *settings)


def write(
    folder: Path, resolved: Resolved, name: str = "mantle", python: str = "/usr/bin/python3"
) -> Outcome:
    """Render into folder/name."""
    target = folder / name
    given = replace(inputs(run_dir=str(target), python=python), index_csv="", index_json="")
    return write_sweep(resolved, given, target, lambda job: Index(Path("/data"), (), {}))


def add_point(folder: Path, name: str, state: dict, summary: dict | None = None) -> Path:
    """What a run leaves behind, in the point's folder."""
    run = folder / "points" / name
    (run / "eval").mkdir(parents=True, exist_ok=True)
    (run / "state.json").write_text(json.dumps(state))
    if summary is not None:
        (run / "eval" / "summary.json").write_text(json.dumps(summary))
    return run
