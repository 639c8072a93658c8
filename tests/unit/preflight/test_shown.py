"""Words that hide from an image what its launcher lays down."""

from __future__ import annotations

import pytest

from hpctrain.config.load import read_site
from hpctrain.engines import ENGINES
from hpctrain.preflight.images.shown import shown_findings
from tests.jobs import mantle

TWO = ("resources.ranks_per_node=2", "container={image: x.sif}")


@pytest.mark.parametrize(
    ("launcher", "args", "settings", "is_told"),
    [
        ("openmpi", "['--contain']", (), True),
        ("openmpi", "['-c']", (), True),
        ("openmpi", "['--userns']", (), False),
        ("srun", "['--contain']", (), False),
        ("openmpi", "['--contain']", ("launch.comm=ddp",), False),
        ("openmpi", "['--contain']", ("container.engine=singularity",), False),
    ],
)
def test_shown__contain_under_mpirun(tmp_path, launcher, args, settings, is_told):
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"name: mine\ntitle: x\nscheduler: slurm\nlauncher: {{kind: {launcher}}}\n"
        f"container: {{args: {args}}}\n"
    )
    job, (site, _) = mantle(str(path), *TWO, *settings).job, read_site(str(path))
    found = list(shown_findings(job, site, ENGINES["apptainer"](), "image"))
    assert len(found) == is_told
    assert all("hides /tmp and /dev/shm of the node" in str(line) for line in found)
