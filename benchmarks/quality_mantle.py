"""Mantle convection, fourfold finer: how good held-out time steps become in a bounded time.

    python benchmarks/quality_mantle.py [--minutes 15] [--data FOLDER] [--threads 2] [--out FILE]
    python benchmarks/quality_mantle.py --epochs 28 14            # for so long, whatever it takes
    python benchmarks/quality_mantle.py --epochs 8 3 --critics    # both critics at equal samples

Makes `hpctrain sample mantle` (24 time steps of 32 x 64 x 128 cells) unless --data names such a
folder, holds out the last four steps, and trains jobs/mantle.yaml with the fast critic until the
time is over: the first half on the plain criterion, the rest with the adversary and its spectral
loss. A few steps of both before say how many epochs that is. Aims: RMSE of the plain criterion at
least 25 % below trilinear upsampling at the end of the first half, and at the end of the second a
log-spectrum error at most a third of trilinear's. Prints what was reached, and where an aim was
missed.

The log-spectrum error counts the wave numbers where the truth has more than a millionth of its
largest power, for every kind alike. Below it lies what the Hann window of a crop leaks from large
scales, which falls only as k^-6: 1e-6 of the peak ten wave numbers away. The error over all wave
numbers is printed beside it.
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
PLAIN_SHARE = 0.5
"""Part of the time that the plain criterion has."""
GENERATOR = {"base": 48, "min": 24, "max": 48}
CRITICS: dict[str, dict[str, Any]] = {
    "fast": {"critic_steps": 1, "gradient_penalty": {"kind": "r1", "weight": 10.0, "every": 16}},
    "published": {"critic_steps": 5, "gradient_penalty": {"kind": "wgan_gp", "weight": 10.0}},
}
RESOLVED = 1e-6
STEPS, START_S, VALIDATIONS = 40, 25.0, 8
"""Steps of an epoch: 20 time steps of 8 samples, batch 4; seconds to start; validations of a run,
which take time, too."""


def job(data: Path, threads: int, epochs: tuple[int, int], critic: str = "fast") -> dict[str, Any]:
    """The job of jobs/mantle.yaml on one rank.

    Args:
        data: folder of the time steps.
        threads: of the rank.
        epochs: of the plain criterion, and with the adversary.
        critic: name of a way to train it.
    """
    found: dict[str, Any] = yaml.safe_load((ROOT / "jobs" / "mantle.yaml").read_text())
    found |= {"name": "quality", "site": "local", "launch": {"comm": "single"}}
    found["resources"] = {
        "nodes": 1, "ranks_per_node": 1, "cpus_per_rank": threads, "walltime": "02:00:00",
    }  # fmt: skip
    found["data"]["root"] = str(data)
    train = found["train"]
    train |= {"epochs": sum(epochs), "pretrain_epochs": epochs[0], "figures_every_epochs": 0}
    train["generator"] = {"channels": GENERATOR, "noise": "add"}
    train["validate_every_epochs"] = math.gcd(*epochs) if sum(epochs) > VALIDATIONS else 1
    train["checkpoints"] = {"every_epochs": sum(epochs)}
    train["adversary"] |= CRITICS[critic]
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
    content = job(data, threads, (2, 2))
    content["data"]["steps"] = {"start": 0, "stride": 4}
    content["train"] |= {"log_every_steps": 1, "validate_every_epochs": 4}
    steps, _ = train(folder, content, threads)
    times = [line["time"] for line in steps]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    half = len(times) // 2
    # the first step of each phase also imports and allocates
    return statistics.median(gaps[1 : half - 1]), statistics.median(gaps[half + 1 :])


def planned(plain_s: float, adversarial_s: float, seconds: float) -> tuple[int, int]:
    """Epochs of both phases that fit, each a multiple of a quarter of the smaller number."""
    shares = (PLAIN_SHARE / plain_s, (1 - PLAIN_SHARE) / adversarial_s)
    fitting = [max(1, int(seconds * share / STEPS)) for share in shares]
    unit = max(1, min(fitting) // (VALIDATIONS // 2))
    a, b = (max(unit, n - n % unit) for n in fitting)
    return a, b


def report(phase: str, what: str, errors: dict[str, float], aim: float | None = None) -> float:
    """Print one line; returns the ratio to trilinear upsampling."""
    ratio = errors["generator"] / errors["trilinear"]
    verdict = f" (aim {aim:.3f}: {'reached' if ratio <= aim else 'MISSED'})" if aim else ""
    cells = "  ".join(f"{kind} {error:.4f}" for kind, error in errors.items())
    print(f"{phase:12} {what:34} {cells}  ratio {ratio:.3f}{verdict}", flush=True)
    return ratio


def validated(line: dict[str, Any], key: str) -> dict[str, float]:
    """Errors of one kind in a validation line, of all that were judged."""
    return {kind: line[f"{key}/{kind}"] for kind in ("generator", "trilinear", "tricubic")}


def resolved(run: Path) -> dict[str, float]:
    """Log-spectrum errors where the truth has more than `RESOLVED` of its largest power."""
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


def run_both_phases(
    folder: Path, data: Path, threads: int, epochs: tuple[int, int], critic: str
) -> dict[str, Any]:
    """Train, print a line for each figure, and return the figures."""
    folder.mkdir()
    began = time.time()
    steps, lines = train(folder / "training", job(data, threads, epochs, critic), threads)
    taken = [line for line in steps if line["step"] > epochs[0] * STEPS]
    a_step = (taken[-1]["time"] - taken[0]["time"]) / (taken[-1]["step"] - taken[0]["step"])
    print(
        f"{critic} critic, {epochs[0]} + {epochs[1]} epochs of {STEPS * 4} samples: "
        f"{(time.time() - began) / 60:.1f} minutes, {a_step:.2f} s an adversarial step",
        flush=True,
    )
    plain = next(line for line in lines if line["step"] == epochs[0] * STEPS)
    figures: dict[str, Any] = {"epochs": epochs, "seconds_a_step": a_step, "by_epoch": lines}
    figures["plain"] = report("plain", "rmse", validated(plain, "rmse"), RMSE_AIM)
    report("adversarial", "rmse", validated(lines[-1], "rmse"))
    every = validated(lines[-1], "log_spectrum_error")
    report("adversarial", "log-spectrum error, all k", every)
    of_truth = resolved(folder / "training" / "run")
    what = f"log-spectrum error, P > {RESOLVED:g} peak"
    figures["adversarial"] = report("adversarial", what, of_truth, SPECTRUM_AIM)
    return figures


def main() -> None:
    """Train, print and perhaps write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--epochs", type=int, nargs=2, metavar=("PLAIN", "ADVERSARIAL"))
    parser.add_argument("--critics", action="store_true", help="also the published critic")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    given = parser.parse_args()
    began = time.time()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="quality-mantle-") as scratch:
        folder = Path(scratch)
        data = given.data.resolve() if given.data else folder / "data"
        if not given.data:
            sample = [sys.executable, "-m", "hpctrain", "sample", "mantle", "--out", str(data)]
            subprocess.run(sample, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        if given.epochs:
            epochs = (given.epochs[0], given.epochs[1])
        else:
            plain_s, adversarial_s = step_times(data, folder / "trial", given.threads)
            print(f"a step: plain {plain_s:.2f} s, adversarial {adversarial_s:.2f} s", flush=True)
            left = given.minutes * 60 - (time.time() - began) - START_S
            epochs = planned(plain_s, adversarial_s, left)
        for critic in CRITICS if given.critics else ("fast",):
            found = run_both_phases(folder / critic, data, given.threads, epochs, critic)
            figures[critic] = found
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(f"{(time.time() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
