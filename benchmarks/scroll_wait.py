"""Share of its time that a training of the scroll VAE waits for cubes, in little memory.

    python benchmarks/scroll_wait.py [--folder DIR] [--store zarr|plain] [--batch 256] [--steps 12]

The volume is that of benchmarks/scroll_cubes.py, in zstd chunks. The run is rendered from
jobs/scroll.yaml and started by its run.sh, as a user does, in a memory cgroup. After two steps the
group is bound to the most that its processes have held and `--cache-mb` more, a fourth of the
volume. The share is the trainer's own, `share/data` in logs/metrics.jsonl.
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
from typing import Any

import yaml
from page_cache import LIMITS, MB, Cgroup
from scroll_cubes import SHAPE
from scroll_volume import make

ROOT = Path(__file__).resolve().parents[1]
WARM_UP = 2


def job_of(options: argparse.Namespace) -> dict[str, Any]:
    """The shipped job at this batch size, on the volume, for one rank."""
    page: dict[str, Any] = yaml.safe_load((ROOT / "jobs" / "scroll.yaml").read_text())
    page |= {"name": "wait", "site": "local"}
    page["resources"] |= {"ranks_per_node": 1, "cpus_per_rank": options.cores}
    data, train = page["data"], page["train"]
    data |= {"root": str(options.folder.resolve()), "volumes": [options.store]}
    data |= {"samples_per_epoch": options.batch * (WARM_UP + options.steps)}
    data["validation"]["samples"] = 8
    for key in ("papyrus_above", "papyrus_share"):  # grey values of another volume
        data.pop(key)
    train |= {"epochs": 1, "global_batch_size": options.batch, "log_every_steps": 1}
    train |= {"precision": options.precision}
    return page


def anonymous_bytes(group: Path) -> int:
    """Memory of the group that is no file's."""
    words = dict(line.split()[:2] for line in (group / "memory.stat").read_text().splitlines())
    return int(words.get("total_rss") or words["anon"])


def bound(group: Path, num_bytes: int) -> None:
    """Let the group hold no more than this."""
    for name in LIMITS:
        if (group / name).exists():
            (group / name).write_text(str(num_bytes))


def steps_of(run: Path) -> list[dict[str, float]]:
    """Lines of the metrics that are of training steps."""
    path = run / "logs" / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    pages = map(json.loads, lines)
    return [page for page in pages if page.get("kind") == "train" and "share/data" in page]


def train(options: argparse.Namespace, work: Path) -> list[dict[str, float]]:
    """One training from cold files."""
    (work / "wait.yaml").write_text(yaml.safe_dump(job_of(options)))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "hpctrain", "render", "wait.yaml"]
    subprocess.run(words, cwd=work, env=env, check=True, stdout=subprocess.DEVNULL)
    for path in options.folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)
    group, run = Cgroup(), work / "jobs" / "wait"
    enter = f"echo $$ > {group.path}/cgroup.procs; exec jobs/wait/run.sh"
    own, is_bound = 0, False
    with (work / "out").open("w") as out:
        going = subprocess.Popen(["sh", "-c", enter], cwd=work, env=env, stdout=out, stderr=out)
        while going.poll() is None:
            own = max(own, anonymous_bytes(group.path))
            if not is_bound and len(steps_of(run)) >= WARM_UP:
                bound(group.path, own + options.cache_mb * MB)
                is_bound = True
            time.sleep(0.05)
    group.close()
    if going.returncode:
        sys.exit((work / "out").read_text()[-3000:])
    return steps_of(run)[WARM_UP:]


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "cubes")
    parser.add_argument("--store", choices=["zarr", "plain"], default="zarr")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--cache-mb", type=int, default=256)
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--precision", default="bfloat16")
    options = parser.parse_args()
    make(options.folder, SHAPE)
    work = Path(tempfile.mkdtemp())
    try:
        steps = train(options, work)
    finally:
        shutil.rmtree(work)
    shares = [step["share/data"] for step in steps]
    print(
        f"{len(shares)} steps of {options.batch} cubes: waiting for cubes "
        f"{statistics.mean(shares):.2%} of the time, {max(shares):.2%} at most in a step"
    )
    rate = statistics.median(step["samples_per_s"] for step in steps)
    print(f"{rate:.1f} cubes/s; shares of the last step:")
    print({key: round(value, 4) for key, value in steps[-1].items() if key.startswith("share/")})


if __name__ == "__main__":
    main()
