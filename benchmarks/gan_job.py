"""A whole GAN job from the start of its process, on the fields d1 (64 pairs 16^3 -> 32^3).

    python benchmarks/gan_job.py [--rounds 3] [--precision auto]

Two epochs of 128 steps, batch 4, crop 8^3 -> 16^3, conditional GAN with the Wasserstein loss and a
lazy R1 penalty (every 16th step), one process, two threads. map2map needed 52.1 s for this job on
such a machine (first step after 7.5 s, 24.6 to 25.6 samples/s, next epoch's first batch after 0.13
to 2.5 s), with a generator of 118,396 and a discriminator of 124,977 parameters; those used here
have more: the line `parameters` says how many.
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

from rundir import power_law_fields, write_run

from hpctrain.models import SrDiscriminator, SrGenerator

GENERATOR = {"base": 80, "min": 40, "max": 80}
RIVAL_WALL_S = 52.1


def job(folder: Path, precision: str) -> dict[str, object]:
    """The job of the docstring."""
    return {
        "name": "gan",
        "site": "local",
        "resources": {"nodes": 1, "ranks_per_node": 1, "cpus_per_rank": 2, "walltime": "01:00:00"},
        "data": {
            "kind": "fields",
            "root": str(folder / "data"),
            "geometry": "box",
            "inputs": ["lr/f*.npy"],
            "targets": ["hr/f*.npy"],
            "validation_targets": ["val/hr/f*.npy"],
            "validation_inputs": ["val/lr/f*.npy"],
            "crop": [8, 8, 8],
        },
        "train": {
            "task": "super_resolution",
            "upscale_factor": 2,
            "epochs": 2,
            "global_batch_size": 4,
            "precision": precision,
            "log_every_steps": 1,
            "generator": {"channels": GENERATOR},
            "adversary": {
                "discriminator": {"channels": GENERATOR},
                "critic_steps": 1,
                "gradient_penalty": {"kind": "r1", "weight": 10.0, "every": 16},
            },
        },
    }


def measure(folder: Path, precision: str) -> dict[str, float]:
    """Run the job once and read its times from metrics.jsonl."""
    run = write_run(folder, job(folder, precision))
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    begin = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "hpctrain.train", str(run)],
        env=environment,
        capture_output=True,
        text=True,
    )
    wall = time.time() - begin
    if done.returncode:
        raise SystemExit(done.stderr)
    lines = [json.loads(line) for line in (run / "logs" / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "train"]
    second = next(line for line in steps if line["epoch"] == 1)
    speeds = [line["samples_per_s"] for line in steps[5:]]
    print(next(line for line in done.stderr.splitlines() if "precision" in line))
    return {
        "wall_s": wall,
        "first_step_s": steps[0]["time"] - begin,
        "samples_per_s": statistics.median(speeds),
        "next_epoch_first_batch_s": second["share/data"] * 4 / second["samples_per_s"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="auto", choices=["auto", "float32", "bfloat16"])
    arguments = parser.parse_args()
    widths = {f"channels_{key}": value for key, value in GENERATOR.items()}
    models = SrGenerator(4, 4, 2, **widths), SrDiscriminator(8, 2, **widths)
    counts = [sum(p.numel() for p in model.parameters()) for model in models]
    print(f"parameters: generator {counts[0]:,}, discriminator {counts[1]:,}")
    results = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            power_law_fields(folder / "data", files=64, low=16, factor=2)
            power_law_fields(folder / "data" / "val", files=2, low=16, factor=2, seed=1)
            results.append(measure(folder, arguments.precision))
    for key, aim in {
        "wall_s": "<= 30",
        "first_step_s": "<= 3",
        "samples_per_s": "rival 25",
        "next_epoch_first_batch_s": "< 0.05",
    }.items():
        values = sorted(result[key] for result in results)
        print(f"{key:26} median {statistics.median(values):8.3f}  min {values[0]:8.3f}  aim {aim}")
    wall = statistics.median(result["wall_s"] for result in results)
    print(f"ratio to map2map's {RIVAL_WALL_S} s: {RIVAL_WALL_S / wall:.2f} times faster")


if __name__ == "__main__":
    main()
