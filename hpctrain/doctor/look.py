"""What the job's Python has: asked by sending it a program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hpctrain.doctor.launch import Folder

_LIMIT_S = 150.0
_MARK = "hpctrain-doctor "
_PROGRAM = Path(__file__).with_name("inside.py")


class BlindError(Exception):
    """The job's Python could not be asked; the text says why."""


def look_inside(folder: Folder) -> dict[str, Any]:
    """What the job's Python has, in its container.

    Raises:
        BlindError: it could not be asked.
    """
    return _ask(folder, "look.sh")


def look_outside(folder: Folder) -> list[dict[str, Any]]:
    """The launchers in PATH, as the run script would find them.

    Raises:
        BlindError: it could not be asked.
    """
    found: list[dict[str, Any]] = _ask(folder, "host.sh")["launchers"]
    return found


def _ask(folder: Folder, script: str) -> dict[str, Any]:
    """The page that `inside.py` prints.

    Raises:
        BlindError: it printed none.
    """
    try:
        outcome = folder.look(script, _PROGRAM.read_text(encoding="utf-8"), _LIMIT_S)
    except OSError as e:
        raise BlindError(f"cannot be started: {e.strerror}") from e
    if outcome.code is None:
        raise BlindError(f"did not answer within {_LIMIT_S:.0f} s, and was ended")
    for line in outcome.out.splitlines():
        if line.startswith(_MARK):
            page: dict[str, Any] = json.loads(line[len(_MARK) :])
            return page
    said = " / ".join(outcome.words[-2:])
    raise BlindError(f"ended with code {outcome.code}{f': {said}' if said else ''}")
