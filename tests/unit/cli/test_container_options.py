"""Options of `hpctrain container` over what a site says of its own MPI."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from hpctrain.cli.container.options import make
from hpctrain.errors import ConfigError


@pytest.fixture
def site(tmp_path: Path) -> str:
    """Of a folder with archives, for `{}` in a site's own text."""
    for name in ("openmpi-5.1", "openmpi-5.2", "mpich-4.9"):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as file:
            file.addfile(tarfile.TarInfo(f"{name}/configure"), io.BytesIO())
    return str(tmp_path / "mine.yaml")


def text_of(site: str, build: str, **given: str) -> str:
    folder = Path(site).parent
    Path(site).write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
        f"container: {{build: {{base: debian12, {build.replace('HERE', str(folder))}}}}}\n"
    )
    given = {name: value.replace("HERE", str(folder)) for name, value in given.items()}
    return make(None, site, (), given).text


OLD, NEW = "mpi_version: 5.0.8", "mpi_source: HERE/openmpi-5.1.tar"


@pytest.mark.parametrize(
    ("build", "given", "there"),
    [
        (OLD, {}, "openmpi-5.0.8.tar.bz2"),
        (NEW, {}, "/openmpi-5.1.tar /usr/local"),
        (OLD, {"source": "HERE/openmpi-5.1.tar"}, "/openmpi-5.1.tar /usr/local"),
        (NEW, {"source": "HERE/openmpi-5.2.tar"}, "/openmpi-5.2.tar /usr/local"),
        (NEW, {"mpi_version": "5.0.8"}, "openmpi-5.0.8.tar.bz2"),
        (OLD, {"mpi_version": "4.1.8"}, "openmpi-4.1.8.tar.bz2"),
        (OLD, {"family": "mpich"}, "mpich "),
        (OLD, {"family": "mpich", "mpi_from": "source"}, "mpich-3.4.2.tar.gz"),
        (NEW, {"family": "mpich", "mpi_from": "source"}, "mpich-3.4.2.tar.gz"),
        (OLD, {"family": "mpich", "source": "HERE/mpich-4.9.tar"}, "/mpich-4.9.tar /usr/local"),
        (OLD, {"mpi_from": "distribution"}, "openmpi-bin"),
        ("mpi_from: distribution", {"mpi_version": "4.1.8"}, "openmpi-4.1.8.tar.bz2"),
        ("mpi_from: distribution", {"source": "HERE/openmpi-5.1.tar"}, "/openmpi-5.1.tar /usr"),
    ],
)
def test_make__what_is_given_replaces_the_sites_release(site, build, given, there) -> None:
    text = text_of(site, build, **given)
    assert there in text
    for other in ("openmpi-5.0.8", "openmpi-5.1.tar", "openmpi-5.2.tar", "hpctrain.mpi openmpi"):
        fits = other in there or ("hpctrain" in other and given.get("family") != "mpich")
        assert fits or other not in text


def test_make__the_two_that_are_given_must_agree(site) -> None:
    with pytest.raises(ConfigError, match="^--mpi-source: .*is release 5.1, and --mpi-version"):
        text_of(site, OLD, source="HERE/openmpi-5.1.tar", mpi_version="5.0.8")


def test_make__says_who_named_an_archive_that_is_not_there(site) -> None:
    with pytest.raises(
        ConfigError, match="^site mine: container.build.mpi_source: /.*no such file"
    ):
        text_of(site, "mpi_source: HERE/openmpi-7.0.tar")
    with pytest.raises(ConfigError, match="^--mpi-source: /.*no such file"):
        text_of(site, NEW, source="HERE/openmpi-7.0.tar")
