from __future__ import annotations

from pathlib import Path

import pytest

from hpctrain.comm import mpi_library
from hpctrain.comm.mpi_library import NoMpiError, loaded_libraries, needed_libraries, open_mpi

MAPS = """\
7f00-7f01 r-xp 00000000 08:01 11 /opt/ompi/lib/libmpi.so.40.40.7
7f01-7f02 r--p 00000000 08:01 11 /opt/ompi/lib/libmpi.so.40.40.7
7f02-7f03 r-xp 00000000 08:01 12 /opt/ompi/lib/libmpi_mpifh.so.40
7f03-7f04 r-xp 00000000 08:01 13 /opt/cray/lib/libmpi_gnu_123.so.12
7f05-7f06 rw-p 00000000 00:00 0
7f06-7f07 r-xp 00000000 08:01 14 /usr/lib/libmpdec.so.3
"""


class FakeMpi:
    THREAD_MULTIPLE = 3
    is_initialised = False

    def __init__(self, version: str, level: int = 3) -> None:
        self.version, self.level = version, level

    def Get_library_version(self) -> str:
        return self.version

    def Is_initialized(self) -> bool:
        return self.is_initialised

    def Init_thread(self, level: int) -> None:
        self.is_initialised = True

    def Query_thread(self) -> int:
        return self.level


def use(monkeypatch: pytest.MonkeyPatch, mpi: FakeMpi) -> FakeMpi:
    monkeypatch.setattr(mpi_library, "_load", lambda: mpi)
    return mpi


def test_loaded_libraries__from_the_maps_of_a_process(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text(MAPS)
    names = {path.name for path in loaded_libraries(tmp_path / "maps")}
    assert {"libmpi.so.40.40.7", "libmpi_gnu_123.so.12"} <= names
    assert "libmpdec.so.3" not in names
    assert loaded_libraries(tmp_path / "none") == []


def test_needed_libraries__of_a_shared_object(tmp_path: Path) -> None:
    module = tmp_path / "MPI.cpython-311.so"
    module.write_bytes(b"\x7fELF\0libc.so.6\0libmpi_cray.so.12\0libmpi.so is not one\0")
    assert needed_libraries(module) == {"libmpi_cray.so.12"}


def test_agree__a_module_built_for_another_library_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "MPI.cpython-311.so").write_bytes(b"\0libmpi.so.12\0")
    with pytest.raises(NoMpiError, match=r"built for libmpi.so.12, and /opt/lib/libmpi.so.40"):
        mpi_library._agree(tmp_path, [Path("/opt/lib/libmpi.so.40.40.7")])
    mpi_library._agree(tmp_path, [Path("/opt/lib/libmpi.so.12.1.8")])


def test_agree__a_wheel_is_told_what_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for family in ("mpich", "openmpi"):
        (tmp_path / f"MPI.{family}.cpython-311.so").touch()
    monkeypatch.setattr(mpi_library.os, "environ", environment := {})
    mpi_library._agree(tmp_path, [Path("/opt/lib/libmpi.so.40")])
    assert environment == {"MPI4PY_LIBMPI": "/opt/lib/libmpi.so.40"}
    with pytest.raises(NoMpiError, match="MPI4PY_LIBMPI names /opt/lib/libmpi.so.40, and /usr"):
        mpi_library._agree(tmp_path, [Path("/usr/lib/libmpi.so.40")])


@pytest.mark.parametrize(
    ("version", "env", "is_started"),
    [
        ("Open MPI v5.0.11, package: x", {"OMPI_COMM_WORLD_SIZE": "2"}, True),
        ("Open MPI v5.0.11, package: x", {"PMIX_RANK": "0"}, True),
        ("Open MPI v5.0.11, package: x", {"PMI_RANK": "0"}, False),
        ("MPICH Version: 4.2.2", {"PMI_RANK": "0"}, True),
        ("MPICH Version: 4.2.2", {"OMPI_COMM_WORLD_SIZE": "2"}, False),
        ("MPI VERSION    : CRAY MPICH version 8", {"PALS_RANKID": "0"}, True),
        ("Open MPI v4.1.4", {"OMPI_COMM_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a"}, False),
        ("Open MPI v4.1.4", {}, False),
    ],
)
def test_open_mpi__only_under_its_own_launcher(monkeypatch, version, env, is_started):
    mpi = use(monkeypatch, FakeMpi(version))
    if is_started:
        assert open_mpi(env) is mpi
    else:
        with pytest.raises(NoMpiError):
            open_mpi(env)
    assert mpi.is_initialised is is_started


def test_open_mpi__needs_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, FakeMpi("Open MPI v4.1.4", level=1))
    with pytest.raises(NoMpiError, match="cannot be used by several threads"):
        open_mpi({"OMPI_COMM_WORLD_SIZE": "2"})
