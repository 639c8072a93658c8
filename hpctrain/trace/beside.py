"""Files that a run reads and that its index does not list, so that no digest of them is known."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

PLACES = (("data", "styles"), ("train", "initial_weights", "path"))
"""Values of config.yaml that name such files; relative paths start from data.root."""


def files_beside_index(config: bytes) -> list[tuple[str, Path]]:
    """Key and path of each such file that a config.yaml names; none where it cannot be read."""
    try:
        page = yaml.safe_load(config)
    except (yaml.YAMLError, ValueError, RecursionError):
        return []
    root = _value(page, ("data", "root"))
    found = ((".".join(keys), _value(page, keys)) for keys in PLACES)
    return [
        (key, Path(str(root or ""), os.path.expanduser(value)))
        for key, value in found
        if isinstance(value, str) and value
    ]


def _value(page: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        page = page.get(key) if isinstance(page, dict) else None
    return page
