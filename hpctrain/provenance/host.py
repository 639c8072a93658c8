"""What the machine is that a training runs on: versions, driver, modules, container image."""

from __future__ import annotations

import json
import os
import platform
import sys
import uuid
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "torch", "horovod", "mpi4py")
"""Whose versions decide about the numbers that come out."""
_LABELS = Path("/.singularity.d/labels.json")
_DRIVERS = (Path("/proc/driver/nvidia/version"), Path("/sys/module/amdgpu/version"))
_SIF_MAGIC, _SIF_MAGIC_AT, _SIF_ID_AT = b"SIF_MAGIC", 32, 48


def host_facts() -> dict[str, Any]:
    """Facts about this process and its machine; what is not known is left out."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": package_versions(),
        "mpi": _mpi(),
        "driver": _first(_first_line(path) for path in _DRIVERS),
        "modules": [name for name in os.environ.get("LOADEDMODULES", "").split(":") if name],
        "container": container_facts(),
    }
    return {key: value for key, value in facts.items() if value}


def package_versions(names: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Versions of installed packages, none of which is imported."""
    found = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def container_facts() -> dict[str, Any]:
    """The image that this process runs in; empty outside of a container."""
    path = os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER")
    if not path:
        return {}
    facts: dict[str, Any] = {"image": path, "id": image_id(Path(path)), "labels": _labels()}
    with suppress(OSError):  # many sites do not show the image's own folder inside
        status = os.stat(path)
        facts.update(size=status.st_size, mtime_ns=status.st_mtime_ns)
    return {key: value for key, value in facts.items() if value}


def image_id(path: Path) -> str:
    """The id that each build of a SIF image gets anew; empty of other files.

    Source: the header of SIF (sylabs/sif, pkg/sif/sif.go): 32 bytes launch script, 10 magic,
    3 version, 3 architecture, 16 id.
    """
    with suppress(OSError), path.open("rb") as file:
        head = file.read(_SIF_ID_AT + 16)
        if head[_SIF_MAGIC_AT:].startswith(_SIF_MAGIC) and len(head) == _SIF_ID_AT + 16:
            return str(uuid.UUID(bytes=head[_SIF_ID_AT:]))
    return ""


def _labels() -> dict[str, str]:
    with suppress(OSError, ValueError):
        page = json.loads(_LABELS.read_text())
        if isinstance(page, dict):
            return {str(k): str(v) for k, v in page.items() if str(k).startswith("hpctrain.")}
    return {}


def _mpi() -> str:
    """The MPI library's own words, where mpi4py is in use already."""
    mpi = sys.modules.get("mpi4py.MPI")
    return mpi.Get_library_version().splitlines()[0].strip("\0 ") if mpi else ""


def _first_line(path: Path) -> str:
    with suppress(OSError):
        return (path.read_text().splitlines() or [""])[0].strip()
    return ""


def _first(texts: Iterable[str]) -> str:
    return next((text for text in texts if text), "")
