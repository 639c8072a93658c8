"""container.def: what a job and its site say of their image."""

from pathlib import Path

import pytest

from hpctrain.config.load import read_site, site_names
from hpctrain.container import versions
from hpctrain.container.versions import PREFIX
from hpctrain.render.container import job_definition
from tests.jobs import BATCH, REPO, inputs, mantle

SITE = """name: own
title: x
scheduler: slurm
launcher: {kind: srun}
proxy: http://proxy.example:3128
container:
  gpu_flag: --rocm
  mpi: mpich
  binds: [/opt/cray]
  abi: bind
  library_path: [/opt/cray/lib]
  build:
    mpi_version: 4.1.2
    base: debian12
    mpi_from: source
    torch_index: https://mirror.example/whl
    modules: [load apptainer]
    binds: [/etc/pki]
"""


def render(site: str, *settings: str) -> str:
    resolved = mantle(site, *BATCH, *settings)
    return job_definition(resolved.job, resolved.site, inputs())


@pytest.fixture
def own_site(tmp_path: Path) -> str:
    path = tmp_path / "own.yaml"
    path.write_text(SITE)
    return str(path)


@pytest.mark.parametrize(
    ("site", "settings", "device", "mpi"),
    [
        ("generic-slurm", (), "cpu", "open-mpi/v5.0"),
        ("generic-slurm", ("resources.gpus_per_rank=1",), "cuda", "open-mpi/v5.0"),
        ("polaris", (), "cpu", "mpich/static"),
        ("polaris", ("resources.gpus_per_rank=1",), "cuda", "mpich/static"),
        ("frontier", ("resources.gpus_per_rank=1",), "rocm", "mpich/static"),
    ],
)
def test_job__decides_device_and_site_the_mpi(
    site: str, settings: tuple[str, ...], device: str, mpi: str
) -> None:
    text = render(site, *settings)
    assert f"hpctrain.device {device}\n" in text
    assert mpi.replace("mpich/static", "mpich.org/static") in text


def test_job__without_horovod() -> None:
    assert "horovod" not in render("generic-slurm", "launch.comm=ddp").lower()


def test_site__says_how_images_are_built(own_site: str) -> None:
    text = render(own_site)
    assert text.startswith("Bootstrap: debootstrap\n")
    assert "mpich-4.1.2.tar.gz" in text
    assert "--index-url https://mirror.example/whl" in text
    assert "export https_proxy=http://proxy.example:3128" in text
    assert "# On this machine first: module load apptainer\n" in text
    assert "--bind /etc/pki" in text
    assert "# The host's MPI of the same ABI replaces the one in here" in text


def test_site__its_base_for_cpus_is_none_for_gpus(own_site: str) -> None:
    text = render(own_site, "resources.gpus_per_rank=1")
    assert text.startswith("Bootstrap: docker\n")
    assert "hpctrain.device rocm" in text


def test_job__its_own_script_is_in_the_definition() -> None:
    resolved = mantle("generic-slurm", *BATCH)
    text = job_definition(resolved.job, resolved.site, inputs())
    assert "<<'BUILD_HOROVOD_SH'\n#!/bin/sh\nBUILD_HOROVOD_SH\n" in text  # that of tests.jobs


@pytest.mark.parametrize("name", site_names())
def test_definition__no_bind_of_a_machine_hides_what_was_installed(name):
    site, _ = read_site(name)
    for bind in site.container.binds:
        source, _, rest = bind.partition(":")
        target = Path(rest.partition(":")[0] or source)
        assert target not in (Path(PREFIX), *Path(PREFIX).parents), f"{name} binds {bind}"


def test_definition__installs_nothing_where_machines_bind() -> None:
    assert "/opt" not in render("polaris", "resources.gpus_per_rank=1")


def test_versions__are_those_of_the_constraints():
    constraints = dict(
        line.split("==")
        for line in (REPO / "constraints.txt").read_text().split()
        if "==" in line and not line.startswith("#")
    )
    for name, pin in versions()["python"].items():
        assert constraints[name] == pin, name
