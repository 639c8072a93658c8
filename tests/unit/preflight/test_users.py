"""Ranks that PMIx would not know for the user's."""

from __future__ import annotations

import pytest

from hpctrain.config.load import read_site
from hpctrain.engines import ENGINES
from hpctrain.preflight.images.users import user_findings
from tests.jobs import mantle

TWO = ("resources.ranks_per_node=2", "container={image: docker://x:1}")


def found(folder, args, *settings, launcher="{kind: openmpi}"):
    path = folder / "mine.yaml"
    path.write_text(
        f"name: mine\ntitle: x\nscheduler: slurm\nlauncher: {launcher}\n"
        f"container: {{engine: podman-hpc, args: {args}}}\n"
    )
    job, (site, _) = mantle("local", *TWO, *settings).job, read_site(str(path))
    return [str(f) for f in user_findings(job, site, ENGINES["podman-hpc"](), "image")]


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ("[--userns=host]", "--userns=host"),
        ("['--userns', host]", "--userns=host"),
        ("[--openmpi-pmi2]", "--openmpi-pmi2"),
    ],
)
def test_users__root_inside_is_refused(tmp_path, args, word):
    for launcher in ("{kind: openmpi}", "{kind: srun, args: ['--mpi=pmix_v4']}"):
        (line,) = found(tmp_path, args, launcher=launcher)
        assert line.startswith(
            f"error: image: {word} in the site's container.args makes ranks root"
        )
        assert "take it out (hpctrain then gives --userns=keep-id)" in line


@pytest.mark.parametrize(
    ("args", "settings", "launcher"),
    [
        ("[]", (), "{kind: openmpi}"),
        ("[--userns=keep-id]", (), "{kind: openmpi}"),
        ("[--openmpi-pmix]", (), "{kind: openmpi}"),
        ("[--userns=host]", ("launch.comm=ddp",), "{kind: openmpi}"),
        ("[--openmpi-pmi2]", (), "{kind: srun, args: ['--mpi=pmi2']}"),
        ("[--mpi]", (), "{kind: pals}"),
    ],
)
def test_users__nothing_to_tell(tmp_path, args, settings, launcher):
    assert found(tmp_path, args, *settings, launcher=launcher) == []
