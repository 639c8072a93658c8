"""What a launcher lays down for the ranks of a node, and whether MPI in an image finds it.

Open MPI and PMIx keep files in TMPDIR; where it is not shown inside, MPI does not start.
What they say where it is full, `PMIX ERROR: OUT-OF-RESOURCE`, is known to symptoms.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

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
