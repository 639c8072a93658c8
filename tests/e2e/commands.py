"""Start hpctrain in processes of its own, as people and run scripts do."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import netcdf_file

from tests import warm
from tests.requires import BIN

Done = subprocess.CompletedProcess

_LAUNCHER_BLOCK = re.compile(r"^-{70,}\n.*?^-{70,}\n", re.DOTALL | re.MULTILINE)


def environment(**more: str) -> dict[str, str]:
    """The environment of a login shell: no ranks, one thread, this environment's programs."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("HPCTRAIN_", "OMPI_", "PMIX_", "PRTE_", "SLURM_", "PBS_"))
    }
    path = f"{BIN}{os.pathsep}{kept.get('PATH', '')}"
    return {**kept, "PATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **more}


def hpctrain(*words: str, cwd: Path, **popen: Any) -> Done[str]:
    """Run `hpctrain WORDS` in a folder."""
    return _run([sys.executable, "-m", "hpctrain", *words], cwd=cwd, **popen)


def train(run: Path, *options: str, python: str = sys.executable, **popen: Any) -> Done[str]:
    """Run the trainer alone and warm, with the code that travels in the run directory."""
    env = environment(**warm.variables(str(run / "code")))
    command = [python, "-m", "hpctrain.train", str(run), *options]
    return _run(command, **{"cwd": run, "env": env, **popen})


def run_script(run: Path, *, is_warm: bool = False, **popen: Any) -> Done[str]:
    """Run the run script; what the launcher itself says of a failed rank is left out."""
    if is_warm:
        popen["env"] = environment(**warm.variables(os.environ.get("PYTHONPATH", "")))
    done = _run(["bash", str(run / "run.sh")], cwd=Path("/"), **popen)
    done.stderr = _LAUNCHER_BLOCK.sub("", done.stderr)
    return done


def _run(command: Sequence[str], **popen: Any) -> Done[str]:
    popen = {"env": environment(), "timeout": 120, **popen}
    return subprocess.run(command, capture_output=True, text=True, check=False, **popen)


def state(run: Path) -> dict[str, Any]:
    """state.json of a run."""
    fields: dict[str, Any] = json.loads((run / "state.json").read_text())
    return fields


def tree(folder: Path) -> dict[str, str]:
    """Every path below a folder with a digest of its content or the target of its link."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            content = f"-> {os.readlink(path)}"
        else:
            content = "/" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = content
    return found


def told(stderr: str) -> list[str]:
    """Messages of the trainer's log that tell of a failure, without time and rank.

    Of a run that fails early these are all lines but the known ones of an orderly start.
    """
    orderly = (
        *(r"\d+ ranks? on", "precision ", "data is read by "),
        *("resuming from ", "first step", "validation after ", r"\d+% of the time is "),
    )
    lines = [re.sub(r"^\d\d:\d\d:\d\d (\[rank [^]]*\] )?", "", x) for x in stderr.splitlines()]
    return [x for x in lines if x and not re.match("|".join(orderly), x)]


def one_message(stderr: str) -> str:
    """The one failure that the trainer tells of; its run script adds a line of its own."""
    messages = [line for line in told(stderr) if ": failed with exit code" not in line]
    assert len(messages) == 1, stderr
    assert "Traceback" not in stderr
    return messages[0]


def put_nan(path: Path, *cell: int) -> None:
    """One NaN into vx at (lat, r, lon)."""
    with netcdf_file(str(path), "a", mmap=False) as file:
        file.variables["vx"][cell] = np.nan
