"""Load mpi4py only where its MPI is the one that the launcher started.

Two different libmpi in one process end in crashes and hangs. So before mpi4py is imported it is
told which library Horovod has loaded, or left alone where it was built for another kind. And an
MPI that this launcher did not start would end the program in MPI_Init, or start it as rank 0 of 1;
so it is loaded first, and initialised only where its launcher's variables are there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_NAME = re.compile(r"libmpi(?:_[a-z0-9_]+)?\.so(?:\.\d+)?")
_OPEN_MPI = "Open MPI"
_STARTED_BY = {
    True: ("OMPI_COMM_WORLD_SIZE", "PMIX_RANK"),
    False: ("PMI_RANK", "PMI_FD", "PMI_CONTROL_PORT", "PALS_RANKID", "MV2_COMM_WORLD_RANK"),
}
"""Variables by which ranks of Open MPI, or of the MPICH family, find each other."""


class NoMpiError(Exception):
    """Why there is no MPI for this process."""


def open_mpi(env: Mapping[str, str] = os.environ) -> Any:
    """mpi4py's module MPI, initialised for several threads.

    Raises:
        NoMpiError: it is not there, is another MPI than Horovod's, or not the launcher's.
    """
    if "TORCHELASTIC_RUN_ID" in env:
        raise NoMpiError("torchrun starts no MPI")  # a launcher's variables are those of its agents
    MPI = _load()
    version = MPI.Get_library_version()
    variables = _STARTED_BY[_OPEN_MPI in version]
    if not any(name in env for name in variables):
        raise NoMpiError(f"{_first(version)} was not started by this launcher")
    if not MPI.Is_initialized():
        MPI.Init_thread(MPI.THREAD_MULTIPLE)
    if MPI.Query_thread() < MPI.THREAD_MULTIPLE:
        raise NoMpiError(f"{_first(version)} cannot be used by several threads")
    return MPI


def _load() -> Any:
    spec = find_spec("mpi4py")
    if spec is None or not spec.submodule_search_locations:
        raise NoMpiError("mpi4py is not installed")
    loaded = loaded_libraries()
    if loaded:
        _agree(Path(spec.submodule_search_locations[0]), loaded)
    try:
        import mpi4py

        mpi4py.rc.initialize = False
        from mpi4py import MPI
    except (ImportError, RuntimeError) as e:
        raise NoMpiError(f"mpi4py does not load ({_first(str(e))})") from e
    return MPI


def loaded_libraries(maps: Path = Path("/proc/self/maps")) -> list[Path]:
    """MPI libraries that this process has loaded already; none known where there is no /proc."""
    try:
        fields = [line.split(maxsplit=5) for line in maps.read_text().splitlines()]
    except OSError:
        return []
    paths = {Path(field[5]) for field in fields if len(field) == 6}
    return sorted(path for path in paths if _is_mpi(path))


def _is_mpi(path: Path) -> bool:
    """True for libmpi.so.40 and also libmpi.so.40.40.7, the file behind it."""
    return _NAME.match(path.name) is not None


def _agree(package: Path, loaded: Sequence[Path]) -> None:
    """Make mpi4py take the library that is loaded.

    A wheel has a module for each family and looks for a library by itself. One that was built here
    names its library, and the linker takes the loaded one if the name is the same.
    """
    modules = sorted(package.glob("MPI.*.so"))
    if len(modules) > 1:
        asked = os.environ.setdefault("MPI4PY_LIBMPI", str(loaded[0]))
        if os.path.realpath(asked) != os.path.realpath(loaded[0]):
            raise NoMpiError(f"MPI4PY_LIBMPI names {asked}, and {loaded[0]} is loaded already")
        return
    wanted = needed_libraries(modules[0]) if modules else set()
    names = {match.group() for path in loaded if (match := _NAME.match(path.name))}
    if not wanted & names:
        raise NoMpiError(
            f"mpi4py was built for {' or '.join(sorted(wanted)) or 'an unknown MPI'}, and "
            f"{loaded[0]} is loaded already"
        )


def needed_libraries(module: Path) -> set[str]:
    """MPI libraries that a shared object names."""
    names = re.findall(_NAME.pattern.encode() + rb"(?=\0)", module.read_bytes())
    return {name.decode() for name in names}


def _first(text: str) -> str:
    return (text.splitlines() or [""])[0].split(",")[0]
