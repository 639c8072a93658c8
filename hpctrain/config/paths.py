"""Where templates, sites, container definitions and shipped jobs are looked up."""

from __future__ import annotations

import os
from pathlib import Path

import hpctrain

_PACKAGE = Path(hpctrain.__file__).resolve().parent


def user_dir(kind: str) -> Path | None:
    """The user's own folder of a kind, whether or not it is there; None: no absolute path."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(config) / "hpctrain" / kind if os.path.isabs(config) else None


def shared_dirs(kind: str) -> list[Path]:
    """Folders of a kind (`templates`, `containers`, `jobs`), first hit wins.

    The user's own ($XDG_CONFIG_HOME/hpctrain), then the checkout the package runs from, then the
    copy inside the installed package.
    """
    own = user_dir(kind)
    found = [own] if own else []
    checkout = _PACKAGE.parent
    # site-packages may hold a `templates` of somebody else; only a checkout has pyproject.toml
    if (checkout / "pyproject.toml").is_file():
        found.append(checkout / kind)
    found.append(_PACKAGE / "_data" / kind)
    return [folder for folder in found if folder.is_dir()]


def find_shared(kind: str, name: str) -> Path | None:
    """The first file `name` in the folders of a kind."""
    for folder in shared_dirs(kind):
        if (folder / name).is_file():
            return folder / name
    return None


def package_dir() -> Path:
    """Folder of the package that is running."""
    return _PACKAGE
