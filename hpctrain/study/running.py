"""The runs of a study on this machine, one after another; what is done is not run again."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpctrain.errors import EXIT_STOPPED
from hpctrain.run_state import ACTIVE, duration
from hpctrain.study.record import DIVERGED, state_of
from hpctrain.sweep.write import POINTS


def run_points(folder: Path, page: dict[str, Any], tell: Callable[[str], None]) -> list[str]:
    """Start each run that is not done; returns those that failed.

    What a run prints goes to its logs/. A file STOP in the study's folder keeps further runs from
    starting.

    Args:
        folder: of the study.
        page: its study.json.
        tell: is told of each run.

    Raises:
        KeyboardInterrupt: a run was stopped; it has saved, and goes on the next time.
    """
    failed: list[str] = []
    stop = folder / "STOP"
    for number, run in enumerate(page["runs"], 1):
        run_dir = folder / POINTS / run["name"]
        state = state_of(run_dir)
        if state in ("finished", DIVERGED):
            continue
        if stop.exists():
            tell(f"{stop}: found; remove it to go on")
            raise KeyboardInterrupt
        label = f"{page['arms'][run['arm']]['label']}, seed {run['seed']}"
        label = f"run {number} of {len(page['runs'])}: {label}"
        if state in ACTIVE:
            tell(f"{label}: is {state} already, and left to that")
            continue
        tell(f"{label} ...")
        word = _run(run_dir)
        tell(f"{label}: {word}")
        if word.startswith("failed"):
            failed.append(run["name"])
    return failed


def _run(run_dir: Path) -> str:
    """Run one to its end; a key that interrupts reaches its script as well, which saves."""
    logs = run_dir / "logs"
    logs.mkdir(exist_ok=True)
    began = time.monotonic()
    with (logs / f"{socket.gethostname()}-{os.getpid()}.out").open("a") as log:
        process = subprocess.Popen(
            [str(run_dir.resolve() / "run.sh")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
    took = duration(time.monotonic() - began)
    if code == EXIT_STOPPED:
        raise KeyboardInterrupt
    state = state_of(run_dir)
    if code and state != DIVERGED:
        return f"failed with exit code {code}; see hpctrain why {run_dir}"
    return f"{state} after {took}"
