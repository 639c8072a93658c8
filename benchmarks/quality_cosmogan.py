"""CosmoGAN at 64^2: how near made slices come to held-out universes in a bounded time.

    python benchmarks/quality_cosmogan.py [--minutes 15] [--data FOLDER] [--threads 2] [--out FILE]
    python benchmarks/quality_cosmogan.py --epochs 30       # for so long, whatever it takes

Makes 12 universes of 64^3 cells and one cosmology, unless --data names such a folder, holds out the
last four, and trains jobs/cosmogan.yaml at half its width and batch size, as small batches give
more steps; an epoch before says how many fit into the time. Prints the chi-squares of histogram
and spectrum of each validation beside the floor, the distance of two of the held-out universes from
the two others, and two yardsticks: as many true slices of the other universes, and Gaussian fields
that were given the true values by rank, so with the true histogram and no cosmic web. Aim: both
chi-squares fall over the training; how near they came to the floor is printed, not asserted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import yaml
from rundir import write_run

from hpctrain.analysis.box_spectrum import box_spectra
from hpctrain.analysis.sample_statistics import (
    Moments,
    chi_square,
    histogram_edges,
    histograms,
)
from hpctrain.samples.cosmoflow import FIDUCIAL, Universe, write_universe
from hpctrain.samples.initial import Grid
from hpctrain.samples.nbody import counts

ROOT = Path(__file__).parents[1]
UNIVERSES, HELD_OUT, SIZE = 12, 4, 64
WIDTHS = [32, 64, 128, 256]
BATCH, VALIDATIONS, START_S = 16, 15, 60.0
"""Samples a step; validations of a run; seconds to start and to validate."""


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


def job(data: Path, threads: int, epochs: int) -> dict[str, Any]:
    """The shipped job on one rank, at half its width and batch size."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "jobs" / "cosmogan.yaml").read_text())
    found |= {"name": "quality", "site": "local", "launch": {"comm": "single"}}
    found["resources"] = {
        "nodes": 1, "ranks_per_node": 1, "cpus_per_rank": threads, "walltime": "02:00:00",
    }  # fmt: skip
    found["data"] |= {"root": str(data), "targets": ["*.hdf5"], "validation_steps": HELD_OUT}
    train = found["train"]
    train |= {"epochs": epochs, "global_batch_size": BATCH, "figures_every_epochs": 0}
    train["validate_every_epochs"] = max(1, epochs // VALIDATIONS)
    train["checkpoints"] = {"every_epochs": epochs}
    train["generator"]["channels"] = train["adversary"]["discriminator"]["channels"] = WIDTHS
    return found


def train(run: Path, threads: int) -> list[dict[str, Any]]:
    """Train; returns the lines of the metrics."""
    env = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, "-m", "hpctrain.train", str(run)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-3000:] + done.stderr[-3000:])
    return [json.loads(x) for x in (run / "logs" / "metrics.jsonl").read_text().splitlines()]


def epoch_time(folder: Path, data: Path, threads: int) -> float:
    """Seconds of an epoch, from the pace within one."""
    folder.mkdir()
    content = job(data, threads, 1)
    content["train"]["log_every_steps"] = 1
    steps = [line for line in train(write_run(folder, content), threads) if "samples_per_s" in line]
    gaps = [b["time"] - a["time"] for a, b in itertools.pairwise(steps)]
    return statistics.median(gaps) * len(steps)


def slices(path: Path) -> np.ndarray:
    """All sheets across x, y and z at redshift 0, (3 n, n, n)."""
    with h5py.File(path) as file:
        cube = file["full"][..., 0].astype(np.float32)
    return np.concatenate([np.moveaxis(cube, axis, 0) for axis in range(3)])


def gaussian_by_rank(fields: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian fields with the spectrum of ln(1 + x), whose values become those of the fields."""
    logs = np.log1p(fields)
    power = (np.abs(np.fft.fft2(logs - logs.mean())) ** 2).mean(0)
    noise = np.fft.fft2(rng.standard_normal((count, *fields.shape[1:])))
    made = np.fft.ifft2(noise * np.sqrt(power)).real
    rank = np.argsort(np.argsort(made.ravel())) / made.size
    values = np.sort(fields.ravel())
    return values[(rank * len(values)).astype(int)].reshape(made.shape)


def yardsticks(data: Path) -> dict[str, tuple[float, float]]:
    """Chi-squares of histogram and spectrum of fields that no network made."""
    *others, a, b, c, d = sorted(data.glob("*.hdf5"))
    truth = np.concatenate([slices(path) for path in (a, b, c, d)])
    trained = np.concatenate([slices(path) for path in others])
    edges = histogram_edges(truth, 25)
    rng = np.random.default_rng(0)

    def moments(fields: np.ndarray) -> tuple[Moments, Moments]:
        x = torch.from_numpy(np.ascontiguousarray(fields))[:, None, None]
        found = histograms(x[:, 0], edges), box_spectra(x).double()[:, 0]
        one, two = (Moments(len(x), v.sum(0), v.square().sum(0)) for v in found)
        return one, two

    least, reference = (1 / truth.size, 0.0), moments(truth)
    kinds = {
        "true slices of the other universes": rng.permutation(trained)[: len(truth)],
        "Gaussian fields, values by rank": gaussian_by_rank(trained, len(truth), rng),
    }
    found = {}
    for kind, fields in kinds.items():
        own = zip(moments(fields), reference, least, strict=True)
        histogram, spectrum = (float(chi_square(x, true, small)) for x, true, small in own)
        found[kind] = histogram, spectrum
    return found


def table(lines: list[dict[str, Any]]) -> None:
    """Print each validation, and whether the chi-squares fall."""
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


def main() -> None:
    """Train, print and perhaps write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--epochs", type=int, help="in place of --minutes")
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
        for kind, (histogram, spectrum) in yardsticks(data).items():
            print(
                f"{kind}: chi2/histogram {histogram:.3g}, chi2/spectrum {spectrum:.3g}", flush=True
            )
        epochs = given.epochs
        if epochs is None:
            a_epoch = epoch_time(folder / "trial", data, given.threads)
            left = given.minutes * 60 - (time.time() - began) - START_S
            epochs = max(1, int(left / a_epoch))
            print(f"an epoch takes {a_epoch:.1f} s: {epochs} epochs", flush=True)
        lines = train(write_run(folder, job(data, given.threads, epochs)), given.threads)
    lines = [line for line in lines if line["kind"] == "validation"]
    table(lines)
    if given.out:
        given.out.write_text(json.dumps(lines, indent=1) + "\n")
    print(f"{(time.time() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
