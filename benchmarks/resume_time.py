"""Seconds from the start of the process to the end of the first step after a resume.

    python benchmarks/resume_time.py [--rounds 5]

Trainer: `python -m hpctrain.train RUN`, one rank, with its checks, index, verified checkpoint and
log. Plain script: imports torch, loads the same checkpoint into the same network, reads one batch
from a memory map and makes a step. Both are processes of their own that take turns; the ratio is
that of medians. Files are in the page cache for both.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from rundir import small_run

PLAIN = """
import sys
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import mse_loss

from hpctrain.models import crop_to
from hpctrain.tasks.super_resolution import SuperResolutionTask
from hpctrain.train.run import Run
from hpctrain.train.task import Place

torch.set_num_threads(1)
run = Run(Path(sys.argv[1]))
task = SuperResolutionTask(run.job, Place(run.path, 0, torch.device("cpu")))
saved = torch.load(run.path / "checkpoints" / "latest", weights_only=True)
task.build_data(saved["task"], lambda value: value)
model = task.build_models()["generator"]
model.load_state_dict(saved["models"]["generator"])
optimizer = torch.optim.Adam(model.parameters())
optimizer.load_state_dict(saved["optimizers"]["generator"])
data = Path(sys.argv[1]).parent / "data"
low = np.load(data / "lr/f0000.npy", mmap_mode="r")
high = np.load(data / "hr/f0000.npy", mmap_mode="r")
x = torch.from_numpy(low[None, :, :14, :14, :14].copy())
y = torch.from_numpy(high[None, :, :16, :16, :16].copy())
loss = mse_loss(crop_to(model(x), y.shape[2:]), y)
loss.backward()
optimizer.step()
"""


def environment() -> dict[str, str]:
    """One thread, and this checkout."""
    here = str(Path(__file__).resolve().parents[1])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": here}


def time_plain(run: Path) -> float:
    """Seconds of the plain script."""
    begin = time.time()
    subprocess.run([sys.executable, "-c", PLAIN, str(run)], env=environment(), check=True)
    return time.time() - begin


def time_trainer(run: Path) -> float:
    """Seconds up to the first line of metrics.jsonl that is new."""
    metrics = run / "logs" / "metrics.jsonl"
    begin = time.time()
    train(run)
    times = [json.loads(line)["time"] for line in metrics.read_text().splitlines()]
    return min(moment for moment in times if moment > begin) - begin


def train(run: Path) -> None:
    """Run the trainer to its end."""
    command = [sys.executable, "-m", "hpctrain.train", str(run)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    found: dict[str, list[float]] = {"plain script": [], "trainer": []}
    with tempfile.TemporaryDirectory() as folder:
        first = small_run(Path(folder), steps=32)
        job = yaml.safe_load((first / "config.yaml").read_text())
        job["train"] |= {"log_every_steps": 1, "figures_every_epochs": 0}
        job["train"]["checkpoints"] = {"every_epochs": 1}
        (first / "config.yaml").write_text(yaml.safe_dump(job))
        train(first)
        for old in (first / "checkpoints").glob("state_*.pt"):
            if old.name != "state_1.pt":
                old.unlink()
        latest = first / "checkpoints" / "latest"
        latest.unlink()
        latest.symlink_to("state_1.pt")
        for number in range(arguments.rounds + 1):
            run = Path(folder) / f"run{number}"
            shutil.copytree(first, run, symlinks=True)
            times = {"plain script": time_plain(run), "trainer": time_trainer(run)}
            if number:  # round 0 fills the page cache
                for name, seconds in times.items():
                    found[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in found.items()}
    for name, seconds in medians.items():
        print(f"{name:14} {seconds:6.2f} s to the end of the first step")
    print(f"ratio trainer / plain script: {medians['trainer'] / medians['plain script']:.2f}")


if __name__ == "__main__":
    main()
