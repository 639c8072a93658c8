"""What this very host has, where the job runs on it."""

import sys

import pytest

from hpctrain.preflight.here import here_findings
from tests.jobs import mantle


def found(tmp_path, *settings: str, python: str = sys.executable, site: str = "local"):
    resolved = mantle(site, *settings)
    return [str(f) for f in here_findings(resolved.job, resolved.site, python, tmp_path / "dev")]


def test_launcher__there_or_not(tmp_path, programs):
    python = str(tmp_path / "venv" / "bin" / "python")
    (line,) = found(tmp_path, python=python)
    assert line.startswith("error: launch.launcher: there is no mpirun in PATH; load the module")
    programs.add("mpirun")
    assert found(tmp_path, python=python) == []


def test_launcher__of_the_interpreters_own_folder(tmp_path, programs):
    own = tmp_path / "venv" / "bin" / "mpirun"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert found(tmp_path, python=str(own.with_name("python"))) == []


def test_launcher__one_rank_needs_none_and_other_sites_are_not_here(tmp_path, programs):
    one = ("resources.ranks_per_node=1", "train.global_batch_size=4")
    assert found(tmp_path, *one, python="/nosuch/python") == []
    assert found(tmp_path, site="generic-slurm", python="/nosuch/python") == []


@pytest.mark.parametrize(
    ("files", "fits"),
    [((), False), (("nvidia0",), False), (("nvidia0", "nvidia1"), True), (("kfd",), True)],
)
def test_gpus__as_many_as_there_are_device_files(tmp_path, programs, files, fits):
    programs.add("mpirun")
    (tmp_path / "dev").mkdir()
    for name in (*files, "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev" / name).touch()
    lines = found(tmp_path, "resources.gpus_per_rank=1")
    assert (lines == []) == fits
    shown = len(files)
    assert fits or f"2 GPUs are asked for on a node, and this host shows {shown}" in lines[0]
