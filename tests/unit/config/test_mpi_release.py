"""The archive and release of an MPI that a site names for everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpctrain.config.load import read_site
from hpctrain.errors import ConfigError


def site_file(tmp_path: Path, build: str, mpi: str = "openmpi") -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: x\nscheduler: slurm\nlauncher: {kind: srun}\n"
        f"container:\n  mpi: {mpi}\n  build: {build}\n"
    )
    return str(path)


@pytest.mark.parametrize(
    "build",
    [
        "{mpi_source: /a/openmpi-5.1.tar}",
        "{mpi_source: /a/openmpi-5.1.tar, mpi_version: '5.1'}",
        "{mpi_source: /a/mpi.tar, mpi_version: 5.1.0rc1}",
        "{mpi_version: of-my-own-table}",
        "{mpi_from: distribution}",
    ],
)
def test_build__what_agrees_is_taken(tmp_path: Path, build: str) -> None:
    assert read_site(site_file(tmp_path, build))[0].name == "mine"


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        ("{mpi_source: openmpi-5.1.tar}", r"build.mpi_source: .*allowed: an absolute path"),
        ("{mpi_source: ~/openmpi-5.1.tar}", r"build.mpi_source: .*allowed: an absolute path"),
        ("{mpi_source: /a b/openmpi-5.1.tar}", r"build.mpi_source: .*cannot stand in a def"),
        (
            "{mpi_source: /a/openmpi-5.1.tar, mpi_version: 5.0.8}",
            r"build: mpi_source '/a/openmpi-5.1.tar' is release 5.1, and mpi_version says 5.0.8;",
        ),
        ("{mpi_source: /a/mpi.tar}", r"build: mpi_source .*says no release.*give mpi_version, too"),
        (
            "{mpi_source: /a/mpi.tar, mpi_version: '5.1; id'}",
            r"build: mpi_version: '5.1; id' is no",
        ),
        (
            "{mpi_source: /a/mpich-4.0.2.tar}",
            r"container: build.mpi_source .* is mpich's, and mpi ",
        ),
        (
            "{mpi_from: distribution, mpi_source: /a/openmpi-5.1.tar}",
            r"build: mpi_source has no effect .*mpi_from: distribution",
        ),
        (
            "{mpi_from: distribution, mpi_version: 5.0.8}",
            r"build: mpi_version has no effect .*mpi_from: distribution",
        ),
    ],
)
def test_build__what_clashes_names_the_keys(tmp_path: Path, build: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence) as found:
        read_site(site_file(tmp_path, build))
    assert "--mpi" not in str(found.value), "options that nobody gave"
    assert "\n" not in str(found.value).strip()
