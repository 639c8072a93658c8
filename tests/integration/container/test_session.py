"""What a launcher lays down for the ranks of a node, and whether MPI in an image finds it.

Open MPI and PMIx keep files in TMPDIR. Users of Horovod in Singularity saw `PMIX ERROR:
OUT-OF-RESOURCE` where it was full (horovod/horovod 604, 1344); where it is not shown inside, MPI
does not start either.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import hpctrain
from tests.integration.container.boxes import OPENMPI, site, start
from tests.integration.container.test_mismatch import IMAGES_OWN, container, settings
from tests.requires import BIN, find_mpirun, requires
from tests.runs import SmallRun, make_small

pytestmark = [requires(mpi=True, openmpi4=True, apptainer=True), pytest.mark.slow]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return make_small(tmp_path_factory.mktemp("small"))


@pytest.fixture
def hidden() -> Iterator[str]:
    """A folder that no image shows by itself."""
    try:
        with tempfile.TemporaryDirectory(dir="/srv") as folder:
            yield folder
    except PermissionError:
        pytest.skip("no right to make a folder in /srv, which images do not show")


@pytest.fixture
def full(tmp_path: Path) -> Iterator[str]:
    """A folder with room for no more than 64 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    subprocess.run(mount, check=True)
    yield str(tmp_path)
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def render(small: SmallRun, image: Path, name: str, env: dict[str, str]) -> Path:
    launcher = {**OPENMPI, "command": find_mpirun(4)}
    place = site(small, name, container(env=env), launcher=launcher)
    return small.render(small.unique(name), place, *settings(image, "launch.comm=mpi"))


def test_tmpdir__that_images_do_not_show_is_shown(small, base_image, hidden, monkeypatch):
    """Many a site gives each job a TMPDIR of its own, on a disk of the node."""
    run = render(small, base_image, "hidden", IMAGES_OWN)
    monkeypatch.setenv("TMPDIR", hidden)
    code, said = start(run, seconds=60)
    assert code == 0, said
    assert "2 ranks on 1 node, mpi, cpu" in said


def test_open_mpi_that_was_moved__does_not_mislead_the_images(small, base_image):
    """Its mpirun says where its PMIx lies, too; an Open MPI 4 in the image aborts on that."""
    libraries = BIN.parent / "openmpi4" / "lib"
    if not libraries.is_dir():
        pytest.skip("no Open MPI 4 beside the environment (make test installs it)")
    own = {"LD_LIBRARY_PATH": str(libraries), "MPI4PY_LIBMPI": str(libraries / "libmpi.so.40")}
    run = render(small, base_image, "moved", own)
    code, said = start(run, seconds=60)
    assert code == 0, said
    assert "2 ranks on 1 node, mpi, cpu" in said


@requires(tmpfs=True)
def test_tmpdir__that_is_full_is_explained(small, base_image, full, monkeypatch):
    run = render(small, base_image, "full", IMAGES_OWN)
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", full)
        code, said = start(run, seconds=60)
    assert code, said
    assert "PMIX ERROR: OUT-OF-RESOURCE" in said
    assert "first step done" not in said
    told = hpctrain("why", str(run), cwd=small.folder).stdout
    assert "TMPDIR or else /tmp of a node, is full" in " ".join(told.split())
