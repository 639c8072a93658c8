"""Profile a run on this machine, in a copy that is thrown away: the run itself is not touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

import hpctrain
from hpctrain.config.job import Job
from hpctrain.errors import EXIT_STOPPED, ConfigError, TrainError
from hpctrain.train.profiling import ORDER
from hpctrain.train.run import Run

_NEVER = 10**6
_LAST_LINES = 12


def profile_run(run_dir: Path, steps: int, ranks: int) -> Path:
    """Run some steps of a run as `ranks` processes here.

    Each rank takes as many samples a step as in the job; ranks talk by DDP.

    Args:
        run_dir: the run directory; `profile/` in it is written anew, all else is left alone.
        steps: that are measured, and as many again under the profiler.
        ranks: processes.

    Returns:
        The folder with traces and tables.

    Raises:
        TrainError: the steps could not be made; quotes the last lines of the log.
    """
    run_dir = run_dir.resolve()
    if not (run_dir / "config.yaml").is_file():
        raise ConfigError(f"{run_dir}: no config.yaml in it; render the run anew")
    with tempfile.TemporaryDirectory(prefix="hpctrain-profile-") as folder:
        scratch = Path(folder) / "run"
        _copy(run_dir, scratch, steps, ranks)
        text = _start(scratch, run_dir, ranks)
        if not (scratch / "profile" / "summary.txt").is_file():
            last = "\n".join(text.splitlines()[-_LAST_LINES:])
            raise TrainError(f"{run_dir}: the profiled steps ended early; the log's end:\n{last}")
        found = run_dir / "profile"
        shutil.rmtree(found, ignore_errors=True)
        shutil.copytree(scratch / "profile", found)
    return found


def _copy(run_dir: Path, scratch: Path, steps: int, ranks: int) -> None:
    """What the trainer reads, for other ranks, with nothing to do beside steps."""
    scratch.mkdir()
    for name in ("index.csv", "index.json"):
        if (run_dir / name).is_file():
            shutil.copy(run_dir / name, scratch / name)
    job = Run(run_dir).job
    content: dict[str, Any] = yaml.safe_load((run_dir / "config.yaml").read_text())
    content["resources"] |= {"nodes": 1, "ranks_per_node": ranks}
    content.setdefault("launch", {})["comm"] = "ddp" if ranks > 1 else "single"
    content["launch"]["launcher"] = "site"
    epochs = job.train.epochs
    content["train"] |= {
        "epochs": epochs + _NEVER,
        "global_batch_size": job.batch_size_per_rank * ranks,
        "checkpoints": {"every_epochs": 2 * _NEVER},
        "validate_every_epochs": 2 * _NEVER,
        "figures_every_epochs": 0,
    }
    if job.data.order.kind == "divided":
        content["data"]["order"]["parts"] = ranks
    content["data"] |= {"stage": "none", "stage_dir": None}
    for key in ("chain", "sweep", "after"):
        content.pop(key, None)
    Job.model_validate(content)
    (scratch / "config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    (scratch / ORDER).write_text(json.dumps({"steps": steps, "epoch": epochs - 1}))


def _start(scratch: Path, run_dir: Path, ranks: int) -> str:
    """Run all ranks to their end; returns what they printed."""
    command = [sys.executable, "-m", "hpctrain.train", str(scratch)]
    log = scratch / "out.txt"
    with log.open("w") as out:
        processes = [
            subprocess.Popen(
                command, env=_environment(run_dir, i, ranks), stdout=out, stderr=subprocess.STDOUT
            )
            for i in range(ranks)
        ]
        try:
            codes = [process.wait() for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    text = log.read_text()
    if any(code not in (0, EXIT_STOPPED) for code in codes):
        last = "\n".join(text.splitlines()[-_LAST_LINES:])
        raise TrainError(f"{run_dir}: the profiled steps failed; the log's end:\n{last}")
    return text


def _environment(run_dir: Path, rank: int, ranks: int) -> dict[str, str]:
    """As rank.sh would make it, without a launcher; the user's modules are those of the run."""
    own = Path(hpctrain.__file__).parents[1]
    paths = [str(own), str(run_dir / "code" / "user"), os.environ.get("PYTHONPATH", "")]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMPI_", "PMI", "HPCTRAIN_"))}
    env |= {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    job = Run(run_dir).job
    env |= {"OMP_NUM_THREADS": str(job.resources.cpus_per_rank), **job.launch.env}
    if ranks > 1:
        env |= {"HPCTRAIN_RANK": str(rank), "HPCTRAIN_LOCAL_RANK": str(rank)}
        env |= {"HPCTRAIN_WORLD_SIZE": str(ranks), "HPCTRAIN_LOCAL_SIZE": str(ranks)}
        env |= {"HPCTRAIN_LAUNCH_ID": f"profile-{os.getpid()}"}
    per_rank = job.resources.gpus_per_rank
    if per_rank and "CUDA_VISIBLE_DEVICES" not in env:
        first = rank * per_rank
        env["CUDA_VISIBLE_DEVICES"] = ",".join(str(first + i) for i in range(per_rank))
    return env
