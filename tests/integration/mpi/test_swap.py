"""A host's MPI in the place of another one of the same name, outside of any image.

What `abi: bind` rests on: programs ask for `libmpi.so.12`, and the folders of LD_LIBRARY_PATH say
which file that is. The one that is replaced can only tell its version.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpctrain.config.load import read_site
from hpctrain.preflight.images import ImageFacts, check, fit_findings
from hpctrain.preflight.images.facts import from_probe
from tests.requires import MPICH, requires

pytestmark = requires(mpich=True, gcc=True)
HOST = str(MPICH.parents[1] / "lib")
PROBE = Path(check.__file__).parent / "probe.py"
STUB = """
#include <string.h>
int MPI_Get_library_version(char *text, int *length) {
  strcpy(text, "MPICH Version:      4.1.2");
  *length = (int)strlen(text);
  return 0;
}
"""
RANK = "from mpi4py import MPI; print('sum', MPI.COMM_WORLD.allreduce(1))"


@pytest.fixture
def own(tmp_path: Path) -> str:
    """Folder of the library that is replaced."""
    source, folder = tmp_path / "stub.c", tmp_path / "own"
    source.write_text(STUB)
    folder.mkdir()
    words = ["gcc", "-shared", "-fPIC", "-Wl,-soname,libmpi.so.12", "-o", "libmpi.so.12"]
    subprocess.run([*words, str(source)], cwd=folder, check=True)
    return str(folder)


def run(*command: str, libraries: str) -> subprocess.CompletedProcess[str]:
    more = {"LD_LIBRARY_PATH": libraries, "MPI4PY_LIBMPI": "libmpi.so.12"}
    return subprocess.run(
        command, env={**os.environ, **more}, capture_output=True, text=True, timeout=60, check=False
    )


def look(libraries: str) -> ImageFacts:
    """What the program that is run inside images finds."""
    probe = PROBE.read_text()
    done = run(sys.executable, "-c", probe, "mpi", libraries=libraries)
    assert done.returncode == 0, done.stderr
    return from_probe(json.loads(done.stdout.splitlines()[-1]))


def test_swap__the_folder_that_comes_first_is_the_mpi_that_ranks_use(own: str) -> None:
    ranks = (str(MPICH), "-n", "2", sys.executable, "-c", RANK)
    assert run(*ranks, libraries=own).returncode != 0
    swapped = run(*ranks, libraries=f"{HOST}:{own}")
    assert swapped.stdout.split() == ["sum", "2", "sum", "2"], swapped.stderr


def test_swap__is_seen_and_told_where_it_is_none(own: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: hydra}\n"
        f"container: {{mpi: mpich, abi: bind, library_path: ['{HOST}']}}\n"
    )
    site, _ = read_site(str(path))

    def told(facts: ImageFacts) -> list[str]:
        found = fit_findings(facts, None, check.Wanted(site.launcher, "mpi"), site, "image")
        return [str(finding) for finding in found]

    before, after = look(own), look(f"{HOST}:{own}")
    assert (before.mpi_version, after.mpi_version) == ("4.1.2", "5.0.2")
    (line,) = told(before)
    assert f"leads to {own}/libmpi.so.12, the image's own, and not to the host's" in line
    assert told(after) == []
