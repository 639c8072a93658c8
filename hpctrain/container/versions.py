"""containers/versions.yaml: what is pinned in every definition, and what was built when."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import yaml

from hpctrain.config.paths import find_shared
from hpctrain.errors import RenderError

BUILD_SCRIPT = "build_horovod.sh"
PREFIX = "/usr/local/hpctrain"
"""Where everything is installed in the image; machines bind their own /opt over the image's."""


def versions() -> dict[str, Any]:
    """The table, the user's own where there is one.

    Raises:
        RenderError: it is missing, or lacks what a definition needs.
    """
    path = find_shared("containers", "versions.yaml")
    if path is None:
        raise RenderError("containers/versions.yaml: no such file; reinstall hpctrain")
    table = _parsed(path.read_text(encoding="utf-8"))
    keys = ("device", "debootstrap", "mpi", "horovod", "python", "build", "built")
    lacking = [key for key in keys if key not in table]
    if lacking:
        raise RenderError(
            f"{path}: lacks {', '.join(lacking)}; it is of another version of hpctrain: copy the "
            "shipped containers/versions.yaml again and repeat your changes"
        )
    return table


@lru_cache(maxsize=4)
def _parsed(text: str) -> dict[str, Any]:
    table = yaml.safe_load(text)
    return table if isinstance(table, dict) else {}


def horovod_script() -> str:
    """Text of the script that builds Horovod, in the image as on a workstation."""
    path = find_shared("containers", BUILD_SCRIPT)
    if path is None:
        raise RenderError(f"containers/{BUILD_SCRIPT}: no such file; reinstall hpctrain")
    return path.read_text(encoding="utf-8")
