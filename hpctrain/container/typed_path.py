"""Paths as somebody typed them."""

from __future__ import annotations

import os
from pathlib import Path

from hpctrain.errors import ConfigError


def typed_path(option: str, text: str, cwd: Path) -> str:
    """The absolute path that was meant.

    Args:
        option: that it was given with.
        text: a path, perhaps with `~` or relative.
        cwd: folder that a relative path starts from.

    Raises:
        ConfigError: `~NAME` names nobody on this machine.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        user = text.partition("/")[0]
        raise ConfigError(
            f"{option}: {text!r}: no home folder is known for {user}; write the folder's own path, "
            "or ./~NAME for a file that is called so"
        ) from None
    return os.path.abspath(cwd / path)
