"""Small runs in images: sites of their own, and ranks that only show what they see."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.requires import MPICH
from tests.runs import SmallRun

OPENMPI = {"kind": "openmpi", "oversubscribe": True, "cpu_bind": "none"}
HYDRA = {"kind": "hydra", "command": str(MPICH)}
ENVIRONMENT = sorted({sys.prefix, sys.base_prefix, str(Path(__file__).parents[3])})
"""Folders of this Python and this package; the small images have none to train with."""
SHOW = """
{
  echo "place $HPCTRAIN_RANK $HPCTRAIN_WORLD_SIZE $HPCTRAIN_LOCAL_RANK"
  echo "launcher ${OMPI_COMM_WORLD_RANK:-}${SLURM_PROCID:-}${PMI_RANK:-}"
  echo "mask ${CUDA_VISIBLE_DEVICES-unset}"
  echo "job $MARK"
  echo "site ${SITE_MARK:-}"
  echo "prefix ${OPAL_PREFIX:-none}"
  echo "libraries ${LD_LIBRARY_PATH:-none}"
  echo "namespace $(readlink /proc/self/ns/user)"
  echo "folder $PWD"
  echo "system $(. /etc/os-release; echo "$VERSION_CODENAME")"
  echo "image ${APPTAINER_CONTAINER:-}"
} >"shown-$HPCTRAIN_RANK"
sleep 1  # an image that several share is closed by the last of those that came in time
"""


def site(small: SmallRun, name: str, container: dict[str, Any], **more: Any) -> str:
    """`site=FILE` of a machine; apptainer is told to do without rights, which root's lacks here."""
    page = {"name": name, "title": "a machine", "scheduler": "local", "launcher": OPENMPI}
    page |= {"gpus_per_node": 4, "gpu_order": [3, 2, 1, 0], **more}
    is_apptainer = container.get("engine", "apptainer") in ("apptainer", "singularity")
    args = [*(["--userns"] if is_apptainer else []), *container.get("args", [])]
    path = small.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({**page, "container": {**container, "args": args}}))
    return f"site={path}"


def render_shown(small: SmallRun, name: str, *settings: str) -> Path:
    """A run whose ranks do not train, but write what they find in their image."""
    run = small.render(small.unique(name), "launch.env.MARK='a $b'", "launch.python=sh", *settings)
    script = run / ("run.slurm" if (run / "run.slurm").exists() else "run.sh")
    text = script.read_text()
    assert 'sh -m hpctrain.train "$run"' in text
    script.write_text(text.replace('sh -m hpctrain.train "$run"', 'sh "$run/show.sh"'))
    (run / "show.sh").write_text(SHOW)
    return run


def shown(run: Path, ranks: int = 2) -> list[dict[str, str]]:
    """What each rank wrote."""
    texts = [(run / f"shown-{rank}").read_text() for rank in range(ranks)]
    return [dict(line.split(" ", 1) for line in text.splitlines()) for text in texts]


def start(run: Path, seconds: float = 240) -> tuple[int, str]:
    """Start run.sh; returns its exit code and all that was printed."""
    foreign = ("OMPI_", "PMI", "SLURM_", "HPCTRAIN_", "PRTE_", "OPAL_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    env = {**kept, "OMP_NUM_THREADS": "1", "USER": "root"}
    process = subprocess.Popen(
        ["bash", str(run / "run.sh")],
        env=env,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            printed = process.communicate(timeout=seconds)
        except BaseException as e:
            end_family(process)
            if not isinstance(e, subprocess.TimeoutExpired):
                raise
            said = "".join(process.communicate())
            raise AssertionError(f"{run / 'run.sh'} had no end in {seconds} s\n{said}") from e
    return process.returncode, "".join(printed)


def end_family(process: subprocess.Popen[str], patience_s: float = 5) -> None:
    """End a leader of a session with its launcher, its ranks, and what serves their images.

    Launchers are asked first, since those of other nodes are known only to them. Each of Hydra's
    ranks is in a session of its own, and what it started may have lost its parent.
    """
    known = family(process.pid)
    os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(patience_s)
    for pid in family(process.pid, *known):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def family(*pids: int) -> dict[int, str]:
    """Names of these processes and of all that they began, also in their sessions, by number."""
    words = ["ps", "-e", "-o", "pid=,ppid=,sid=,comm="]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    table = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
    found, size = set(pids), -1
    while len(found) != size:
        size = len(found)
        for pid, parent, session, _ in table:
            if int(parent) in found or int(session) in found:
                found.add(int(pid))
    return {int(pid): name for pid, _, _, name in table if int(pid) in found}
