"""Paths and the file systems that a job names."""

import pytest

from hpctrain.preflight.mounts import mount_findings
from hpctrain.render.texts import with_absolute_paths
from tests.jobs import BATCH, mantle

SITE = """
name: mine
title: x
scheduler: pbs
launcher: {{kind: pals}}
directives: {{filesystems: "-l filesystems="}}
mounts: {{home: [{top}/home], eagle: [{top}/eagle], deep: [{top}/eagle/deep]}}
"""


@pytest.fixture
def found(tmp_path):
    for name in ("home/me/jobs", "eagle/data", "eagle/deep/data"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "mine.yaml").write_text(SITE.format(top=tmp_path))

    def findings(*settings: str, run_dir: str = "home/me/jobs/mantle"):
        resolved = mantle(str(tmp_path / "mine.yaml"), *BATCH, *settings)
        job = with_absolute_paths(resolved.job, tmp_path)
        return [str(f) for f in mount_findings(job, resolved.site, tmp_path / run_dir)]

    return findings


HOME = "resources.filesystems=[home]"
BOTH = "resources.filesystems=[home, eagle]"


def test_mounts__data_elsewhere(found, tmp_path):
    (line,) = found(HOME, "data.root=eagle/data")
    assert line == (
        f"error: data.root: {tmp_path}/eagle/data lies on the file system eagle, which the job "
        "does not name; allowed: home; add eagle to resources.filesystems"
    )
    assert found(BOTH, "data.root=eagle/data") == []


def test_mounts__links_are_followed(found, tmp_path):
    (tmp_path / "home" / "me" / "data").symlink_to(tmp_path / "eagle" / "data")
    (line,) = found(HOME, "data.root=home/me/data")
    assert "home/me/data lies on the file system eagle" in line


def test_mounts__the_longest_folder_wins(found):
    (line,) = found(BOTH, "data.root=eagle/deep/data")
    assert "lies on the file system deep" in line


def test_mounts__every_path_of_a_job(found):
    container = "container={image: eagle/x.sif, binds: [eagle/data:/in]}"
    python = "launch.python=eagle/venv/bin/python"
    lines = found(HOME, "data.root=home/me", container, python, run_dir="eagle/mantle")
    assert [line.split(": ")[1] for line in lines] == [
        "run directory",
        "launch.python",
        "container.image",
        "container.binds",
    ]


def test_mounts__nothing_is_known_of_other_folders(found):
    assert found(HOME, "data.root=/somewhere/eagle/data") == []
    assert found("data.root=eagle/data") == []  # none named: check says that they are missing
