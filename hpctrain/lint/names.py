"""Names of jobs."""

from __future__ import annotations

import re

from hpctrain.lint.script import Finds, Script

LONGEST = 230
"""PBS_MAXJOBNAME in OpenPBS' pbs_ifl.h."""
SHOWN = 15
"""Characters of a name that qstat shows."""


def bad_characters(script: Script) -> Finds:
    """HT050."""
    for directive in script.options("-N"):
        name = directive.value or ""
        if name and not re.fullmatch(r"[A-Za-z0-9_+.-]+", name):
            text = f"qsub refuses the job name {name!r}"
            hint = (
                "write -N NAME without =" if name.startswith("=") else "use letters, digits, -_+."
            )
            yield directive.line, f"{text}; {hint}"


def too_long(script: Script) -> Finds:
    """HT051."""
    for directive in script.options("-N"):
        size = len(directive.value or "")
        if size > LONGEST:
            text = f"a job name of {size} characters is refused"
            yield directive.line, f"{text}; use {LONGEST} at most"


def shown_in_part(script: Script) -> Finds:
    """HT052."""
    for directive in script.options("-N"):
        size = len(directive.value or "")
        if SHOWN < size <= LONGEST:
            text = f"qstat shows {SHOWN} of the {size} characters of the job name"
            yield directive.line, f"{text}; put what tells jobs apart in front"
