"""Small real runs: real files, rendered by the command line, started by their own run script."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.io import netcdf_file

from hpctrain.cli import main as hpctrain
from tests import warm

VARIABLES = ("temperature", "vx", "vy", "vz")

JOB = {
    "name": "small",
    "site": "local",
    "resources": {"nodes": 1, "ranks_per_node": 2, "walltime": "00:10:00"},
    "launch": {"comm": "horovod"},
    "data": {
        "kind": "fields",
        "root": "data",
        "targets": ["step*.nc"],
        "variables": list(VARIABLES),
        "validation_steps": 1,
        "crop": [4, 4, 4],
    },
    "train": {
        "task": "super_resolution",
        "upscale_factor": 2,
        "epochs": 1,
        "global_batch_size": 4,
        "precision": "float32",
        "log_every_steps": 1,
        "figures_every_epochs": 0,
        "generator": {"channels": {"base": 8, "min": 4, "max": 8}},
        "adversary": {
            "discriminator": {"channels": {"base": 8, "min": 4, "max": 8}},
            "critic_steps": 2,
            "content_weight": 1.0,
        },
    },
}


SLOW_LOSS = '''"""A loss that lasts as long as the environment says."""

import os
import time

from torch import nn


class Slow(nn.Module):
    def forward(self, output, target):
        time.sleep(float(os.environ["STEP_S"]))
        return ((output - target) ** 2).mean()
'''

FAULTY_LOSS = '''"""Lasts STEP_S, and does what a file `fault` in the run directory says."""

import ctypes
import os
import time

import torch
from torch import nn


class Faulty(nn.Module):
    calls = 0

    def forward(self, output, target):
        self.calls += 1
        time.sleep(float(os.environ["STEP_S"]))
        loss = ((output - target) ** 2).mean()
        try:
            kind, ranks, call = (open("fault").read() + " 0").split()[:3]
        except (OSError, ValueError):
            return loss
        if ranks not in (os.environ["HPCTRAIN_RANK"], "all") or int(call) not in (0, self.calls):
            return loss
        return loss + getattr(self, kind)()

    def hang(self):
        time.sleep(10000)

    def lock(self):
        """Hang with Python's lock held."""
        mutex, lock = ctypes.create_string_buffer(64), ctypes.PyDLL(None).pthread_mutex_lock
        lock(mutex)
        lock(mutex)  # unlike a sleep, no signal wakes it

    def error(self):
        raise RuntimeError("a fault in the loss")

    def memory(self):
        return len(bytearray(1 << 62))

    def allocate(self):
        return torch.empty(1 << 60).sum()

    def nan(self):
        return torch.tensor(float("nan"))
'''


def faulty(step_s: float = 0.02) -> tuple[str, ...]:
    """Settings of a regression that obeys a file `fault`.

    Its words: what ("hang"), which rank ("1" or "all"), at which call of the loss (any).
    """
    loss = ("code=[mine]", "train.criterion=faulty.Faulty", f"launch.env.STEP_S='{step_s}'")
    return (*loss, "train.adversary=null")


def slow(step_s: float) -> tuple[str, ...]:
    """Settings that let a step last so long."""
    return ("code=[mine]", "train.criterion=slow.Slow", f"launch.env.STEP_S='{step_s}'")


def write_step(path: Path, seed: int, shape: tuple[int, int, int] = (16, 8, 40)) -> None:
    """A smooth random field in the contest's layout, (lat, r, lon) = `shape`."""
    rng = np.random.default_rng(seed)
    lat, r, lon = shape
    with netcdf_file(str(path), "w", version=2) as file:
        axes = {
            "lat": np.linspace(80, -80, lat),
            "r": np.linspace(3500, 6300, r),
            "lon": np.arange(lon) * 360 / lon,
        }
        for name, values in axes.items():
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        for name in VARIABLES:
            phases = rng.uniform(0, 6.28, (3, 4, 3))
            grids = np.meshgrid(*(np.arange(n) * 6.28 / n for n in shape), indexing="ij")
            field = sum(
                np.sin((k + 1) * grids[axis] + phases[axis, k, 0])
                * np.cos((k + 1) * grids[(axis + 1) % 3] + phases[axis, k, 1])
                for axis in range(3)
                for k in range(4)
            )
            file.createVariable(name, "f4", ("lat", "r", "lon"))[:] = field


class SmallRun:
    """A folder with data, a job file and rendered runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._finished: dict[tuple[str, ...], Path] = {}
        self._numbers = itertools.count()

    def unique(self, name: str) -> str:
        """A name that no run of this folder has yet."""
        return f"{name}-{next(self._numbers)}"

    def finished(self, *settings: str) -> Path:
        """A run with these settings that went to its end undisturbed; made once."""
        if settings not in self._finished:
            run = self.render(self.unique("whole"), *settings)
            self.finish(run)
            self._finished[settings] = run
        return self._finished[settings]

    def render(self, name: str, *settings: str) -> Path:
        """Render the job under another name with `--set` for each setting."""
        words = [word for setting in settings for word in ("--set", setting)]
        before, said = Path.cwd(), io.StringIO()
        os.chdir(self.folder)
        try:
            # a process of its own would spend most of its time on imports
            with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as info:
                hpctrain(["render", "small.yaml", "--as", name, *words])
        finally:
            os.chdir(before)
        assert not info.value.code, said.getvalue()
        return self.folder / "jobs" / name

    def start(self, run: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the run script; its output goes to run/out.txt."""
        with (run / "out.txt").open("a") as out:
            return subprocess.Popen(
                ["bash", str(run / "run.sh")],
                cwd="/",
                env=env or {**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def finish(self, run: Path, expected: int = 0) -> str:
        """Run to the end, with warm ranks; returns what was printed."""
        process = self.start(run, env=warm.environment())
        code = process.wait(timeout=240)
        text = (run / "out.txt").read_text()
        assert code == expected, f"exit code {code}, expected {expected}\n{text}"
        return text


def make_small(folder: Path) -> SmallRun:
    """Three files of data, a loss that takes its time, and the job file in an empty folder."""
    (folder / "data").mkdir()
    (folder / "mine").mkdir()
    (folder / "mine" / "slow.py").write_text(SLOW_LOSS)
    (folder / "mine" / "faulty.py").write_text(FAULTY_LOSS)
    for i in range(3):
        write_step(folder / "data" / f"step{i:03}.nc", seed=i)
    (folder / "small.yaml").write_text(yaml.safe_dump(JOB, sort_keys=False))
    return SmallRun(folder)


def newest(run: Path) -> dict[str, torch.Tensor]:
    """All parameters of the newest checkpoint, by name."""
    state = torch.load(run / "checkpoints" / "latest", weights_only=True)
    return {
        f"{model}.{key}": value
        for model, parameters in state["models"].items()
        for key, value in parameters.items()
    }


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
