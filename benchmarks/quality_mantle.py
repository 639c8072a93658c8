"""Mantle convection, fourfold finer: how good held-out time steps become in a bounded time.

    python benchmarks/quality_mantle.py [--minutes 15] [--data FOLDER] [--threads 2] [--out FILE]

Makes `hpctrain sample mantle` (24 time steps of 32 x 64 x 128 cells) unless --data names such a
folder, holds out the last four steps, and trains jobs/mantle.yaml twice: on the plain criterion,
and with the adversary behind a pre-training. Each gets half of the time that is left; a few steps
of both phases before say how many epochs that is. Aims: RMSE of the plain criterion at least 25 %
below trilinear upsampling, and with the adversary a log-spectrum error at most a third of
trilinear's. Prints what was reached, and also where an aim was missed. In float32, as the rounding
of bfloat16 alone puts power where the truth has hardly any.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from rundir import write_run

ROOT = Path(__file__).parents[1]
RMSE_AIM, SPECTRUM_AIM = 0.75, 1 / 3
ADVERSARIAL_SHARE = 0.5
"""Part of the adversarial run's time that its adversarial epochs take."""
GENERATOR = {"base": 48, "min": 24, "max": 48}
FAST_PENALTY = {"kind": "r1", "weight": 10.0, "every": 16}
RESOLVED = 1e-6
STEPS, START_S = 40, 25.0
"""Steps of an epoch: 20 time steps of 8 samples, batch 4; seconds to start and to validate."""


def job(data: Path, threads: int, epochs: int, pretrain_epochs: int | None) -> dict[str, Any]:
    """The job of jobs/mantle.yaml on one rank; None for `pretrain_epochs`: without adversary."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "jobs" / "mantle.yaml").read_text())
    found |= {"name": "quality", "site": "local", "launch": {"comm": "single"}}
    found["resources"] = {
        "nodes": 1, "ranks_per_node": 1, "cpus_per_rank": threads, "walltime": "02:00:00",
    }  # fmt: skip
    found["data"]["root"] = str(data)
    train = found["train"]
    train |= {"epochs": epochs, "pretrain_epochs": pretrain_epochs or 0, "figures_every_epochs": 0}
    train |= {"precision": "float32", "generator": {"channels": GENERATOR, "noise": "add"}}
    train["ema"] = {"models": ["generator"], "decay": 0.99}
    train["validate_every_epochs"] = max(1, epochs // 4)
    train["checkpoints"] = {"every_epochs": epochs}
    train["optimizer"]["learning_rate"] = 3e-3
    train["adversary"] |= {"critic_steps": 1, "gradient_penalty": FAST_PENALTY}
    if pretrain_epochs is None:
        train["adversary"] = None
    return found


def train(folder: Path, content: dict[str, Any], threads: int) -> tuple[list[Any], list[Any]]:
    """Run a job to its end; returns its training and its validation lines."""
    folder.mkdir()
    run = write_run(folder, content)
    env = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "hpctrain.train", str(run)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    lines = [json.loads(x) for x in (run / "logs" / "metrics.jsonl").read_text().splitlines()]
    kinds = ("train", "validation")
    a, b = ([line for line in lines if line["kind"] == kind] for kind in kinds)
    return a, b


def step_times(data: Path, folder: Path, threads: int) -> tuple[float, float]:
    """Seconds of a step of each phase, from four epochs of a few steps."""
    content = job(data, threads, 4, 2)
    content["data"]["steps"] = {"start": 0, "stride": 4}
    content["train"] |= {"log_every_steps": 1, "validate_every_epochs": 4}
    steps, _ = train(folder, content, threads)
    times = [line["time"] for line in steps]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    half = len(times) // 2
    # the first step of each phase also imports and allocates
    return statistics.median(gaps[1 : half - 1]), statistics.median(gaps[half + 1 :])


def report(name: str, last: dict[str, Any], key: str, aim: float) -> float:
    """Print one line; returns the ratio to trilinear upsampling."""
    ours, theirs = last[f"{key}/generator"], last[f"{key}/trilinear"]
    cubic = last.get(f"{key}/tricubic", float("nan"))
    verdict = "reached" if ours / theirs <= aim else "MISSED"
    print(
        f"{name:12} {key:19} generator {ours:.4f}  trilinear {theirs:.4f}  tricubic {cubic:.4f}"
        f"  ratio {ours / theirs:.3f} (aim {aim:.3f}: {verdict})",
        flush=True,
    )
    return float(ours / theirs)


def resolved(run: Path) -> dict[str, float]:
    """Log-spectrum errors where the truth has more than `RESOLVED` of its largest power.

    The fields are so smooth that half of all wave numbers hold less, down to rounding noise.
    """
    page = json.loads((run / "eval" / "spectra.json").read_text())
    found = {}
    for kind in ("generator", "trilinear", "tricubic"):
        squares = [
            math.log10(p / q) ** 2
            for variable, truth in page["truth"].items()
            for p, q in zip(page[kind][variable], truth, strict=True)
            if q > RESOLVED * max(truth)
        ]
        found[kind] = math.sqrt(statistics.fmean(squares))
    return found


def main() -> None:
    """Train both, print and perhaps write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    parser.add_argument("--only", choices=("plain", "adversarial"), help="one of the two runs")
    arguments = parser.parse_args()
    began, threads = time.time(), arguments.threads
    figures: dict[str, Any] = {"minutes": arguments.minutes}
    with tempfile.TemporaryDirectory(prefix="quality-mantle-") as scratch:
        folder = Path(scratch)
        data = arguments.data.resolve() if arguments.data else folder / "data"
        if not arguments.data:
            sample = [sys.executable, "-m", "hpctrain", "sample", "mantle", "--out", str(data)]
            subprocess.run(sample, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        plain_s, adversarial_s = step_times(data, folder / "trial", threads)
        print(f"a step: plain {plain_s:.2f} s, adversarial {adversarial_s:.2f} s", flush=True)
        runs = [arguments.only] if arguments.only else ["plain", "adversarial"]
        for i, name in enumerate(runs):
            left = arguments.minutes * 60 - (time.time() - began)
            budget = left / (len(runs) - i) - START_S
            adversarial = name == "adversarial"
            share = ADVERSARIAL_SHARE if adversarial else 0.0
            pretrain = max(1, int(budget * (1 - share) / plain_s / STEPS))
            extra = max(1, int(budget * share / adversarial_s / STEPS)) if adversarial else 0
            content = job(data, threads, pretrain + extra, pretrain if adversarial else None)
            _, lines = train(folder / name, content, threads)
            print(f"{name}: {pretrain} epochs of pre-training, {extra} with adversary", flush=True)
            for key, aim in (("rmse", RMSE_AIM), ("log_spectrum_error", SPECTRUM_AIM)):
                figures[f"{name}/{key}"] = report(name, lines[-1], key, aim)
            figures[f"{name}/by_epoch"] = lines
            figures[f"{name}/resolved"] = resolved(folder / name / "run")
            for kind, error in figures[f"{name}/resolved"].items():
                print(f"{name:12} where the truth has power: {kind} {error:.4f}", flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"{(time.time() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
