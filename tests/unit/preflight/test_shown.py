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
        ("openmpi", "['-pc']", (), True),
        ("openmpi", "['-Sc']", (), False),
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


@pytest.mark.parametrize(
    ("args", "hiding"),
    [
        ("['--no-mount', tmp]", "--no-mount tmp"),
        ("['--no-mount=cwd,tmp']", "--no-mount=cwd,tmp"),
        ("[-S, /tmp]", "-S /tmp"),
        ("[-S/tmp]", "-S/tmp"),
        ("['--nv', '--scratch', '/var/x,/tmp/']", "--scratch /var/x,/tmp/"),
        ("['--scratch=/tmp']", "--scratch=/tmp"),
        ("[-B, '/local:/tmp']", "-B /local:/tmp"),
        ("['--bind=/data,/local:/tmp:rw']", "--bind=/data,/local:/tmp:rw"),
        ("['--no-mount', 'home,cwd']", None),
        ("['--no-mount', /tmp]", None),
        ("[-S, /tmp/mine]", None),
        ("[-B, '/tmp:/tmp']", None),
        ("['--bind', /tmp]", None),
        ("['--bind', '/tmp:/scratch']", None),
        ("[-W, /tmp]", None),
        ("['--scratch']", None),
    ],
)
def test_shown__another_tmp_under_mpirun(tmp_path, args, hiding):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: openmpi}\n"
        f"container: {{args: {args}}}\n"
    )
    job, (site, _) = mantle(str(path), *TWO).job, read_site(str(path))
    found = [str(line) for line in shown_findings(job, site, ENGINES["apptainer"](), "image")]
    assert len(found) == (hiding is not None)
    assert all(f"{hiding} in container.args of site mine hides /tmp of" in line for line in found)
