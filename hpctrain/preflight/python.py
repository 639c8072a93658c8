"""The interpreter of the job: there, and with what the training needs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpctrain.config.finding import Finding, error, note, warning
from hpctrain.config.job import Job
from hpctrain.preflight.ask import SilentError, ask

# finds packages without importing them, which takes seconds
_PROBE = """
import importlib.util as u, json, sys
names = ("torch", "numpy", "horovod", "mpi4py")
found = {n: getattr(u.find_spec(n), "origin", None) for n in names}
print(json.dumps({"version": sys.version_info[:2], **found}))
"""


def python_findings(job: Job, python: str) -> Iterator[Finding]:
    """Look at the interpreter of a job that runs without a container.

    Args:
        job: the job.
        python: its interpreter: a path, or a name in PATH.
    """
    if job.container is not None:
        return
    where = "launch.python"
    if os.path.isabs(python) and not os.access(python, os.X_OK):
        yield error(where, f"{python}: no such program; give an interpreter that nodes can reach")
        return
    try:
        answer = ask([python, "-c", _PROBE])
        found = json.loads(answer.out) if answer and answer.code == 0 else None
    except (SilentError, ValueError) as e:
        yield warning(where, f"{python}: cannot be asked what it has: {e}")
        return
    if answer is None:
        yield note(where, f"{python} is not in PATH here; compute nodes must have it")
    elif not isinstance(found, dict):
        yield warning(where, f"{python}: ended with {answer.code}: {answer.words[-200:]}")
    else:
        yield from _packages(job, python, found)


def _packages(job: Job, python: str, found: dict[str, Any]) -> Iterator[Finding]:
    where, version = "launch.python", found["version"]
    if version < [3, 10]:
        yield error(where, f"{python} is Python {version[0]}.{version[1]}; allowed: 3.10 or newer")
    if missing := [name for name in ("torch", "numpy") if not found[name]]:
        text = f"{python} has no {' and no '.join(missing)}; install hpctrain[train] into it"
        yield error(where, text)
        return
    if job.launch.comm == "horovod" and not found["horovod"]:
        text = f"found 'horovod', which {python} does not have; `make horovod` builds it"
        yield error("launch.comm", text)
    if job.launch.comm == "mpi" and not found.get("mpi4py"):
        text = f"found 'mpi', and {python} has no mpi4py; install hpctrain[train] into it"
        yield error("launch.comm", text)
    if job.resources.gpus_per_rank and _has_no_gpu_code(Path(str(found["torch"]))):
        text = f"the torch of {python} is built for CPUs only, and the job asks for GPUs"
        yield error(where, f"{text}; install one for CUDA or ROCm")


def _has_no_gpu_code(origin: Path) -> bool:
    """Whether torch/version.py says that there is neither CUDA nor HIP."""
    try:
        text = (origin.parent / "version.py").read_text()
    except OSError:
        return False
    values = re.findall(r"^(?:cuda|hip)\b[^=\n]*=\s*(.*)$", text, re.MULTILINE)
    return bool(values) and all(value.strip() == "None" for value in values)
