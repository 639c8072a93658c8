"""Ink that has no mean contrast, found on a held-out region of the phantom in a bounded time.

    python benchmarks/quality_ink.py [--minutes 15] [--data FOLDER] [--threads 2] [--out FOLDER]

Writes the sample `scroll` with carbon ink, unless --data names such a folder, holds out the last
fifth of its columns, and trains jobs/ink.yaml on one rank until the time is over, or its epochs
are. Prints the AUC of the best single layer as a threshold (whichever side of it is ink), and AUC,
F0.5 and Dice of the net on the same pixels. Aim: at least 0.85 where the layer gives less than
0.65. With --out the figures are kept: look at the letters.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rundir import write_run

from hpctrain.formats.picture import read_picture
from hpctrain.formats.stack import open_stack
from hpctrain.samples.scroll import write_sample

ROOT = Path(__file__).parents[1]
SHARE = 0.2
STOPPED = 75
"""Exit code of a training that was asked to stop."""


def auc(scores: np.ndarray, is_ink: np.ndarray) -> float:
    """Area under the ROC curve by ranks; values that are equal share theirs."""
    _, where, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - 0.5 * (counts - 1)
    ink, bare = int(is_ink.sum()), int((~is_ink).sum())
    return float((ranks[where[is_ink]].sum() - ink * (ink + 1) / 2) / (ink * bare))


def best_layer(fragment: Path) -> tuple[int, float]:
    """The layer whose grey value alone tells most on the held-out region, and its AUC there."""
    mask, labels = (read_picture(fragment / n) > 0 for n in ("mask.png", "inklabels.png"))
    held = slice(int(mask.shape[1] * (1 - SHARE)), None)
    where, is_ink = mask[:, held], labels[:, held]
    found = []
    for number, path in enumerate(sorted((fragment / "surface_volume").glob("*.tif"))):
        layer = open_stack("layer", [path])[0:1][0, :, held]
        own = auc(layer[where], is_ink[where])
        found.append((max(own, 1 - own), number))
    value, number = max(found)
    return number, value


def job(data: Path, threads: int) -> dict[str, Any]:
    """The shipped job on one rank."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "jobs" / "ink.yaml").read_text())
    found |= {"name": "quality", "site": "local", "launch": {"comm": "single"}}
    found["resources"] = {
        "nodes": 1, "ranks_per_node": 1, "cpus_per_rank": threads, "walltime": "02:00:00",
    }  # fmt: skip
    found["data"] |= {"root": str(data), "validation": {"share": SHARE, "axis": "x"}}
    found["data"]["samples_per_epoch"] = 512
    found["train"] |= {"sync_batch_norm": False, "epochs": 40, "figures_every_epochs": 4}
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
    """Train, print and perhaps keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="folder for eval/ of the run")
    given = parser.parse_args()
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="quality-ink-") as scratch:
        data = given.data.resolve() if given.data else Path(scratch) / "data"
        write_sample(data)
        number, layer = best_layer(data / "train" / "1")
        print(f"best layer {number}: AUC {layer:.3f} by a threshold", flush=True)
        run = write_run(Path(scratch), job(data, given.threads))
        lines = train(run, given.threads, given.minutes * 60 - (time.time() - began))
        if given.out:
            shutil.copytree(run / "eval", given.out, dirs_exist_ok=True)
    if not lines:
        raise SystemExit("no epoch was done in this time; give more --minutes")
    keys = ("auc", "f05", "dice", "average_precision")
    print(f"{'epoch':>6}{'step':>7}" + "".join(f"{key:>19}" for key in keys))
    for line in lines:
        cells = "".join(f"{line[key]:19.4f}" for key in keys)
        print(f"{line['epoch']:6}{line['step']:7}{cells}")
    best = max(line["auc"] for line in lines)
    verdict = "reached" if best >= 0.85 and layer < 0.65 else "NOT REACHED"
    print(f"AUC {best:.3f} against {layer:.3f} of the best layer: aim {verdict}")
    print(f"{(time.time() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
