"""Packages that only some formats need."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from hpctrain.errors import DataError


def need(name: str, path: Path) -> Any:
    """Import a package of the extra `data`.

    Args:
        name: the module.
        path: file or folder that needs it, for the message.

    Raises:
        DataError: it is not installed; says how to get it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        raise DataError(
            f"{path}: needs the package {e.name!r}; pip install 'hpctrain[data]'"
        ) from e
