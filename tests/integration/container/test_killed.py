"""Ranks in an image that Hydra kills, as it does where one of them crashes: mpiexec must return."""

from __future__ import annotations

import pytest

from tests.integration.container.boxes import HYDRA, site, start
from tests.integration.container.test_mismatch import settings
from tests.requires import requires
from tests.runs import SmallRun, make_small

pytestmark = [requires(mpich=True, apptainer=True), pytest.mark.slow]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return make_small(tmp_path_factory.mktemp("small"))


def test_killed__what_mounts_the_image_does_not_hold_the_job(small, base_image):
    """`kill -9 0` as Hydra does: the rank's process group, with the parent that Apptainer left."""
    place = site(small, "killed", {"mpi": "openmpi"}, launcher=HYDRA)
    run = small.render(small.unique("killed"), place, *settings(base_image, "launch.python=sh"))
    script = run / "run.sh"
    program = 'sh -m hpctrain.train "$run"'
    assert program in script.read_text()
    script.write_text(script.read_text().replace(program, "sh -c 'sleep 1; kill -9 0'"))
    code, said = start(run, seconds=60)
    assert code == 9, said
