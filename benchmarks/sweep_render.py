"""How long a sweep takes to render, and how much memory: 100 and 1,000 points.

    python benchmarks/sweep_render.py [--points 100,1000] [--site generic-slurm]

Each size is rendered by its own `hpctrain render`; memory is the greatest that the kernel saw.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml

REPO = Path(__file__).resolve().parents[1]


def write_job(folder: Path, points: int) -> None:
    """A job over three small files, swept over learning rates."""
    (folder / "data").mkdir(exist_ok=True)
    for i in range(3):
        field = np.full((2, 16, 16, 16), i, np.float32)
        np.save(folder / "data" / f"step{i}.npy", field)
    rates = [float(f"{1e-5 * 1.005**i:.6g}") for i in range(points)]
    job = {
        "name": f"points{points}",
        "resources": {"ranks_per_node": 2, "walltime": "00:10:00"},
        "data": {
            "kind": "fields",
            "root": "data",
            "targets": ["step*.npy"],
            "geometry": "box",
            "validation_steps": 1,
            "crop": [4, 4, 4],
        },
        "train": {
            "task": "super_resolution",
            "upscale_factor": 2,
            "epochs": 1,
            "global_batch_size": 4,
        },
        "sweep": {"grid": {"train.optimizer.learning_rate": rates}},
    }
    (folder / f"points{points}.yaml").write_text(yaml.safe_dump(job, sort_keys=False))


def measure(folder: Path, points: int, site: str) -> tuple[float, float]:
    """Seconds and peak memory in MiB of one `hpctrain render`."""
    write_job(folder, points)
    command = [sys.executable, "-m", "hpctrain", "render", f"points{points}.yaml", "--site", site]
    environment = {**os.environ, "PYTHONPATH": str(REPO), "XDG_CACHE_HOME": str(folder / "cache")}
    reader, writer = os.pipe()
    start = time.perf_counter()
    if (
        pid := os.fork()
    ) == 0:  # a process of its own, as the kernel keeps one peak for all children
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        os.write(writer, f"{peak} {done.stderr}".encode())
        os._exit(done.returncode)
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - start
    peak, _, words = os.read(reader, 65536).decode().partition(" ")
    os.close(reader)
    os.close(writer)
    if status:
        sys.exit(words)
    return seconds, int(peak) / 1024


def main() -> None:
    """Print one line a size, and the ratios of the largest to the smallest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", default="100,1000")
    parser.add_argument("--site", default="generic-slurm")
    options = parser.parse_args()
    sizes = [int(text) for text in options.points.split(",")]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for points in sizes:
            found.append(measure(Path(folder), points, options.site))
            seconds, peak = found[-1]
            print(f"{points:6} points  {seconds:6.1f} s  peak {peak:6.0f} MiB", flush=True)
    first, last = found[0], found[-1]
    print(f"ratio: {last[0] / first[0]:.1f} x the time, {last[1] / first[1]:.2f} x the memory")


if __name__ == "__main__":
    main()
