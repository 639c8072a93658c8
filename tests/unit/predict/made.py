"""Run directories with a generator of random weights, made without a training."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from hpctrain.config.job import Job
from hpctrain.data import FieldDataset
from hpctrain.index import build_fields_index
from hpctrain.predict.command import Done, predict
from hpctrain.predict.options import Options
from hpctrain.tasks.super_resolution.networks import halo_of, make_generator, needs_style, on_fields
from hpctrain.train.checkpoint import CheckpointFolder

SMALL = {"base": 4, "min": 2, "max": 4}


def make_run(folder: Path, data: dict[str, Any], train: dict[str, Any], styles: int = 0) -> Path:
    """A run over the files in `folder`, after its first epoch."""
    page = {
        "name": "made",
        "site": "local",
        "resources": {"nodes": 1, "ranks_per_node": 1, "walltime": "00:10:00"},
        "data": {"kind": "fields", "root": str(folder), "validation_steps": 1, **data},
        "train": {"epochs": 1, "global_batch_size": 1, **train},
    }
    job = Job.model_validate(page)
    settings = job.train
    run = folder / "run"
    run.mkdir()
    (run / "config.yaml").write_text(yaml.safe_dump(page))
    (run / "manifest.json").write_text(json.dumps({"files": {}}))
    index = build_fields_index(job.data, settings.upscale_factor, folder)
    (run / "index.csv").write_text(index.csv_text)
    (run / "index.json").write_text(index.json_text)
    halo = halo_of(settings, job.data.crop)
    dataset = FieldDataset(job.data, index, "train", settings.upscale_factor, halo, 0)
    scales = dataset.measure_scales()
    torch.manual_seed(0)
    channels = dataset.num_input_channels, len(dataset.variables)
    network = on_fields(make_generator(settings, *channels, styles if needs_style(settings) else 0))
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2)
    state = {
        "models": {"generator": network.state_dict()},
        "task": {"scales": scales.to_dict()},
        "position": {"epoch": 1, "step": 0, "global_step": 5},
        "precision": {"name": "float32", "reason": "asked for", "memory_format": "contiguous"},
    }
    CheckpointFolder(run / "checkpoints", keep_last=2).save(state, 1, 0)
    return run


def run_predict(run: Path, out: Path, **options: Any) -> Done:
    """Predict in this process, as one rank."""
    done = predict(run, Options(out=out, device="cpu", **options))
    assert done is not None
    assert done.paths
    return done


def values_of(run: Path, folder: Path, **options: Any) -> np.ndarray:
    """One prediction as numbers, (C, n0, n1, n2)."""
    out = folder / f"{len(os.listdir(folder))}.npy"
    run_predict(run, out, **options)
    values: np.ndarray = np.load(out)
    return values
