"""The launcher's MPI beside that of the ranks, from recorded words."""

from __future__ import annotations

import pytest

from hpctrain.config.site import LauncherSpec
from hpctrain.doctor.mpi import Mpi, known_mpi, mpi_topic
from hpctrain.launchers import make_launcher

OMPI5 = "mpirun (Open MPI) 5.0.11\n\nReport bugs to https://www.open-mpi.org/community/help/\n"
HYDRA = """HYDRA build details:
    Version:                                 4.0.2
    Release Date:                            Thu Apr  7 12:34:45 CDT 2022
    CC:                              gcc"""
LIB_OMPI5 = "Open MPI v5.0.11, package: Open MPI user@localhost Distribution, ident: 5.0.11"
LIB_OMPI4 = "Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4, May 26, 2022"
RECORDED = [
    (OMPI5, Mpi("Open MPI", "5.0.11")),
    ("mpirun (Open MPI) 4.1.4\n", Mpi("Open MPI", "4.1.4")),
    (HYDRA, Mpi("MPICH", "4.0.2")),
    (LIB_OMPI4, Mpi("Open MPI", "4.1.4")),
    ("MPICH Version:      4.0.2\nMPICH Release date: Thu Apr  7 2022", Mpi("MPICH", "4.0.2")),
    ("MPI VERSION    : CRAY MPICH version 8.1.28.15 (ANL base 3.4a2)", Mpi("MPICH", "8.1.28.15")),
    (
        "Intel(R) MPI Library for Linux* OS, Version 2021.9 Build 20230307 (id: d82b3071db)",
        Mpi("MPICH", "2021.9"),
    ),
    ("ibrun of TACC", Mpi("")),
]


@pytest.mark.parametrize(("text", "expected"), RECORDED)
def test_known_mpi__recorded(text: str, expected: Mpi) -> None:
    assert known_mpi(text) == expected


def program(path: str, text: str = OMPI5, code: int = 0) -> dict[str, object]:
    return {"path": path, "real": path, "code": code, "text": text}


def library(version: str, path: str = "/opt/lib/libmpi.so.40") -> dict[str, object]:
    return {"version": version, "paths": [path], "sonames": [path.rpartition("/")[2]]}


def said(launchers, found, kind: str = "openmpi", comm: str = "auto") -> list[str]:
    launcher = make_launcher(LauncherSpec.model_validate({"kind": kind}))
    lines = mpi_topic(launchers, found, launcher, comm).lines
    return [f"{line.severity} {line.name}: {line.text}" for line in lines]


def test_mpi__all_alike() -> None:
    found = {"mpi4py": library(LIB_OMPI5), "horovod": library(LIB_OMPI5)}
    lines = said([program("/opt/bin/mpirun")], found)
    assert lines == [
        "ok launcher: Open MPI 5.0.11, /opt/bin/mpirun",
        "ok horovod: Open MPI 5.0.11, /opt/lib/libmpi.so.40, as the launcher",
        "ok mpi4py: Open MPI 5.0.11, /opt/lib/libmpi.so.40, as the launcher",
    ]


def test_mpi__other_family() -> None:
    found = {"mpi4py": library("MPICH Version:      4.0.2", "/opt/lib/libmpi.so.12")}
    lines = said([program("/opt/bin/mpirun")], found)
    assert lines[1].startswith("error mpi4py: MPICH 4.0.2, /opt/lib/libmpi.so.12: the launcher is ")
    assert "Open MPI 5.0.11, so that each rank would be alone or not start" in lines[1]
    lines = said([program("/opt/bin/mpirun")], found, comm="ddp")
    assert lines[1].startswith("warning mpi4py")


def test_mpi__other_release_is_a_warning() -> None:
    for started in ("5.0.7", "4.1.4"):
        launchers = [program("/opt/bin/mpirun", f"mpirun (Open MPI) {started}\n")]
        lines = said(launchers, {"mpi4py": library(LIB_OMPI5)})
        assert lines[1].startswith("warning mpi4py")
        assert lines[1].endswith(f"the launcher is Open MPI {started}; see launch below")


def test_mpi__open_mpi_4_under_a_launcher_of_5_is_alone() -> None:
    lines = said([program("/opt/bin/mpirun")], {"mpi4py": library(LIB_OMPI4)})
    assert lines[1].startswith("error mpi4py: Open MPI 4.1.4, ")


def test_mpi__launcher_of_another_family_than_the_site_says() -> None:
    lines = said([program("/usr/bin/mpirun", HYDRA)], {})
    assert lines == [
        "error launcher: MPICH 4.0.2, /usr/bin/mpirun: the site's launcher is openmpi, of the Open "
        "MPI family"
    ]


def test_mpi__launcher_missing_broken_and_hidden() -> None:
    assert said([], {}) == ["error launcher: there is no mpirun in PATH"]
    broken = program("/opt/bin/mpirun", "mpirun: libprrte.so.3: cannot open", 127)
    assert said([broken], {}) == [
        "error launcher: /opt/bin/mpirun does not run: mpirun: libprrte.so.3: cannot open"
    ]
    both = [program("/opt/bin/mpirun"), program("/usr/bin/mpirun", "mpirun (Open MPI) 4.1.4")]
    assert (
        said(both, {})[1] == "note launcher: behind it in PATH: Open MPI 4.1.4 in /usr/bin/mpirun"
    )


def test_mpi__image_without_a_launcher_is_no_error(monkeypatch) -> None:
    monkeypatch.setenv("APPTAINER_CONTAINER", "/images/my.sif")
    assert said([], {}) == ["note launcher: there is no mpirun in this image"]


def test_mpi__two_libraries_in_one_process() -> None:
    found = {
        "mpi4py": library(LIB_OMPI5),
        "horovod": library(LIB_OMPI5, "/other/lib/libmpi.so.40"),
    }
    lines = said([program("/opt/bin/mpirun")], found)
    assert lines[-1].startswith("warning libraries: horovod takes /other/lib/libmpi.so.40 and ")


def test_mpi__library_that_is_not_found() -> None:
    found = {"horovod": {"error": "libmpi.so.12 is not found", "sonames": ["libmpi.so.12"]}}
    line = "horovod: its MPI does not load: libmpi.so.12 is not found"
    assert said([program("/o/mpirun")], found)[1] == f"warning {line}"
    assert said([program("/o/mpirun")], found, comm="horovod")[1] == f"error {line}"


def test_mpi__srun_needs_no_mpirun() -> None:
    assert (
        said([program("/usr/bin/srun", "slurm 22.05.8")], {"mpi4py": library(LIB_OMPI5)}, "srun")[0]
        == "ok launcher: srun, /usr/bin/srun"
    )


def test_mpi__mpiexec_of_another_than_pals() -> None:
    (line,) = said([program("/opt/bin/mpiexec")], {}, "pals")
    assert line.startswith("error launcher: /opt/bin/mpiexec is that of Open MPI 5.0.11, and the")


def test_mpi__wheel_that_follows_horovod() -> None:
    found = {"mpi4py": library(LIB_OMPI4), "horovod": library(LIB_OMPI5)}
    found["mpi4py_beside_horovod"] = library(LIB_OMPI5)
    launchers = [program("/opt/bin/mpirun")]
    assert all(line.startswith("ok") for line in said(launchers, found))
    # without Horovod in the process it takes what it finds
    assert said(launchers, found, comm="mpi")[2].startswith("error mpi4py")
