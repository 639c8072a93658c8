"""Sent to the job's Python, inside its container: what is installed there, and for which MPI.

Nothing but the standard library, and nothing of hpctrain: that Python may have neither. What may
crash or hang, such as loading an MPI, is done by a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata, util
from typing import Any

LIMIT_S = 40
LOAD_MPI4PY = """
import json, mpi4py
mpi4py.rc.initialize = False
from mpi4py import MPI
with open("/proc/self/maps") as file:
    lines = list(file)
paths = {line.split(maxsplit=5)[5].strip() for line in lines if "libmpi" in line}
page = {"version": MPI.Get_library_version(), "paths": sorted(paths)}
print(json.dumps(dict(page, has_pmix=any("libpmix.so" in line for line in lines))))
"""
ASK_LIBRARY = """
import ctypes, json, sys
words, length = ctypes.create_string_buffer(8192), ctypes.c_int()
library = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
library.MPI_Get_library_version(words, ctypes.byref(length))
page = {"version": words.value.decode(errors="replace"), "paths": [sys.argv[1]]}
with open("/proc/self/maps") as file:
    print(json.dumps(dict(page, has_pmix="libpmix.so" in file.read())))
"""
ASK_GPUS = """
import json, torch
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
found = [torch.cuda.get_device_properties(i) for i in range(count)]
gpus = [{"name": gpu.name, "uuid": str(gpu.uuid)} for gpu in found]
print(json.dumps({"gpus": gpus, "built_for": torch.version.hip or torch.version.cuda or "cpu"}))
"""


def packages() -> dict[str, dict[str, str | None]]:
    """Version and digest of each installed distribution."""
    found: dict[str, dict[str, str | None]] = {}
    for own in metadata.distributions():
        name = (own.metadata["Name"] or "").lower()
        if name and name not in found:  # the first in sys.path is the one that is imported
            found[name] = {"version": own.version, "digest": record_digest(own.read_text("RECORD"))}
    return dict(sorted(found.items()))


def record_digest(record: str | None) -> str | None:
    """Digest of a RECORD, the same wherever the same wheel was installed.

    Compiled files have no hash in it, scripts have the interpreter's path inside, and installers
    leave notes; all that differs between machines and is left out.
    """
    if not record:
        return None
    own = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")
    kept = [
        line
        for line in record.splitlines()
        if "sha256=" in line and not line.startswith("../") and not line.split(",")[0].endswith(own)
    ]
    return hashlib.sha256("\n".join(sorted(kept)).encode()).hexdigest() if kept else None


def run(words: Sequence[str], **env: str) -> tuple[int | None, str]:
    """Exit code and all that a program said; None for a code: it is not there, or late."""
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT_S,
            check=False,
            env={**os.environ, **env},
        )
    except subprocess.TimeoutExpired:
        return None, f"did not answer within {LIMIT_S} s"
    except OSError as e:
        return None, str(e)
    text = done.stdout.decode(errors="replace")
    return done.returncode, text if done.returncode == 0 else text + done.stderr.decode()


def ask(program: str, *words: str, **env: str) -> dict[str, Any]:
    """What a short program prints as JSON, or why it did not."""
    code, text = run([sys.executable, "-c", program, *words], **env)
    try:
        page: dict[str, Any] = json.loads(text.splitlines()[-1]) if code == 0 else {}
    except (ValueError, IndexError):
        return {"error": "printed no JSON"}
    return page or {"error": last_line(text, code)}


def last_line(text: str, code: int | None) -> str:
    """The most telling line of a failure."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if code is not None and code < 0:
        return f"ended by signal {-code}"
    return lines[-1] if lines else f"ended with code {code}"


def mpi4py() -> dict[str, Any] | None:
    """The MPI that mpi4py loads."""
    return ask(LOAD_MPI4PY) if util.find_spec("mpi4py") else None


def beside_horovod(horovods: dict[str, Any] | None) -> dict[str, Any] | None:
    """The MPI that mpi4py loads after Horovod, whose own a wheel for any MPI is told to take."""
    spec, paths = util.find_spec("mpi4py"), (horovods or {}).get("paths")
    if spec is None or not spec.submodule_search_locations or not paths:
        return None
    names = os.listdir(spec.submodule_search_locations[0])
    if len([name for name in names if name.startswith("MPI.") and name.endswith(".so")]) < 2:
        return None
    return ask(LOAD_MPI4PY, MPI4PY_LIBMPI=os.environ.get("MPI4PY_LIBMPI") or paths[0])


def horovod() -> dict[str, Any] | None:
    """The MPI that Horovod was linked with."""
    spec = util.find_spec("horovod")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = os.path.join(spec.submodule_search_locations[0], "torch")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    module = [os.path.join(folder, n) for n in names if n.startswith("mpi_lib") and ".so" in n]
    if not module:
        return {"error": "has no module for torch; it was built without HOROVOD_WITH_PYTORCH"}
    code, text = run(["ldd", module[0]])
    if code is None:
        return {"error": f"ldd {text}"}
    linked = re.findall(r"^\s*(libmpi\S*) => (not found|\S+)", text, re.M)
    mains = [(n, p) for n, p in linked if re.match(r"libmpi(_cray|_gnu\S*|_intel\S*|ch)?\.so", n)]
    if not mains:
        return {"error": "is linked with no MPI (built with Gloo alone?)", "sonames": []}
    name, path = mains[0]
    if path == "not found":
        return {"error": f"{name} is not found", "sonames": [name]}
    found = ask(ASK_LIBRARY, path)
    return dict(found, sonames=[name])


def launchers(names: Sequence[str]) -> list[dict[str, Any]]:
    """Every program of these names in PATH, in order, with what it says of itself."""
    found: list[dict[str, Any]] = []
    for name in names:
        for folder in [""] if "/" in name else os.environ.get("PATH", "").split(os.pathsep):
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK) and os.path.isfile(path):
                # others may take it for a program that they are to start
                is_asked = os.path.basename(path) in ("mpirun", "mpiexec", "srun")
                code, text = run([path, "--version"]) if is_asked else (0, "")
                known = {"path": path, "real": os.path.realpath(path), "code": code, "text": text}
                if known["real"] not in [other["real"] for other in found]:
                    found.append(known)
    return found


def installed() -> dict[str, Any]:
    """What this Python has."""
    torch, horovods = util.find_spec("torch"), horovod()
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "packages": packages(),
        "mpi4py": mpi4py(),
        "horovod": horovods,
        "mpi4py_beside_horovod": beside_horovod(horovods),
        "torch": ask(ASK_GPUS) if torch else None,
        "container": os.environ.get("APPTAINER_CONTAINER")
        or os.environ.get("SINGULARITY_CONTAINER")
        or os.environ.get("CH_RUNNING"),
    }


def main() -> None:
    """The launchers that are named, or else what this Python has, as one line of JSON."""
    names = sys.argv[1:]
    page = {"launchers": launchers(names)} if names else installed()
    print("hpctrain-doctor " + json.dumps(page))


if __name__ == "__main__":
    main()
