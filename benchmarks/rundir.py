"""Run directories for benchmarks, with synthetic fields and without the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hpctrain.config.job import Job
from hpctrain.index.of_job import build_job_index


def power_law_fields(folder: Path, files: int, low: int, factor: int, seed: int = 0) -> None:
    """Paired periodic fields lr/f*.npy and hr/f*.npy: 4 channels, power k^-3, block means."""
    high = low * factor
    rng = np.random.default_rng(seed)
    k, kz = np.fft.fftfreq(high) * high, np.fft.rfftfreq(high) * high
    kk = np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + kz[None, None, :] ** 2)
    kk[0, 0, 0] = 1
    amplitude = kk**-1.5
    amplitude[0, 0, 0] = 0
    for name in ("lr", "hr"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i in range(files):
        field = np.empty((4, high, high, high), np.float32)
        for channel in field:
            noise = np.fft.rfftn(rng.standard_normal((high, high, high)))
            x = np.fft.irfftn(noise * amplitude, s=channel.shape, axes=(0, 1, 2))
            channel[:] = x / x.std()
        blocks = field.reshape(4, low, factor, low, factor, low, factor)
        np.save(folder / "hr" / f"f{i:04}.npy", field)
        np.save(folder / "lr" / f"f{i:04}.npy", blocks.mean((2, 4, 6)).astype(np.float32))


def write_run(folder: Path, job: dict[str, Any]) -> Path:
    """Write what the trainer reads of a run directory; returns its path."""
    run = folder / "run"
    run.mkdir()
    index = build_job_index(Job.model_validate(job), folder)
    (run / "config.yaml").write_text(yaml.safe_dump(job))
    (run / "index.csv").write_text(index.csv_text)
    (run / "index.json").write_text(index.json_text)
    return run


def small_run(folder: Path, steps: int, files: int = 5) -> Path:
    """A regression with steps of a few milliseconds; an epoch has 4 for each file but one."""
    power_law_fields(folder / "data", files, low=16, factor=2)
    samples = (files - 1) * 8
    return write_run(
        folder,
        {
            "name": "overhead",
            "site": "local",
            "resources": {"nodes": 1, "ranks_per_node": 1, "walltime": "01:00:00"},
            "data": {
                "kind": "fields",
                "root": str(folder / "data"),
                "geometry": "box",
                "inputs": ["lr/f*.npy"],
                "targets": ["hr/f*.npy"],
                "validation_steps": 1,
                "crop": [8, 8, 8],
            },
            "train": {
                "task": "super_resolution",
                "upscale_factor": 2,
                "epochs": max(1, steps * 2 // samples),
                "global_batch_size": 2,
                "precision": "float32",
                "validate_every_epochs": 10**6,
                "figures_every_epochs": 10**6,
                "generator": {"channels": {"base": 8, "min": 8, "max": 8}, "noise": "none"},
                "checkpoints": {"every_epochs": 10**6},
            },
        },
    )
