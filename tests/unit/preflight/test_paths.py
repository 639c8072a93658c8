"""Folders and files that a job needs."""

import subprocess
from pathlib import Path

import pytest

from hpctrain.preflight import paths
from hpctrain.preflight.binds import bind_findings
from hpctrain.preflight.paths import path_findings
from hpctrain.render.texts import with_absolute_paths
from tests.jobs import mantle
from tests.requires import requires


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    for i in range(6):
        (tmp_path / "data" / f"mantle{i}.nc").touch()
    return tmp_path


def found(folder: Path, *settings: str, run_dir: str = "jobs/mantle"):
    resolved = mantle("polaris", "data.root=data", "resources.account=a", *settings)
    job = with_absolute_paths(resolved.job, folder)
    target = folder / run_dir
    binds = bind_findings(job, resolved.site, target)
    return [str(f) for f in (*path_findings(job, target), *binds)]


def test_paths__all_there(folder):
    assert found(folder) == []


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.root=nowhere", "error: data.root: {folder}/nowhere does not exist; give the folder"),
        ("data.root=data/mantle0.nc", "error: data.root: {folder}/data/mantle0.nc is no folder"),
        ("data.targets=[x*.nc, y*.nc]", "error: data.targets: no file of {folder}/data fits 'x*"),
        ("data.targets=[/abs*.nc]", "error: data.targets: no file of {folder}/data fits '/abs*"),
        ("data.validation_steps=6", "error: data: "),
        ("code=[nowhere]", "error: code: {folder}/nowhere: no such folder"),
    ],
)
def test_paths__what_is_missing(folder, setting, words):
    assert words.format(folder=folder) in found(folder, setting)[0]


def test_paths__every_pattern_is_named(folder):
    assert len(found(folder, "data.targets=[x*.nc, y*.nc, mantle*.nc]")) == 2


def test_paths__binds_of_job_and_site(folder):
    container = "container={image: x.sif, binds: [data, nowhere:/in]}"
    errors = [line for line in found(folder, container) if line.startswith("error")]
    assert errors == [
        f"error: container.binds: {folder}/nowhere does not exist; create it, or leave it out"
    ]
    notes = [line for line in found(folder, container) if line.startswith("note")]
    assert [n for n in notes if "/var/run/palsd/ does not exist here; compute nodes must" in n]


def test_output__a_file_in_the_way(folder):
    (folder / "jobs").write_text("")
    (line,) = found(folder)
    assert line == f"error: run directory: {folder}/jobs is no folder; choose another with --out"


@pytest.fixture
def disk(folder):
    """A file system of its own, mounted with some options."""
    mounted = folder / "disk"
    mounted.mkdir()

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mounted)]
        subprocess.run(command, check=True)

    yield mount
    subprocess.run(["umount", str(mounted)], check=True)


@requires(tmpfs=True)
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("ro", "error: run directory: {folder}/disk cannot be written; choose another with --out"),
        ("nr_inodes=1", "error: run directory: no file can be made on the disk of {folder}/disk"),
        ("size=1g", "warning: run directory: 1.1 GB are left on the disk of {folder}/disk"),
    ],
)
def test_output__of_a_disk(folder, disk, options, words):
    disk(options)
    (line,) = found(folder, run_dir="disk/mantle")[-1:]
    assert line.startswith(words.format(folder=folder))


def test_output__little_room(folder, monkeypatch):
    monkeypatch.setattr(paths, "LITTLE_BYTES", 1 << 62)
    (line,) = found(folder)
    assert line.startswith("warning: run directory: ")
    assert "GB are left on the disk of" in line
