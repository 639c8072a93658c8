"""Some steps of a run under torch's profiler: a trace, and a plain table of where time goes."""

from __future__ import annotations

import json
import os
import resource
from typing import Any

import torch

from hpctrain.comm import Communicator
from hpctrain.config.job import Job
from hpctrain.errors import ConfigError
from hpctrain.log import logger
from hpctrain.train.advice import advise
from hpctrain.train.clock import Clock
from hpctrain.train.run import Run, write_json
from hpctrain.train.task import Position

ORDER = "profile.json"
"""A file of this name in a run directory makes it a run that is only profiled."""
VARIABLE = "HPCTRAIN_PROFILE"
_WARM_UP_STEPS = 3
_TOP = 12


class Profiler:
    """Measures some steps as they are, then as many again under the profiler, on every rank.

    The profiler makes steps slower, so shares and speed are taken before it begins. It changes
    nothing of what is computed. A run with the file `profile.json` is left when it is done.
    """

    def __init__(self, run: Run, comm: Communicator, clock: Clock) -> None:
        self._run, self._comm, self._clock = run, comm, clock
        order = run.path / ORDER
        self._order: dict[str, Any] = json.loads(order.read_text()) if order.is_file() else {}
        self._steps: int = self._order.get("steps") or _steps_asked_for()
        self._done = 0
        self._profile: Any = None
        self._before: dict[str, float] = {}
        self._measured: dict[str, Any] = {}

    def first_position(self) -> Position:
        """Where a run begins: an only profiled one in its last epoch, when all networks learn."""
        return Position(epoch=self._order.get("epoch", 0))

    def step(self, workers: int) -> None:
        """A step is done."""
        if not self._steps:
            return
        self._done += 1
        if self._done == _WARM_UP_STEPS:
            self._before = self._now()
        elif self._done == _WARM_UP_STEPS + self._steps:
            self._measured = self._since()
            self._start()
        elif self._done == _WARM_UP_STEPS + 2 * self._steps:
            self._stop(workers)

    def close(self) -> None:
        """End without a result, where the training ended first."""
        if self._profile is not None:
            self._profile.stop()
            self._profile = None

    def _now(self) -> dict[str, float]:
        seconds = {str(phase): value for phase, value in self._clock.seconds().items()}
        return {**seconds, "step": self._clock.counted_s}

    def _since(self) -> dict[str, Any]:
        """Shares and time of the steps that were measured."""
        seconds = {key: value - self._before[key] for key, value in self._now().items()}
        step_s = seconds.pop("step") / self._steps
        total = sum(seconds.values()) or 1.0
        return {"step_s": step_s, "shares": {key: s / total for key, s in seconds.items()}}

    def _start(self) -> None:
        activities = [torch.profiler.ProfilerActivity.CPU]
        if self._comm.device.type == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        self._profile = torch.profiler.profile(activities=activities, profile_memory=True)
        self._profile.start()

    def _stop(self, workers: int) -> None:
        profile, self._profile = self._profile, None
        profile.stop()
        folder = self._run.path / "profile"
        folder.mkdir(exist_ok=True)
        rank = self._comm.rank
        profile.export_chrome_trace(str(folder / f"rank-{rank}.pt.trace.json"))
        self._steps = 0
        if rank == 0:
            facts = summary(profile, self._measured, self._run.job, self._comm, workers)
            write_json(folder / "summary.json", facts)
            (folder / "summary.txt").write_text(table(facts))
            logger.info("%s: traces and a table of where time goes", folder)
            if self._order:
                (self._run.path / "STOP").touch()


def summary(
    profile: Any, measured: dict[str, Any], job: Job, comm: Communicator, workers: int
) -> dict[str, Any]:
    """What rank 0 found, for programs."""
    is_cuda = comm.device.type == "cuda"
    kind = "self_device_time_total" if is_cuda else "self_cpu_time_total"
    events = sorted(profile.key_averages(), key=lambda event: -getattr(event, kind))
    total = sum(getattr(event, kind) for event in events) or 1.0
    peak = (
        torch.cuda.max_memory_allocated(comm.device)
        if is_cuda
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    return {
        **measured,
        "device": torch.cuda.get_device_name() if is_cuda else "cpu",
        "ranks": comm.world_size,
        "batch_size_per_rank": job.train.global_batch_size // comm.world_size,
        "memory_peak_bytes": peak,
        "operators": [
            {"name": event.key, "share": getattr(event, kind) / total, "calls": event.count}
            for event in events[:_TOP]
        ],
        "advice": advise(measured["shares"], job, workers),
    }


def table(facts: dict[str, Any]) -> str:
    """The same for people."""
    ranks, size = facts["ranks"], facts["batch_size_per_rank"]
    lines = [
        f"{1e3 * facts['step_s']:.1f} ms a step on {facts['device']}, "
        f"{ranks} rank{'s' * (ranks > 1)} x {size} sample{'s' * (size > 1)}; "
        f"memory of rank 0: {facts['memory_peak_bytes'] / 2**20:.0f} MiB at most",
        "",
        "share of a step",
    ]
    for phase, share in facts["shares"].items():
        lines.append(f"  {phase.replace('_', ' and '):22} {share:6.1%}")
    lines += ["", f"{'operator':48} {'share':>6} {'calls':>7}"]
    for found in facts["operators"]:
        lines.append(f"  {found['name'][:46]:46} {found['share']:6.1%} {found['calls']:7}")
    return "\n".join([*lines, "", facts["advice"], ""])


def _steps_asked_for() -> int:
    text = os.environ.get(VARIABLE, "0")
    if not text.isdecimal():
        raise ConfigError(f"{VARIABLE}: found {text!r}; allowed: a number of steps, such as 20")
    return int(text)
