"""What tests of jobs write into run directories."""

from __future__ import annotations

import json
from pathlib import Path


def set_state(run: Path, **fields: object) -> None:
    """Write a run's state.json."""
    (run / "state.json").write_text(json.dumps(fields, indent=1))


def handed_in(run: Path, *rows: str) -> None:
    """Write submitted.log, from rows of how and job id with a blank between."""
    lines = (f"2026-11-21T10:00:00Z\t{row.replace(' ', chr(9))}\n" for row in rows)
    (run / "submitted.log").write_text("".join(lines))
