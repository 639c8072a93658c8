"""JSON files that are replaced as a whole."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from hpctrain.errors import unwritable
from hpctrain.provenance.page import none_for_nan


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file as a whole; numbers that are not finite become null.

    Args:
        path: the file.
        content: what it is to hold.

    Raises:
        TrainError: it cannot be written; the old file is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(none_for_nan(content), indent=1, allow_nan=False) + "\n")
        temporary.replace(path)
    except OSError as e:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise unwritable(path, e) from e
