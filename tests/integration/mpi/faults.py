"""Bring a fault into a real run, and see how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

from tests import warm
from tests.integration.mpi.test_resume import ranks_of
from tests.runs import SmallRun, faulty, wait_until

LONG = (*faulty(), "train.epochs=32", "train.validate_every_epochs=32")
"""160 steps of a fiftieth of a second."""
KEPT = ("train.checkpoints.every_steps=1", "train.checkpoints.keep_last=1000")


def state_of(run: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((run / "state.json").read_text())
    return state


def start_training(small: SmallRun, run: Path, *, is_warm: bool = False) -> Any:
    """Start a run and wait until it has made three steps more than it had saved."""
    saved = state_of(run).get("saved_step", 0)
    process = small.start(run, warm.environment() if is_warm else None)

    def is_beyond() -> bool:
        state = state_of(run)
        is_running = state["status"] == "running" and state.get("saved_step", 0) > saved + 2
        return is_running or process.poll() is not None

    wait_until(is_beyond)
    assert process.poll() is None, (run / "out.txt").read_text()
    return process


def ended(run: Path, process: Any, codes: tuple[int, ...] = ()) -> dict[str, Any]:
    """Wait for the end of a job; all of its processes must be gone then. Returns its state."""
    began = time.monotonic()
    code = process.wait(timeout=100)
    wait_until(lambda: not ranks_of(run), 60)
    text = (run / "out.txt").read_text()
    assert code in codes if codes else code not in (0, 75), f"{code}\n{text}"
    print(f"{run.name}: ended with {code} after {time.monotonic() - began:.1f} s")
    return state_of(run)


def send(run: Path, process: Any, number: signal.Signals, whom: str) -> None:
    """A signal to "rank 0", "all ranks" or "the script"."""
    if whom == "the script":
        process.send_signal(number)
        return
    for rank, pid in ranks_of(run).items():
        if whom in (f"rank {rank}", "all ranks"):
            os.kill(pid, number)


def check_failed(run: Path, state: dict[str, Any], pattern: str) -> None:
    """state.json and the log name the fault."""
    assert state["status"] == "failed", state
    assert re.search(pattern, state.get("message", "")), state
    assert (run / "checkpoints" / "latest").exists()
