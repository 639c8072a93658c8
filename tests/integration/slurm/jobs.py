"""Runs on the test cluster: rendered by the command line, handed in with sbatch."""

from __future__ import annotations

import os
from pathlib import Path

from tests.e2e.commands import hpctrain
from tests.e2e.commands import state as state
from tests.integration.slurm.cluster import Cluster
from tests.runs import SmallRun

SRUN_SITE = """
name: srun-cluster
title: a Slurm cluster whose ranks srun starts
scheduler: slurm
launcher: {kind: srun}
mask_variable: CUDA_VISIBLE_DEVICES
"""
ALONE = ("resources.nodes=1", "resources.ranks_per_node=1", "launch.comm=single")
ENDLESS = ("train.epochs=100000", "train.checkpoints.every_steps=10")


def render(small: SmallRun, *settings: str, site: str = "generic-slurm", name: str = "run") -> Path:
    """A new run of the small job on the cluster."""
    return small.render(small.unique(name), f"site={site}", *settings)


def render_shipped(folder: Path, job: str, *settings: str, name: str) -> Path:
    """A run of a shipped job file that lies in the folder."""
    words = [word for setting in settings for word in ("--set", setting)]
    done = hpctrain("render", job, "--site", "generic-slurm", "--as", name, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / "jobs" / name


def log(run: Path) -> str:
    """All that the jobs of a run printed."""
    return "".join(path.read_text() for path in sorted((run / "logs").glob("*.out")))


def submit(cluster: Cluster, run: Path) -> str:
    """`hpctrain submit` of a rendered run; returns the job id."""
    done = hpctrain("submit", str(run), cwd=run.parent.parent, env=cluster.env)
    assert done.returncode == 0, done.stderr
    return current_job(run)


def current_job(run: Path) -> str:
    """The newest job of a run."""
    return (run / "submitted.log").read_text().splitlines()[-1].split("\t")[2]


def finish(cluster: Cluster, run: Path) -> str:
    """Hand a run in and wait for its good end; returns what it printed."""
    job = cluster.wait(cluster.submit(run / "run.slurm"), seconds=180)
    said = log(run)
    assert (job["JobState"], job["ExitCode"]) == ("COMPLETED", "0:0"), f"{job}\n{said}"
    return said


def has_begun(run: Path, step: int = 1) -> bool:
    """Whether the training made this step."""
    metrics = run / "logs" / "metrics.jsonl"
    return metrics.exists() and metrics.read_text().count('"train"') >= step


def processes_of(run: Path) -> dict[str, int]:
    """Processes of a run on any node: `rank N`, or the first word of the command, and the id."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(run) in words:
            rank = [v[14:].decode() for v in variables if v.startswith(b"HPCTRAIN_RANK=")]
            found[f"rank {rank[0]}" if rank else words[0].decode()] = int(entry.name)
    return found
