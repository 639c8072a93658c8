"""Run inside an image by its own Python: which MPI a rank would find there, and what it needs.

Its text is given to `python3 -c`, so it stands alone: the standard library, Python 3.7 or newer,
and no package of hpctrain. Its argument says how ranks talk (`launch.comm`). It prints one JSON
object. Libraries are loaded, and no MPI is initialised.
"""

from __future__ import annotations

import ctypes
import glob
import importlib.util
import json
import os
import platform
import re
import sys
from typing import Any

PMIX_FOLDERS = (".", "openmpi", "pmix2/lib")
NAMES = ("libmpi.so.40", "libmpi.so.12", "libmpich.so.12", "libmpi_cray.so.12", "libmpi.so")


def find_package(name: str) -> str | None:
    """Folder of a package that is not imported; None: it is not there."""
    spec = importlib.util.find_spec(name)
    return spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else None


def read(path: str) -> bytes:
    """All bytes of a library."""
    with open(path, "rb") as file:
        return file.read()


def needs(files: list[str]) -> list[str]:
    """Names of MPI libraries in shared objects."""
    found: set[bytes] = set()
    for path in files:
        found.update(re.findall(rb"libmpi(?:ch|_cray)?\.so\.\d+(?=\0)", read(path)))
    return sorted(name.decode() for name in found)


def loaded(part: str) -> list[str]:
    """File of a library that this process has loaded."""
    with open("/proc/self/maps") as file:
        paths = {line.split(None, 5)[-1].strip() for line in file if part in line}
    return sorted(path for path in paths if path.startswith("/"))


def load(names: list[str]) -> tuple[str, ctypes.CDLL | None, dict[str, str]]:
    """The first library that loads, and why others did not."""
    errors: dict[str, str] = {}
    for name in names:
        for path in (
            name,
            os.path.join(sys.prefix, "lib", name),
        ):  # there packages of PyPI bring it
            try:
                library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
                errors.pop(name, None)
                return name, library, errors
            except OSError as e:
                errors.setdefault(name, str(e))
    return "", None, errors


def version_text(library: ctypes.CDLL) -> str:
    """What MPI_Get_library_version says, which works before MPI_Init."""
    text, length = ctypes.create_string_buffer(8192), ctypes.c_int(0)
    library.MPI_Get_library_version(text, ctypes.byref(length))
    return text.value.decode(errors="replace")


def pmi_of(text: str) -> list[str]:
    """Process-management interfaces that the library knows."""
    if "Open MPI" in text:
        return ["pmix"]
    found = ["pmix"] if loaded("libpmix.so") else []
    if "CRAY" in text:
        return [*found, "cray"]
    return [*found, "pmi1", "pmi2"]


def pmix_version(paths: list[str]) -> str:
    """Version of PMIx that comes along with MPI; it may be loaded no sooner than MPI starts."""
    folders = [os.path.join(os.path.dirname(p), part) for p in paths for part in PMIX_FOLDERS]
    near = [os.path.join(folder, "libpmix.so.2") for folder in folders]
    # an Open MPI 4 may have one of its own, which is not that of the system beside it
    for path in [*loaded("libpmix.so"), *near, *paths, "libpmix.so.2"]:
        try:
            function = ctypes.CDLL(path).PMIx_Get_version
        except (OSError, AttributeError):
            continue
        function.restype = ctypes.c_char_p
        found = re.search(rb"\d+\.\d+(\.\d+)?", function() or b"")
        if found:
            return str(found.group().decode())
    return ""


def torch_facts() -> dict[str, str]:
    """Version and devices of torch, without importing it: that takes seconds."""
    folder = find_package("torch")
    if folder is None:
        return {}
    values = {}
    with open(os.path.join(folder, "version.py")) as file:
        for name, value in re.findall(
            r"^(__version__|cuda|hip)\b[^=\n]*= '?([^'\n]*)'?", file.read(), re.M
        ):
            values[name] = "" if value == "None" else value
    return {
        "torch": values.get("__version__", ""),
        "cuda": values.get("cuda", ""),
        "rocm": values.get("hip", ""),
    }


def main() -> None:
    """Print what there is."""
    page: dict[str, Any] = {"python": platform.python_version(), "arch": platform.machine()}
    page["glibc"] = (os.confstr("CS_GNU_LIBC_VERSION") or "").replace("glibc ", "")
    page.update(torch_facts())
    horovod, mpi4py = find_package("horovod"), find_package("mpi4py")
    page["has_horovod"] = horovod is not None
    wanted = needs(glob.glob(os.path.join(horovod, "torch", "mpi_lib*.so"))) if horovod else []
    page["horovod_needs"] = wanted
    modules = sorted(glob.glob(os.path.join(mpi4py, "MPI.*.so"))) if mpi4py else []
    page["has_mpi4py"] = mpi4py is not None
    # a wheel has a module for each family and takes what is there
    page["mpi4py_needs"] = needs(modules) if len(modules) == 1 else []
    own = os.environ.get("MPI4PY_LIBMPI")
    # ranks that talk by mpi4py alone take no MPI of Horovod's
    taken = [] if sys.argv[1:] == ["mpi"] else wanted
    first = [*taken, *([own] if own else []), *page["mpi4py_needs"]]
    name, library, errors = load([*first, *(n for n in NAMES if n not in first)])
    page["errors"] = {n: text for n, text in errors.items() if n in first}
    if library is not None:
        text, paths = version_text(library), loaded("libmpi")
        page.update(version_text=text, library=paths[0] if paths else name, soname=name)
        soname = (
            re.search(rb"libmpi(?:ch|_cray)?\.so\.\d+(?=\0)", read(paths[0])) if paths else None
        )
        page["soname"] = soname.group().decode() if soname else os.path.basename(name)
        page["pmi"], page["pmix"] = pmi_of(text), pmix_version(paths)
    print(json.dumps(page))


main()
