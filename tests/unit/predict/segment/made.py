"""A run of task `ink` with random weights over a small fragment, made without a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from hpctrain.config.job import Job
from hpctrain.config.load import read_resolved
from hpctrain.data.scroll import ScrollDataset
from hpctrain.index import read_index
from hpctrain.index.scroll.build import build_scroll_index
from hpctrain.predict.options import Options
from hpctrain.predict.segment.parts import Parts
from hpctrain.predict.start import predict
from hpctrain.tasks.ink.networks import make_ink
from hpctrain.train.checkpoint import CheckpointFolder
from tests.unit.data.scroll.builders import write_fragment

SHAPE = (9, 40, 60)


def grey(seed=0, shape=SHAPE):
    values: np.ndarray = np.random.default_rng(seed).integers(20000, 40000, shape, np.uint16)
    return values


def page_of(folder: Path, names: Sequence[str] = ("1",)) -> dict[str, Any]:
    """A job on the fragments in `folder`/data."""
    return {
        "name": "made",
        "site": "local",
        "resources": {"nodes": 1, "ranks_per_node": 1, "walltime": "00:10:00"},
        "data": {
            "kind": "scroll",
            "root": str(folder / "data"),
            "volumes": list(names),
            "sample": "surface",
            "window": [4, 16, 16],
            "samples_per_epoch": 4,
            "validation": {"share": 0.4, "axis": "x"},
        },
        "train": {
            "task": "ink",
            "epochs": 1,
            "global_batch_size": 1,
            "network": {"kind": "unet", "stem": 2, "channels": 4, "levels": 2},
        },
    }


def make_run(folder: Path, names: Sequence[str] = ("1",)) -> Path:
    """A run over fragments in `folder`/data, after its first epoch."""
    for seed, name in enumerate(names):
        write_fragment(folder / "data" / name, grey(seed))
    page = page_of(folder, names)
    run = folder / "run"
    run.mkdir()
    (run / "config.yaml").write_text(yaml.safe_dump(page))
    (run / "manifest.json").write_text(json.dumps({"files": {}}))
    index = build_scroll_index(Job.model_validate(page).data, folder)
    (run / "index.csv").write_text(index.csv_text)
    (run / "index.json").write_text(index.json_text)
    save_checkpoint(run)
    return run


def save_checkpoint(run: Path) -> None:
    """Random weights, as if an epoch had been trained."""
    job = read_resolved(run / "config.yaml")
    scales = ScrollDataset(job.data, read_index(run), "train", 0).measure_scales()
    torch.manual_seed(0)
    network = make_ink(job.train, job.data.window)
    state = {
        "models": {"ink": network.state_dict()},
        "task": {"scales": scales.to_dict(), "ink_weight": 1.0},
        "position": {"epoch": 1, "step": 0, "global_step": 5},
        "precision": {"name": "float32", "reason": "asked for", "memory_format": "contiguous"},
    }
    CheckpointFolder(run / "checkpoints", keep_last=2).save(state, 1, 0)


def run_predict(run: Path, out: Path, **options) -> list[str]:
    """Predict in this process, as one rank; returns what a person reads."""
    lines = predict(run, Options(out=out, device="cpu", **options))
    assert lines
    return lines


def files_in(folder: Path) -> dict[str, bytes]:
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class KilledError(Exception):
    pass


def killed():
    raise KilledError


def kill_after(monkeypatch, count, end=killed):
    """Let the process end while it keeps its bands."""
    real, kept = Parts.save, []

    def save(self, number, values):
        if len(kept) == count:
            end()
        kept.append(number)
        real(self, number, values)

    monkeypatch.setattr(Parts, "save", save)
    return kept
