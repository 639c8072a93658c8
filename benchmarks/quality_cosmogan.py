"""CosmoGAN at 64^2: how near made slices come to held-out universes in a bounded time.

    python benchmarks/quality_cosmogan.py [--minutes 15] [--data FOLDER] [--threads 2] [--out FILE]

Makes 12 universes of 64^3 cells and one cosmology, unless --data names such a folder, holds out the
last four, and trains jobs/cosmogan.yaml at half its width until the time is over. Prints the
chi-squares of histogram and spectrum of each validation beside the floor, the distance of two of
the held-out universes from the two others. Aim: both fall over the training; how near they came to
the floor is printed, not asserted.
"""

from __future__ import annotations

import argparse
import json
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

from hpctrain.samples.cosmoflow import FIDUCIAL, Universe, write_universe
from hpctrain.samples.initial import Grid
from hpctrain.samples.nbody import counts

ROOT = Path(__file__).parents[1]
UNIVERSES, HELD_OUT, SIZE = 12, 4, 64
WIDTHS = [32, 64, 128, 256]
STOPPED = 75
"""Exit code of a training that was asked to stop."""


def make_universes(folder: Path) -> None:
    """Universes of one cosmology that differ in their initial fields; those there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(UNIVERSES):
        path = folder / f"universe{number:02}.hdf5"
        if not path.exists():
            universe = Universe(100_000_000 + number, "quality", number, FIDUCIAL)
            part = path.with_suffix(".part")
            write_universe(part, universe, counts(universe, Grid(SIZE, float(SIZE))))
            part.replace(path)


def job(data: Path, threads: int) -> dict[str, Any]:
    """The shipped job on one rank, at half its width, with more epochs than there is time for."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "jobs" / "cosmogan.yaml").read_text())
    found |= {"name": "quality", "site": "local", "launch": {"comm": "single"}}
    found["resources"] = {
        "nodes": 1, "ranks_per_node": 1, "cpus_per_rank": threads, "walltime": "02:00:00",
    }  # fmt: skip
    found["data"] |= {"root": str(data), "targets": ["*.hdf5"], "validation_steps": HELD_OUT}
    train = found["train"]
    train |= {"epochs": 10_000, "figures_every_epochs": 0, "validate_every_epochs": 2}
    train["generator"]["channels"] = train["adversary"]["discriminator"]["channels"] = WIDTHS
    return found


def train(run: Path, threads: int, seconds: float) -> list[dict[str, Any]]:
    """Train for so long; returns the lines of validation."""
    env = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    with (run / "out.txt").open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "hpctrain.train", str(run)], env=env, stdout=out, stderr=out
        )
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            (run / "STOP").touch()
            process.wait(timeout=300)
    if process.returncode not in (0, STOPPED):
        raise SystemExit((run / "out.txt").read_text()[-3000:])
    lines = [json.loads(x) for x in (run / "logs" / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "validation"]


def main() -> None:
    """Train, print and perhaps write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    given = parser.parse_args()
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="quality-cosmogan-") as scratch:
        folder = Path(scratch)
        data = given.data.resolve() if given.data else folder / "data"
        make_universes(data)
        print(f"universes: {time.time() - began:.0f} s", flush=True)
        run = write_run(folder, job(data, given.threads))
        lines = train(run, given.threads, given.minutes * 60 - (time.time() - began))
    keys = ("histogram", "spectrum")
    print(f"{'step':>7}" + "".join(f"{f'chi2/{k}':>17}{'floor':>8}" for k in keys))
    for line in lines:
        cells = (f"{line[f'chi2/{k}']:17.4g}{line[f'floor/{k}']:8.3g}" for k in keys)
        print(f"{line['step']:7}" + "".join(cells))
    third = max(1, len(lines) // 3)
    for k in keys:
        early, late = (
            statistics.median(line[f"chi2/{k}"] for line in part)
            for part in (lines[:third], lines[-third:])
        )
        best, floor = min(line[f"chi2/{k}"] for line in lines), lines[-1][f"floor/{k}"]
        verdict = "falls" if late < early else "DOES NOT FALL"
        print(
            f"{k}: median of the first third {early:.4g}, of the last {late:.4g} ({verdict}); "
            f"best {best:.4g}, {best / floor:.3g} times the floor of {floor:.3g}"
        )
    if given.out:
        given.out.write_text(json.dumps(lines, indent=1) + "\n")
    print(f"{(time.time() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
