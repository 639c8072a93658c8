"""A whole 128^3 field from its 64^3 input: `hpctrain predict` against one untiled forward pass.

    python benchmarks/predict.py [--size 128] [--base 32] [--rounds 2] [--memory-mb 300]

Two channels of random numbers in a periodic box; a super-resolution generator of factor 2 whose
weights are random, as speed does not depend on them. Each measurement is a process of its own that
reads an npy file, generates with noise and writes an npy file; imports and the loading of weights
are left out of the time. The rival is what a careful user would write: wrap the field with np.pad,
one forward pass in inference mode, cut, np.save. Memory is the peak of the process (VmHWM) less
what it had before. Rounds are interleaved; the least time of each counts. The largest difference
of both results, without noise, is printed too.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

HALO = 2


def make_run(folder: Path, size: int, base: int) -> None:
    """Files of fine fields, and a run directory with a checkpoint of random weights."""
    from hpctrain.config.job import Job
    from hpctrain.data import Scales
    from hpctrain.index import build_fields_index
    from hpctrain.tasks.super_resolution.networks import make_generator
    from hpctrain.train.checkpoint import CheckpointFolder

    rng = np.random.default_rng(0)
    for i in range(2):
        for name, n in (("hr", size), ("lr", size // 2)):
            field = rng.standard_normal((2, n, n, n), np.float32)
            np.save(folder / f"{name}{i}.npy", field)
    channels = {"base": base, "min": base, "max": base}
    page: dict[str, Any] = {
        "name": "bench",
        "site": "local",
        "resources": {"nodes": 1, "ranks_per_node": 1, "walltime": "00:10:00"},
        "data": {
            "kind": "fields", "root": str(folder), "targets": ["hr*.npy"], "inputs": ["lr*.npy"],
            "validation_steps": 1, "geometry": "box", "crop": [16, 16, 16],
            "normalization": "none",
        },
        "train": {
            "task": "super_resolution", "upscale_factor": 2, "epochs": 1, "global_batch_size": 1,
            "generator": {"channels": channels},
        },
    }  # fmt: skip
    job = Job.model_validate(page)
    run = folder / "run"
    run.mkdir()
    (run / "config.yaml").write_text(yaml.safe_dump(page))
    (run / "manifest.json").write_text("{}")
    index = build_fields_index(job.data, 2, folder)
    (run / "index.csv").write_text(index.csv_text)
    (run / "index.json").write_text(index.json_text)
    torch.manual_seed(0)
    network = make_generator(job.train, 2, 2)
    names = ("hr_0", "hr_1")
    state = {
        "models": {"generator": network.state_dict()},
        "task": {"scales": Scales(names, (0.0, 0.0), (1.0, 1.0)).to_dict()},
        "position": {"epoch": 1, "step": 0, "global_step": 1},
    }
    CheckpointFolder(run / "checkpoints", 1).save(state, 1, 0)


def memory(key: str) -> int:
    """A line of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])


def by_hpctrain(folder: Path, has_noise: bool, memory_mb: int) -> dict[str, float]:
    from hpctrain.predict.command import predict
    from hpctrain.predict.options import Options

    before = memory("VmRSS")
    done = predict(
        folder / "run",
        Options(
            out=folder / "tiled.npy", memory_mb=memory_mb, has_noise=has_noise, overwrite=True,
            device="cpu",
        ),
    )  # fmt: skip
    assert done is not None
    return {"seconds": done.seconds, "bytes": memory("VmHWM") - before}


def by_plain_script(folder: Path, has_noise: bool) -> dict[str, float]:
    from hpctrain.config.load import read_resolved
    from hpctrain.models import SampleNoise, ZeroNoise, crop_to
    from hpctrain.tasks.super_resolution.networks import make_generator
    from hpctrain.train.checkpoint import load

    before = memory("VmRSS")
    network = make_generator(read_resolved(folder / "run" / "config.yaml").train, 2, 2)
    state = load(folder / "run" / "checkpoints" / "state_1.pt")
    network.load_state_dict(state["models"]["generator"])
    network.eval()
    begin = time.perf_counter()
    field = np.load(folder / "lr1.npy")
    x = np.pad(field, ((0, 0), *((HALO, HALO),) * 3), mode="wrap")
    noise = SampleNoise([1]) if has_noise else ZeroNoise()
    with torch.inference_mode():
        y = network(torch.from_numpy(x)[None], noise)
        y = crop_to(y, [2 * n for n in field.shape[1:]])[0]
    np.save(folder / "untiled.npy", y.numpy())
    return {"seconds": time.perf_counter() - begin, "bytes": memory("VmHWM") - before}


def measure(side: str, folder: Path, *options: str) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128, help="output cells along each axis")
    parser.add_argument("--base", type=int, default=32, help="channels of the generator")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--memory-mb", type=int, default=300, help="of `hpctrain predict`")
    parser.add_argument("--side", choices=("tiled", "untiled"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--silent", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        if given.side == "tiled":
            found = by_hpctrain(given.folder, not given.silent, given.memory_mb)
        else:
            found = by_plain_script(given.folder, not given.silent)
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_run(folder, given.size, given.base)
        limit = ("--memory-mb", str(given.memory_mb))
        rounds = [
            {side: measure(side, folder, *limit) for side in ("tiled", "untiled")}
            for _ in range(given.rounds)
        ]
        for side in ("tiled", "untiled"):
            measure(side, folder, *limit, "--silent")
        tiled, untiled = (np.load(folder / f"{side}.npy") for side in ("tiled", "untiled"))
        difference = float(np.abs(tiled - untiled).max() / np.abs(untiled).max())
    print(f"{given.size}^3 cells, 2 channels, generator of {given.base} channels, "
          f"{torch.get_num_threads()} threads, float32")  # fmt: skip
    best = {}
    for side, label in (("tiled", "hpctrain predict"), ("untiled", "one forward pass")):
        seconds = min(r[side]["seconds"] for r in rounds)
        peak = min(r[side]["bytes"] for r in rounds)
        best[side] = seconds, peak
        print(f"{label:17}  {given.size**3 / seconds:10.3g} voxels/s  {peak / 1e6:7.0f} MB")
    speed = best["untiled"][0] / best["tiled"][0]
    share = best["tiled"][1] / best["untiled"][1]
    print(f"ratio: speed {speed:.2f}, memory {share:.2f}; largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
