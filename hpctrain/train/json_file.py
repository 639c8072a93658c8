"""JSON files that are replaced as a whole."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpctrain.errors import unwritable


def write_json(path: Path, content: Any, *, allow_nan: bool = True) -> None:
    """Replace a JSON file as a whole.

    Args:
        path: the file.
        content: what it is to hold.
        allow_nan: write numbers that are not finite as words that strict readers refuse.

    Raises:
        ValueError: a number is not finite, and that is not allowed; the old file is untouched.
        TrainError: it cannot be written; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=allow_nan) + "\n")
        temporary.replace(path)
    except OSError as e:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise unwritable(path, e) from e
